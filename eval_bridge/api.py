"""The policy as users hold it: load it, backtest it, ask it what to do at a close."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from eval_bridge.describe import certificate_text, warnings
from eval_bridge.ensemble import Loaded, load_policy
from eval_bridge.inference.asof import Asked, AsOf, Date, market_as_of
from eval_bridge.inference.feature_range import require_inside
from eval_bridge.inference.holdings import Holdings, holdings_of, read_account
from eval_bridge.inference.recommend import TOP, Recommendations, recommend
from eval_bridge.market import load_market, policy_sha256
from eval_bridge.relay import load_relay, require_test
from eval_bridge.spec import Manifest
from eval_bridge.turns import is_relay
from jaxtrade import trials
from jaxtrade.config import LoadConfig
from jaxtrade.market.sources import hidden
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account

if TYPE_CHECKING:
    import pandas as pd

    from eval_bridge.evaluation import Evaluation

Given = Holdings | Account | dict[str, Any] | str | Path | None


class Policy:
    """A trained policy, or several seeds of one as an ensemble."""

    def __init__(self, loaded: Loaded) -> None:
        self.policy, self.bundles, self.paths, _ = loaded
        self._programme: tuple[Path, bool] | None = None  # folder of its relay, and whether uncertified legs may trade
        self.latest: Recommendations | None = None

    @classmethod
    def load(cls, path: str | Path, allow_uncertified: bool = False) -> "Policy":
        """Load a bundle, a run's folder, a folder of seeds, or a programme's.

        Of a programme the newest policy is asked, and all of them are backtested, each in its turn.

        Args:
            path: A `policy.npz`, the folder of a run or of a programme, or a folder that holds several of either.
            allow_uncertified: Take bundles without a parity certificate.

        Raises:
            InputError: A bundle is missing, damaged or uncertified, or the seeds do not belong together.
        """
        made = cls(load_policy(Path(path), allow_uncertified))
        made._programme = (Path(path), allow_uncertified) if is_relay(Path(path)) else None
        return made

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about itself; of an ensemble, the first one."""
        return self.bundles[0].manifest

    def infer_date(
        self,
        date: Date = None,
        data: str | None = None,
        account: Given = None,
        *,
        allow_outside: bool = False,
        **asked: Any,
    ) -> Recommendations:
        """Return what to order at the close of a bar.

        Args:
            date: A day, which means its last bar, or the time of a bar; by default the latest bar.
            data: Another source than that of training.
            account: What is held: `Holdings`, a file, or a mapping such as `{"cash": 5000, "positions": {"AAPL": 10}}`;
                by default the starting capital of training in cash.
            allow_outside: Answer although features lie outside the range that training saw.
            **asked: Other fields of `Asked`: `load`, `max_age`, `today`.

        Raises:
            InputError: There is no such bar, the data is stale or unlike that of training, or the account is not
                one that the rules allow.
        """
        manifest = self.manifest
        market = market_as_of(manifest, Asked(date, data, **asked))
        if not allow_outside:
            rows = market.table.features[-manifest.network.reach :]
            for bundle in self.bundles:
                ranges = bundle.manifest.feature_range
                require_inside(rows, ranges, market.table.feature_names, market.table.symbols)
        made = recommend(self.policy, manifest.env, market.table, holdings(account))
        record(trials.ledger_path(self.paths[0]), self.paths, manifest, market)
        about = self._about(data or manifest.data.source)
        self.latest = replace(made, about=about, warnings=self._warnings(market))
        return self.latest

    def top_buys(self, n: int = TOP) -> "pd.DataFrame":
        """Return the largest buys of the last inference; of the latest bar if there was none."""
        return (self.latest or self.infer_date()).top_buys(n)

    def top_sells(self, n: int = TOP) -> "pd.DataFrame":
        """Return the largest sells of the last inference; of the latest bar if there was none."""
        return (self.latest or self.infer_date()).top_sells(n)

    def backtest(
        self, split: str = "test", data: str | None = None, load: LoadConfig | None = None, **options: Any
    ) -> "Evaluation":
        """Trade a range of the data and judge the result, as `python -m eval_bridge.backtest` does.

        Args:
            split: train, validation, test or all; ranges with test bars are recorded in the trial ledger. Of a
                programme only test.
            data: Another source than that of training.
            load: How that is read.
            **options: Fields of `eval_bridge.evaluation.Options`: lots, delay, costs, stochastic, stress.

        Raises:
            InputError: The data is refused, or the range holds no decision.
        """
        from eval_bridge.evaluation import Options, check_options, evaluate
        from eval_bridge.market import open_range

        chosen = Options(**options)
        loaded, table = self._traded(split, data, load)
        check_options(chosen, self.manifest.env, len(table.symbols))
        opened = open_range(trials.ledger_path(loaded.paths[0]), loaded.files, table, split)
        return evaluate(loaded.policy, loaded.bundles, table, split, chosen, opened)

    def _traded(self, split: str, data: str | None, load: LoadConfig | None) -> tuple[Loaded, MarketTable]:
        """Return what is backtested, and its market."""
        if self._programme is None:
            return Loaded(self.policy, self.bundles, self.paths), load_market(self.manifest, data, load)
        folder, allow_uncertified = self._programme
        require_test(folder, split)
        return load_relay(folder, allow_uncertified, data, load)

    def _about(self, source: str) -> dict[str, str]:
        seeds = f"{len(self.paths)} seeds of " if len(self.paths) > 1 else ""
        return {
            "policy": f"{seeds}{self.manifest.network.kind}, {self.manifest.env.action}, update {self.manifest.update}",
            "parity": "; ".join(dict.fromkeys(certificate_text(each.manifest)["parity"] for each in self.bundles)),
            "data": hidden(source),
        }

    def _warnings(self, market: AsOf) -> tuple[str, ...]:
        found = (text for bundle in self.bundles for text in warnings(bundle.manifest, market.table))
        return tuple(dict.fromkeys(found))


def record(ledger: Path, paths: Sequence[Path], manifest: Manifest, market: AsOf) -> None:
    """Record in a trial ledger, once a bar, that a policy was asked about the test range of the data it comes from.

    No figure depends on it: an answer is no result. But whoever asks bar by bar has walked through the range.

    Raises:
        InputError: The ledger is damaged or cannot be written.
    """
    until = np.datetime64(str(manifest.market.split.validation_until), "D")
    if market.data_sha256 != manifest.data.sha256 or market.table.time[-1] < until + 1:
        return
    bar, policy = market.bar, policy_sha256(paths)
    entries = ((each.event, each.data_sha256, each.policy_sha256, each.range) for each in trials.read(ledger))
    if ("infer", market.data_sha256, policy, (bar, bar)) in entries:
        return
    about: dict[str, Any] = {"run": paths[0].resolve().parent.name, "data_sha256": market.data_sha256, "split": "test"}
    trials.append(ledger, "infer", range=(bar, bar), policy_sha256=policy, **about)


def holdings(account: Given) -> Holdings | Account | None:
    """Return what is held, read from a file or a mapping where it is given as one."""
    if isinstance(account, str | Path):
        return read_account(Path(account))
    return holdings_of("account", account) if isinstance(account, dict) else account
