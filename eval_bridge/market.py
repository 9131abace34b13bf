"""The market that a bundle is judged on, and the record that its test range was opened."""

import hashlib
from pathlib import Path
from typing import Any

from eval_bridge.spec import Manifest
from jaxtrade import trials
from jaxtrade.config import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market.loading import load_table
from jaxtrade.market.scales import scaler_from
from jaxtrade.market.table import MarketTable

SEALED = ("test", "all")  # ranges that hold test bars


def load_market(manifest: Manifest, data: str | None = None, load: LoadConfig | None = None) -> MarketTable:
    """Return the market of a bundle, normalised by its own statistics.

    Args:
        manifest: The bundle's.
        data: Another source than that of training.
        load: How that is read; by default as the data of training was.

    Raises:
        InputError: The data is refused, or the policy cannot trade it.
    """
    market, source = manifest.market, data or manifest.data.source
    load = load or market.load
    if data is not None:
        if load.events == market.load.events:
            load = load.model_copy(update={"events": None})  # they were those of the other data
        market = market.model_copy(update={"symbols": (), "interval": None})
    market = market.model_copy(update={"load": load})
    table = load_table(source, market, manifest.env.window, scaler_from(manifest.scaler))
    if manifest.env.one_symbol and len(table.symbols) != 1:
        what = f"holds {len(table.symbols)} symbols, the policy trades one"
        raise InputError(source, what, "Name a file of one symbol")
    return table


def open_range(ledger: Path, bundle: Path, table: MarketTable, split: str) -> dict[str, Any]:
    """Record in the trial ledger that a range with test bars is opened; of other ranges return what it says.

    Returns:
        Trials and openings on this data so far, this one included, and the ledger's length and head.

    Raises:
        InputError: The ledger is damaged or cannot be written.
    """
    span = table.span(split)
    if split in SEALED:
        policy = hashlib.sha256(bundle.read_bytes()).hexdigest()
        about: dict[str, Any] = {"run": bundle.parent.name, "data_sha256": table.data_hash, "split": split}
        trials.append(ledger, "open-test", range=(span.first, span.last), policy_sha256=policy, **about)
    entries = trials.read(ledger)
    openings = trials.count_openings(entries, table.data_hash, (span.first, span.last)) if split in SEALED else 0
    length, head = trials.head(ledger)
    return {
        "trials": max(1, trials.count_trials(entries, table.data_hash)),
        "test_openings": openings,
        "ledger": {"entries": length, "head": head},
    }
