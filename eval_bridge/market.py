"""The market that a bundle is judged on, and the record that its test range was opened and what came of it."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from eval_bridge.inference.asof import require_panel, source_and_config
from eval_bridge.spec import Manifest
from jaxtrade import trials
from jaxtrade.config import LoadConfig
from jaxtrade.market.loading import load_table
from jaxtrade.market.scales import scaler_from
from jaxtrade.market.table import MarketTable
from jaxtrade.market.windows import prepare, window_table

SEALED = ("test", "all")  # ranges that hold test bars


class Opened(NamedTuple):
    """A range of a market that a policy may now trade, and where that was recorded."""

    ledger: Path
    policy_sha256: str
    openings: int  # of these bars so far, this one included; 0 for a range without test bars

    def facts(self, data_sha256: str) -> dict[str, Any]:
        """Return what the ledger holds now: trials on this data, openings, and the ledger's length and head."""
        length, head = trials.head(self.ledger)
        return {
            "policy_sha256": self.policy_sha256,
            "trials": max(1, trials.count_trials(trials.read(self.ledger), data_sha256)),
            "test_openings": self.openings,
            "ledger": {"entries": length, "head": head},
        }


def load_market(manifest: Manifest, data: str | None = None, load: LoadConfig | None = None) -> MarketTable:
    """Return the market of a bundle, normalised by its own statistics.

    Args:
        manifest: The bundle's.
        data: Another source than that of training.
        load: How that is read; by default as the data of training was.

    Raises:
        InputError: The data is refused, or the policy cannot trade it.
    """
    source, market = source_and_config(manifest, data, load)
    table = load_table(source, market, manifest.env.window, scaler_from(manifest.scaler))
    require_panel(source, manifest, table.symbols)
    return table


def load_markets(
    manifests: Sequence[Manifest], data: str | None = None, load: LoadConfig | None = None
) -> list[MarketTable]:
    """Return the markets of bundles that differ in their split and statistics alone, from bars that are read once.

    Args:
        manifests: Of the bundles.
        data: Another source than that of training.
        load: How that is read; by default as the data of training was.

    Raises:
        InputError: As `load_market`.
    """
    source, market = source_and_config(manifests[0], data, load)
    prepared = prepare(source, market, manifests[0].env.window)
    require_panel(source, manifests[0], prepared.bars.symbols)
    return [window_table(prepared, each.market.split, scaler_from(each.scaler)) for each in manifests]


def open_range(ledger: Path, paths: Sequence[Path], table: MarketTable, split: str, *, once: bool = False) -> Opened:
    """Record in the trial ledger that a range with test bars is opened; another range leaves no trace.

    Args:
        ledger: The trial ledger.
        paths: The policy's file; of an ensemble, those of its policies.
        table: The market.
        split: Name of the range.
        once: What this policy already opened is not recorded again: a programme that was interrupted goes on.

    Raises:
        InputError: The range holds no decision, or the ledger is damaged or cannot be written.
    """
    span, policy = table.span(split), policy_sha256(paths)
    if split not in SEALED:
        trials.read(ledger)
        return Opened(ledger, policy, 0)
    run = Path(os.path.commonpath([path.resolve().parent for path in paths])).name
    about: dict[str, Any] = {"run": run, "data_sha256": table.data_hash, "split": split}
    known = ((each.event, each.data_sha256, each.policy_sha256, each.range) for each in trials.read(ledger))
    if not once or ("open-test", table.data_hash, policy, (span.first, span.last)) not in known:
        trials.append(ledger, "open-test", range=(span.first, span.last), policy_sha256=policy, **about)
    openings = trials.count_openings(trials.read(ledger), table.data_hash, (span.first, span.last))
    return Opened(ledger, policy, openings)


def policy_sha256(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of a policy's file; of several, that of their hashes in their order."""
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
