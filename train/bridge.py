"""From Flax parameters to a bundle, with the parity of the two forward passes measured on the way."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from eval_bridge.bundle import load_bundle, save_bundle
from eval_bridge.policy import NumpyPolicy, make_policy
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView
from train.folder import range_times, versions
from train.state import Setup

GOLDEN_BARS = 4
PARITY_LIMIT = 1e-4  # of outputs and values; a run on a GPU with reduced matmul precision would show here


def flat_params(params: Any) -> dict[str, np.ndarray]:
    """Return the parameters by their bundle names, float32."""
    flat = flatten_dict(jax.device_get(params), sep="/")
    return {name: np.asarray(leaf, np.float32) for name, leaf in flat.items()}


def random_views(count: int, symbols: int, seed: int = 0) -> AccountView:
    """Return random accounts, each field within its bounds, leaves [count, ...]."""
    rng = np.random.default_rng(seed)
    assets = rng.uniform(-1, 1, (count, symbols, 4)).astype(np.float32)
    return AccountView(assets, rng.uniform(0, 1, (count, 3)).astype(np.float32))


def flax_answers(
    setup: Setup, params: Any, rows: np.ndarray, bars: np.ndarray, view: AccountView
) -> tuple[np.ndarray, np.ndarray]:
    """Return the network's output (logits or means) and value for bars [n] and accounts [n]."""
    with jax.default_matmul_precision("highest"):
        market = _encode_in_parts(setup, params, jnp.asarray(rows), bars)
        outputs = setup.policy.apply({"params": params}, market, *map(jnp.asarray, view), method="head")
    dist_params, value = outputs
    output = dist_params if setup.policy.discrete else dist_params.mean
    return np.asarray(output), np.asarray(value)


def _encode_in_parts(setup: Setup, params: Any, rows: jax.Array, bars: np.ndarray, size: int = 512) -> jax.Array:
    encode = jax.jit(lambda part: setup.policy.apply({"params": params}, rows[None], part[None], method="market")[0])
    padded = np.concatenate([bars, np.repeat(bars[-1:], -len(bars) % min(size, len(bars)))])
    parts = [encode(jnp.asarray(part)) for part in np.split(padded, len(padded) // min(size, len(bars)))]
    return jnp.concatenate(parts)[: len(bars)]


def parity_error(setup: Setup, params: Any, policy: NumpyPolicy, table: MarketTable, span: Range) -> float:
    """Return the largest difference between Flax and NumPy, outputs and values, over a range."""
    bars = np.arange(span.first, span.last)
    view = random_views(len(bars), len(table.symbols))
    output, value = flax_answers(setup, params, table.features, bars, view)
    decision = policy.head(policy.market(table.features, bars), view)
    return float(max(np.max(np.abs(output - decision.output)), np.max(np.abs(value - decision.value))))


def golden_vectors(setup: Setup, params: Any, table: MarketTable) -> dict[str, np.ndarray]:
    """Return a few inputs and the network's answers, for the bundle's self-test."""
    reach, first = setup.config.network.reach, table.ranges["train"].first
    rows = table.features[first - reach + 1 : first + GOLDEN_BARS]
    view = random_views(GOLDEN_BARS, len(table.symbols), seed=1)
    output, value = flax_answers(setup, params, rows, np.arange(reach - 1, len(rows)), view)
    return {"rows": rows, "assets": view.assets, "account": view.account, "output": output, "value": value}


def write_bundle(path: Path, setup: Setup, table: MarketTable, params: Any, update: int) -> Path:
    """Write a bundle, read it back, and record how well the NumPy policy agrees over the validation range.

    Raises:
        InputError: The two forward passes differ by more than 1e-4; no bundle is left behind.
    """
    arrays, golden, config = flat_params(params), golden_vectors(setup, params, table), setup.config
    fields: dict[str, Any] = {
        "network": config.network,
        "env": config.env,
        "market": table.config,
        "feature_names": table.feature_names,
        "scaler_mean": tuple(table.scaler.mean),
        "scaler_std": tuple(table.scaler.std),
        "data": {
            "source": config.data,
            "sha256": table.data_hash,
            "symbols": table.symbols,
            "ranges": range_times(table),
            "warning": table.warning,
        },
        "seed": config.seed,
        "update": update,
        "validations": -(-update // config.eval_every),
        "parity_error": 0.0,
        "versions": versions(),
    }
    draft = path.with_name(path.name + ".draft")
    try:
        save_bundle(draft, fields, arrays, golden)
        policy = make_policy(load_bundle(draft))
        error = parity_error(setup, params, policy, table, table.ranges["validation"])
    finally:
        draft.unlink(missing_ok=True)
    if not error <= PARITY_LIMIT:
        raise InputError(
            path, f"the NumPy policy differs by {error:.2g} from the trained one", "Report this as a defect"
        )
    save_bundle(path, fields | {"parity_error": error}, arrays, golden)
    return path
