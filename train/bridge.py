"""From Flax parameters to a bundle; on the way both engines and forward passes are compared and leaks looked for."""

from pathlib import Path
from typing import Any

import numpy as np

from eval_bridge.bundle import load_bundle, save_bundle
from eval_bridge.inference.feature_range import feature_range
from eval_bridge.policy import make_policy
from jaxtrade.market.scales import scaler_record
from jaxtrade.market.sources import hidden
from jaxtrade.market.table import MarketTable
from train.certificate import certify
from train.folder import range_times, versions
from train.forward import flat_params, flax_answers, random_views
from train.leaks import check_leaks, cuts_at_export
from train.state import Setup

GOLDEN_BARS = 4


def golden_vectors(setup: Setup, params: Any, table: MarketTable) -> dict[str, np.ndarray]:
    """Return a few inputs and the network's answers, for the bundle's self-test."""
    reach, first = setup.config.network.reach, table.ranges["train"].first
    rows = table.features[first - reach + 1 : first + GOLDEN_BARS]
    view = random_views(GOLDEN_BARS, len(table.symbols), 1, len(setup.core.book.memory))
    output, value = flax_answers(setup, params, rows, np.arange(reach - 1, len(rows)), view)
    return {"rows": rows, "assets": view.assets, "account": view.account, "output": output, "value": value}


def write_bundle(path: Path, setup: Setup, table: MarketTable, params: Any, update: int) -> Path:
    """Write a bundle, read it back, and certify it on the validation range; return its path."""
    arrays, golden, config = flat_params(params), golden_vectors(setup, params, table), setup.config
    fields: dict[str, Any] = {
        "network": config.network,
        "env": config.env,
        "market": table.config,
        "feature_names": table.feature_names,
        "scaler": scaler_record(table.scaler),
        "feature_range": feature_range(table),
        "data": {
            "source": hidden(config.data),
            "sha256": table.data_hash,
            "symbols": table.symbols,
            "ranges": range_times(table),
            "warning": table.warning,
            "report": table.report,
        },
        "seed": config.seed,
        "update": update,
        "validations": -(-update // config.eval_every),
        "certificate": None,
        "leaks": None,
        "versions": versions(),
    }
    draft = path.with_name(path.name + ".draft")
    try:
        save_bundle(draft, fields, arrays, golden)
        draft_bundle = load_bundle(draft)
        policy = make_policy(draft_bundle)
        certificate = certify(setup, params, policy, table, table.ranges["validation"])
        leaks = check_leaks(draft_bundle.manifest, policy, table, cuts_at_export(table))
    finally:
        draft.unlink(missing_ok=True)
    save_bundle(path, fields | {"certificate": certificate, "leaks": leaks}, arrays, golden)
    return path
