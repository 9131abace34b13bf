"""From Flax parameters to a bundle; on the way both engines and forward passes are compared and leaks looked for."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval_bridge.bundle import Bundle, load_bundle, save_bundle
from eval_bridge.inference.feature_range import feature_range
from eval_bridge.policy import NumpyPolicy, make_policy
from eval_bridge.spec import Manifest
from jaxtrade.market.scales import scaler_record
from jaxtrade.market.sources import hidden
from jaxtrade.market.table import MarketTable
from train.batched import Batched
from train.certificate import certify
from train.folder import range_times, versions
from train.forward import flat_params, flax_answers, random_views
from train.leaks import check_leaks, cuts_at_export
from train.referee import Referee, referee_for
from train.state import Setup

GOLDEN_BARS = 4


class Origin(NamedTuple):
    """Where parameters come from, for the manifest."""

    seed: int
    validations: int  # times that a policy was compared on the validation range up to then


def origin_of(setup: Setup, update: int) -> Origin:
    """Return where the parameters of an ordinary run come from."""
    return Origin(setup.config.seed, -(-update // setup.config.eval_every))


def golden_vectors(
    setup: Setup, params: Any, table: MarketTable, forward: Batched | None = None
) -> dict[str, np.ndarray]:
    """Return a few inputs and the network's answers, for the bundle's self-test."""
    reach, first = setup.config.network.reach, table.ranges["train"].first
    rows = table.features[first - reach + 1 : first + GOLDEN_BARS]
    view = random_views(GOLDEN_BARS, len(table.symbols), 1, len(setup.core.book.memory))
    forward = None if forward is None else forward._replace(size=GOLDEN_BARS)
    output, value, _ = flax_answers(setup, params, rows, np.arange(reach - 1, len(rows)), view, forward)
    return {"rows": rows, "assets": view.assets, "account": view.account, "output": output, "value": value}


def manifest_fields(setup: Setup, table: MarketTable, update: int, origin: Origin) -> dict[str, Any]:
    """Return all that a manifest says, but for the arrays; neither certified nor checked for leaks."""
    return {
        "network": setup.config.network,
        "env": setup.config.env,
        "market": table.config,
        "feature_names": table.feature_names,
        "scaler": scaler_record(table.scaler),
        "feature_range": feature_range(table),
        "data": {
            "source": hidden(setup.config.data),
            "sha256": table.data_hash,
            "symbols": table.symbols,
            "ranges": range_times(table),
            "warning": table.warning,
            "report": table.report,
        },
        "seed": origin.seed,
        "update": update,
        "validations": origin.validations,
        "certificate": None,
        "leaks": None,
        "versions": versions(),
    }


def write_bundle(
    path: Path,
    setup: Setup,
    table: MarketTable,
    params: Any,
    update: int,
    referee: Referee | None = None,
    origin: Origin | None = None,
) -> Path:
    """Write a bundle, read it back, and certify it on the validation range; return its path.

    Args:
        path: The file.
        setup: The static parts of training.
        table: The market.
        params: Of the policy.
        update: After which they were taken.
        referee: The compiled programs of earlier exports; made for this one when None.
        origin: Seed and validations, where they are not those of an ordinary run.
    """
    span = table.span("validation")
    referee = referee_for(referee, setup, span)
    arrays, golden = flat_params(params), golden_vectors(setup, params, table, referee.forward)
    fields = manifest_fields(setup, table, update, origin or origin_of(setup, update))
    draft = path.with_name(path.name + ".draft")
    try:
        save_bundle(draft, fields, arrays, golden)
        bundle = load_bundle(draft)
        policy = make_policy(bundle)
        certificate = certify(setup, params, policy, table, span, referee)
        leaks = check_leaks(bundle.manifest, policy, table, cuts_at_export(table), referee.walk_back)
    finally:
        draft.unlink(missing_ok=True)
    save_bundle(path, fields | {"certificate": certificate, "leaks": leaks}, arrays, golden)
    return path


def numpy_policy(setup: Setup, params: Any, table: MarketTable) -> NumpyPolicy:
    """Return the policy of parameters in NumPy, as a bundle of them would hold it, without a file."""
    fields = manifest_fields(setup, table, 0, origin_of(setup, 0))
    manifest = Manifest(schema_version=4, **fields, arrays={})
    return NumpyPolicy(Bundle(manifest, flat_params(params), {}))
