"""The odd backtests: one bar, ruin, all cash, a panel. Every file is made, and what is not defined has its reason."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eval_bridge.bundle import load_bundle
from eval_bridge.evaluation import Evaluation, Options, evaluate
from eval_bridge.metrics.schema import check_schema
from eval_bridge.policy import Decision, NumpyPolicy, make_policy
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.rules import AccountView
from tests.helpers.backtests import no_pictures, read_metrics
from tests.helpers.bundles import write_random_bundle
from tests.helpers.worlds import make_table

COSTS = {"buy_percent": 0.1, "sell_percent": 0.1, "slippage_bps": 1.0, "borrow_percent": 2.0}
WILD = {"allow_short": True, "max_leverage": 3.0, "trade_limit_percent": 150.0, "maintenance_margin_percent": 30.0}
ENVS = {
    "one bar": (1, EnvConfig(window=10, dead_band=0.0, costs=COSTS), 1),
    "two bars": (1, EnvConfig(window=10, action="discrete9"), 2),
    "all cash": (1, EnvConfig(window=10), 80),
    "ruin": (1, EnvConfig(window=10, costs=COSTS, **WILD), 80),
    "panel": (4, EnvConfig(window=10, action="target_weight", lot_size=1.0, costs=COSTS), 80),
    "panel, short, dividends": (3, EnvConfig(window=10, dead_band=0.0, costs=COSTS, **WILD), 60),
}

NAMES = [pytest.param(name, marks=[pytest.mark.nightly] * (name in ("two bars", "panel"))) for name in ENVS]


class Idle(NumpyPolicy):
    """Never trades."""

    def head(self, market: np.ndarray, view: AccountView) -> Decision:
        decision = super().head(market, view)
        return decision._replace(output=np.zeros_like(decision.output))


class AllIn(NumpyPolicy):
    """Always wants more."""

    def head(self, market: np.ndarray, view: AccountView) -> Decision:
        decision = super().head(market, view)
        return decision._replace(output=np.ones_like(decision.output))


def made(folder: Path, name: str, options: Options) -> Evaluation:
    symbols, env, steps = ENVS[name]
    table = make_table(10, 400, symbols, volatility=0.25 if name == "ruin" else 0.02, missing=0.02 * (symbols > 1))
    first, last = table.ranges["test"]
    table.ranges["test"] = Range(first, min(first + steps, last))
    bundle = load_bundle(write_random_bundle(folder / "policy.npz", table, env))
    kind = {"all cash": Idle, "ruin": AllIn}.get(name)
    policy: Any = make_policy(bundle) if kind is None else kind(bundle)
    return evaluate(policy, bundle, table, "test", options)


@pytest.mark.parametrize("name", NAMES)
def test_every_backtest_has_all_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    if name not in ("one bar", "ruin"):
        no_pictures(monkeypatch)
    found = made(tmp_path, name, Options(stochastic=2, stress=True, delay=1 if "panel" in name else 0))
    found.write(tmp_path / "out")
    metrics = read_metrics(tmp_path / "out")
    assert check_schema(metrics) == []
    assert set(metrics["undefined"]) == {key for key, value in metrics["policy"].items() if value is None}
    assert metrics["honesty"]["verdict"] in str(found).replace("\n  ", " ")
    numbers = [value for value in metrics["policy"].values() if value is not None]
    assert max(map(abs, numbers)) < 1e8
    assert found.break_even_text
    checks = {
        "one bar": lambda: metrics["calendar"]["bars"] == 1 and metrics["policy"]["sharpe"] is None,
        "two bars": lambda: metrics["calendar"]["bars"] == 2,
        "all cash": lambda: (metrics["policy"]["total_return"], metrics["honesty"]["p_value"]) == (0, 1),
        "ruin": lambda: metrics["policy"]["ruined"] == 1 and "ruined on" in metrics["honesty"]["verdict"],
        "panel": lambda: metrics["constraints"]["lot_size"] > 0,
        "panel, short, dividends": lambda: metrics["policy"]["borrow"] > 0,
    }
    assert checks[name](), (name, metrics)


def test_a_seed_of_an_ensemble_counts_for_the_warnings(tmp_path: Path) -> None:
    symbols, env, _ = ENVS["one bar"]
    table = make_table(10, 400, symbols)
    bundles = [
        load_bundle(write_random_bundle(tmp_path / f"{seed}.npz", table, env, seed=seed, **changes))
        for seed, changes in enumerate([{}, {"leaks": None}])
    ]
    table.ranges["test"] = Range(table.ranges["test"].first, table.ranges["test"].first + 30)
    found = evaluate(make_policy(bundles[0]), bundles, table, "test")
    assert found.warnings == ("NOT CERTIFIED: it holds no leak check",)
    assert found.about["leak check"].endswith("; not made")
    assert found.provenance["seeds"] == [0, 1]


def test_break_even_in_words() -> None:
    def words(multiple: float | None, bps: float | None, fees: float = 1.0) -> str:
        figures = {"fees": fees, "spread": 0.0, "slippage": 0.0}
        evaluation: Any = SimpleNamespace(stress=1, break_even=multiple, break_even_bps=bps, figures=figures)
        return Evaluation.break_even_text.fget(evaluation)  # type: ignore[attr-defined]

    assert words(2.345, 23.45) == "2.35 times the costs, 23.4 bps of the value traded"
    assert words(0.0, 0.0) == "none, the return is not above zero even without costs"
    assert words(None, None) == "none up to 20 times the costs"
    assert words(None, None, fees=0.0) == "none, no trade cost anything"
