"""Everything that is said about one backtest, gathered once: the files and the report only show it."""

import webbrowser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from eval_bridge.backtester import Backtest
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.market.table import MarketTable

if TYPE_CHECKING:
    import pandas as pd

    from eval_bridge.books.ledger import LotMethod
    from eval_bridge.bundle import Bundle
    from eval_bridge.market import Opened

FloatArray = npt.NDArray[np.float64]
Watch = Callable[[str, int, int], None] | None  # told what is done, how much of it, and how much there is (0: unknown)
LOTS = ("fifo", "lifo", "average")


@dataclass(frozen=True)
class Options:
    """How a backtest is run; what is not given is as the bundle says."""

    lots: "LotMethod" = "fifo"  # fifo, lifo or average
    delay: int = 0  # bars that every action waits before it is decoded
    costs: dict[str, Any] = field(default_factory=dict)  # fields of env.costs that differ from the bundle's
    stochastic: int = 0  # sampled runs beside the deterministic one
    stress: bool = False  # run the grid of fees and delays

    def applied(self, env: EnvConfig) -> EnvConfig:
        """Return the rules with the costs that differ.

        Raises:
            InputError: A cost is unknown, or is not one.
        """
        known = env.costs.model_dump()
        for name in self.costs:
            if name not in known:
                raise InputError("--costs", f"unknown cost '{name}'", did_you_mean(name, known))
        try:
            return env.model_copy(update={"costs": CostConfig.model_validate(known | self.costs)})
        except ValidationError as error:
            first = error.errors()[0]
            what = f"{first['msg'].removeprefix('Value error, ')}, got {first['input']!r}"
            raise InputError(f"--costs {first['loc'][0]}", what, "For example --costs buy_percent=0.05") from None

    @property
    def as_trained(self) -> bool:
        """True if the account trades by the rules of training."""
        return not self.costs and self.delay == 0


AS_TRAINED = Options()


def check_options(options: Options, env: EnvConfig, symbols: int) -> None:
    """Refuse options before anything is opened.

    Raises:
        InputError: One has a value that it cannot have.
    """
    from eval_bridge.delay import hold_action

    options.applied(env)
    if options.lots not in LOTS:
        raise InputError("--lots", f"unknown method '{options.lots}'", did_you_mean(options.lots, LOTS))
    for name in ("delay", "stochastic"):
        number = getattr(options, name)
        if number < 0:
            raise InputError(f"--{name}", f"must be at least 0, got {number}", "Leave it out for none")
    if options.delay:
        hold_action(env, symbols)


@dataclass(frozen=True)
class Baseline:
    """A rule without skill, through the same engine at the same costs."""

    title: str
    note: str  # how it trades, one sentence
    equity: FloatArray  # [K + 1] money, at the marks of the backtest
    figures: dict[str, float]


@dataclass(frozen=True)
class Tables:
    """The books as data frames; columns as in docs/backtest.md."""

    equity: "pd.DataFrame"
    trades: "pd.DataFrame"
    orders: "pd.DataFrame"
    positions: "pd.DataFrame"


@dataclass(frozen=True)
class Evaluation:
    """A backtest, judged. `K` decisions."""

    split: str
    about: dict[str, str]  # what was run, as text, by row: data, costs, certificate, leak check, trial ledger
    warnings: tuple[str, ...]  # shown above everything
    config: str  # YAML of what the bundle was trained with
    provenance: dict[str, Any]  # hashes, versions, ledger head, openings: facts of this very run
    result: Backtest
    tables: Tables
    figures: dict[str, float]  # of the policy, by the names of eval_bridge.metrics.catalog
    undefined: dict[str, str]  # why a figure is NaN
    baselines: dict[str, Baseline]  # cash, buy_and_hold, equal_weight, random, momentum
    honesty: dict[str, Any]  # verdict, p-value, intervals: docs/honesty.md
    constraints: dict[str, int]  # how often each limit bound
    rewards: "pd.DataFrame"  # [K, R] every reward along the backtest
    stress: "pd.DataFrame | None" = (
        None  # rows: fees (multiple), delay (bars), final_equity, total_return, sharpe, max_drawdown
    )
    break_even: float | None = None  # smallest multiple of the costs at which the return is not above zero, up to 20
    break_even_bps: float | None = None  # what trading costs there, in basis points of the value traded
    stochastic: "pd.DataFrame | None" = None  # rows: sample, final_equity, total_return, sharpe, max_drawdown

    @property
    def verdict(self) -> str:
        """The plain line that stands beside every result."""
        return str(self.honesty["verdict"])

    @property
    def break_even_text(self) -> str:
        """The break-even cost in words, empty without a stress test."""
        if self.stress is None:
            return ""
        if self.break_even is None or self.break_even_bps is None:
            paid = sum(self.figures[name] for name in ("fees", "spread", "slippage"))
            return "none up to 20 times the costs" if paid else "none, no trade cost anything"
        if self.break_even == 0:
            return "none, the return is not above zero even without costs"
        return f"{self.break_even:.2f} times the costs, {self.break_even_bps:.1f} bps of the value traded"

    def __str__(self) -> str:
        """Return the short table with its verdict."""
        from eval_bridge.console import console_text

        return console_text(self)

    def write(self, folder: str | Path, format: str = "csv") -> Path:
        """Write the files and the report into a folder; return the report's path.

        Raises:
            InputError: It cannot be written.
        """
        from eval_bridge.files import write_evaluation

        return write_evaluation(Path(folder), self, format)

    def open_report(self) -> Path:
        """Write the report into a temporary folder, show it in the browser, and return its path."""
        import tempfile

        report = self.write(tempfile.mkdtemp(prefix="jaxtrade-"))
        webbrowser.open(report.as_uri())
        return report


def evaluate(
    policy: Any,
    bundle: "Bundle | Sequence[Bundle]",
    table: MarketTable,
    split: str,
    options: Options = AS_TRAINED,
    opened: "Opened | None" = None,
    watch: Watch = None,
) -> Evaluation:
    """Trade a range with a policy, and gather all that is to be said about it.

    Args:
        policy: A `NumpyPolicy`, an `Ensemble`, or a `Relay`.
        bundle: What it was loaded from; of an ensemble or a relay, all of them.
        table: The market.
        split: Name of the range.
        options: How it is run.
        opened: Where the opening of the range was recorded; the result is recorded there too. None: nowhere.
        watch: Told how far it is.

    Raises:
        InputError: The range holds no decision, or the options do not fit.
        Mismatch: The books and the rules disagree.
    """
    from eval_bridge import describe, steps
    from eval_bridge.books.orders import constraint_counts
    from eval_bridge.bundle import Bundle

    manifests = [each.manifest for each in ((bundle,) if isinstance(bundle, Bundle) else bundle)]
    config = options.applied(manifests[0].env)
    legs = getattr(policy, "legs", ())  # of a relay
    result = steps.trade(policy, table, table.span(split), config, options, watch)
    tables = steps.tables_of(result)
    trials = steps.record(opened, result, split, options)
    baselines = steps.run_rules(result, watch)
    figures, undefined = steps.figures_of(result, tables, baselines)
    return Evaluation(
        split=split,
        about=describe.describe_all(manifests, result, split, options, legs) | describe.trial_text(opened, trials),
        warnings=describe.warnings_of_all(manifests, table),
        config=describe.config_text(manifests, legs),
        provenance=describe.provenance(manifests, result, split, options, opened) | describe.legs_of(legs, table),
        result=result,
        tables=tables,
        figures=figures,
        undefined=undefined,
        baselines=baselines,
        honesty=steps.judged(result, baselines, trials, watch),
        constraints=constraint_counts(tables.orders),
        rewards=steps.rewards_of(result),
        **steps.extras(policy, result, options, watch),
    )


@dataclass(frozen=True)
class Comparison:
    """Several runs over the same bars."""

    names: tuple[str, ...]
    time: npt.NDArray[np.datetime64]  # [K + 1]
    equity: dict[str, FloatArray]  # [K + 1] by run, and "buy_and_hold"
    figures: dict[str, dict[str, float]]  # by run
    honesty: dict[str, dict[str, Any]]  # by run
    superior: dict[str, Any]  # superior predictive ability over buy and hold
    about: dict[str, str]
