"""Bundles of random policies, without JAX: their golden answers are those of the NumPy policy itself."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from eval_bridge.bundle import Bundle, save_bundle
from eval_bridge.inference.feature_range import feature_range
from eval_bridge.policy import NumpyPolicy
from eval_bridge.spec import Certificate, LeakCheck, NetworkConfig, parameter_shapes
from jaxtrade.assemble import rule_book
from jaxtrade.config import EnvConfig
from jaxtrade.market.scales import scaler_record
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView

SMALL_MLP = NetworkConfig(kind="mlp", hidden=8, head=8)
SMALL_LSTM = NetworkConfig(kind="multiscale_lstm", branches=(1, 5, 20), hidden=4, head=8)
SMALL_CARRIED = NetworkConfig(kind="lstm", hidden=4, head=8, chunk=8, burn_in=8)
GOLDEN_BARS = 4
GOOD = Certificate(
    bars=100,
    fills=50,
    engine_error=0.0,
    step_error=0.0,
    discrete_explained=0,
    discrete_unexplained=0,
    policy_error=0.0,
    flips_explained=0,
    flips_unexplained=0,
    closed_loop_error=0.0,
    engine_limit=1e-4,
    step_limit=2e-6,
    policy_limit=1e-4,
)
CLEAN = LeakCheck(cuts=4, bars=100, findings=(), recursion=0.0, recursion_feature="")


def random_params(
    network: NetworkConfig, env: EnvConfig, symbols: int, features: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return parameters of random numbers, large enough that actions differ; outputs are of the order of 1."""
    random = np.random.default_rng(seed)
    shapes = parameter_shapes(network, env.choices, symbols, features, len(rule_book(env).memory))

    def draw(name: str, shape: tuple[int, ...]) -> np.ndarray:
        width = 0.3 if len(shape) < 2 else (2.0 if name.startswith("actor_out") else 1.0) / np.sqrt(shape[0])
        return random.normal(0, width, shape).astype(np.float32)

    return {name: draw(name, shape) for name, shape in shapes.items()}


def random_policy(network: NetworkConfig, env: EnvConfig, symbols: int, features: int, seed: int = 0) -> NumpyPolicy:
    """Return a policy of random parameters, without a bundle."""
    manifest: Any = SimpleNamespace(network=network, env=env)
    return NumpyPolicy(Bundle(manifest, random_params(network, env, symbols, features, seed), {}))


def random_golden(policy: NumpyPolicy, table: MarketTable, memory: int) -> dict[str, np.ndarray]:
    """Return a few inputs and the policy's own answers."""
    reach, first, symbols = policy.network.reach, table.ranges["train"].first, len(table.symbols)
    rows, random = table.features[first - reach + 1 : first + GOLDEN_BARS], np.random.default_rng(1)
    assets = random.uniform(-1, 1, (GOLDEN_BARS, symbols, 4)).astype(np.float32)
    account = random.uniform(0, 1, (GOLDEN_BARS, 3 + memory)).astype(np.float32)
    market = policy.market(rows, np.arange(reach - 1, len(rows)))
    answers = policy.head(market, AccountView(assets, account))
    return {"rows": rows, "assets": assets, "account": account, "output": answers.output, "value": answers.value}


def write_random_bundle(
    path: Path,
    table: MarketTable,
    env: EnvConfig,
    network: NetworkConfig = SMALL_MLP,
    seed: int = 0,
    **changes: Any,
) -> Path:
    """Write a certified bundle of a policy that was never trained, and return its path.

    Args:
        path: File to write.
        table: What it counts as trained on; its window is at least the network's reach.
        env: The rules.
        network: The network.
        seed: Of the parameters.
        **changes: Other fields of the manifest, `source` (of the data) among them.
    """
    features = len(table.feature_names)
    params = random_params(network, env, len(table.symbols), features, seed)
    policy: Any = NumpyPolicy(Bundle(SimpleNamespace(network=network, env=env), params, {}))  # type: ignore[arg-type]
    fields: dict[str, Any] = {
        "network": network,
        "env": env.model_copy(update={"window": table.window}),
        "market": table.config,
        "feature_names": table.feature_names,
        "scaler": scaler_record(table.scaler),
        "feature_range": feature_range(table),
        "data": {
            "source": changes.pop("source", "sample:nasdaq"),
            "sha256": table.data_hash,
            "symbols": table.symbols,
            "ranges": {},
            "warning": table.warning,
            "report": {},
        },
        "seed": seed,
        "update": 1,
        "validations": 1,
        "certificate": GOOD,
        "leaks": CLEAN,
        "versions": {},
    }
    save_bundle(path, fields | changes, params, random_golden(policy, table, len(rule_book(env).memory)))
    return path
