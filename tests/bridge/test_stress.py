"""Every cell of the stress grid is the backtest of that setting alone; the break-even cost is where the return ends."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import Backtest, policy_actor, run_backtest
from eval_bridge.delay import delayed
from eval_bridge.metrics import max_drawdown, periods_per_year, returns_of, sharpe
from eval_bridge.policy import Decision
from eval_bridge.stress import DELAYS, FEES, Stress, run_stress, smallest_crossing
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from tests.helpers.bundles import SMALL_MLP, random_policy
from tests.helpers.worlds import decisions, make_table

COSTS = {
    "buy_percent": 0.1,
    "sell_percent": 0.15,
    "min_commission": 2.0,
    "stamp_duty_percent": 0.05,
    "half_spread_bps": 1.0,
    "slippage_bps": 2.0,
    "borrow_percent": 3.0,
}
WILD = {"allow_short": True, "max_leverage": 3.0, "trade_limit_percent": 90.0, "maintenance_margin_percent": 25.0}
CASES = {
    "continuous": (1, EnvConfig(window=10, costs=COSTS, trade_limit_percent=30.0)),
    "discrete9": (1, EnvConfig(window=10, costs=COSTS, action="discrete9")),
    "positions, short": (
        1,
        EnvConfig(window=10, costs=COSTS, action="positions", positions=(1.0, 0.0, -1.0), allow_short=True),
    ),
    "panel of weights": (3, EnvConfig(window=10, costs=COSTS, action="target_weight")),
    "panel, lots, leverage, ruin": (2, EnvConfig(window=10, costs=COSTS, lot_size=1.0, **WILD)),
}
STEPS = 50


def scaled(config: EnvConfig, fees: float) -> EnvConfig:
    """Return a configuration whose costs of trading, not those of financing, are multiplied."""
    costs = {name: value * (1.0 if name == "borrow_percent" else fees) for name, value in COSTS.items()}
    return config.model_copy(update={"costs": CostConfig(**costs)})


def world(name: str) -> tuple[Any, MarketTable, Range, EnvConfig]:
    symbols, config = CASES[name]
    table = make_table(10, 300, symbols, volatility=0.12 if "ruin" in name else 0.02)
    policy = random_policy(SMALL_MLP, config, symbols, table.features.shape[-1])
    return policy, table, decisions(table, STEPS), config


@lru_cache
def stressed(name: str) -> Stress:
    return run_stress(*world(name))


def alone(name: str, fees: float, delay: int) -> Backtest:
    policy, table, span, config = world(name)
    config = scaled(config, fees)
    actor = delayed(policy_actor(policy, table, span), delay, config, len(table.symbols))
    return run_backtest(table, span, config, actor)


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("name", CASES)
def test_a_cell_is_the_backtest_of_its_setting(name: str, every: int) -> None:
    grid = stressed(name).grid
    assert list(zip(grid["fees"], grid["delay"], strict=True)) == [(fees, delay) for delay in DELAYS for fees in FEES]
    for row in [*grid.iloc[::every].itertuples(), *grid.iloc[-1:].itertuples()]:
        found = alone(name, row.fees, row.delay)
        equity = found.equity
        np.testing.assert_allclose(row.final_equity, equity[-1], rtol=1e-12)
        np.testing.assert_allclose(row.total_return, equity[-1] / equity[0] - 1, rtol=0, atol=1e-12)
        np.testing.assert_allclose(row.max_drawdown, max_drawdown(equity), rtol=0, atol=1e-12)
        wanted = float(sharpe(returns_of(equity), periods_per_year(found.time)))
        np.testing.assert_allclose(row.sharpe, wanted, rtol=1e-9)
    assert grid["final_equity"].nunique() > len(FEES), "costs and delays must both matter"
    if "ruin" in name:
        assert len(found.history) < STEPS, "the last cell must be ruined"


def test_costs_beyond_what_a_trade_is_worth_are_left_out() -> None:
    """A commission of 40 % cannot be tripled."""
    policy, table, span, config = world("continuous")
    dear = config.model_copy(update={"costs": CostConfig(buy_percent=40.0)})
    grid = run_stress(policy, table, span, dear).grid
    assert sorted(set(grid["fees"])) == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_without_an_exposure_of_zero_nothing_waits() -> None:
    table = world("positions, short")[1]
    config = EnvConfig(window=10, action="positions", positions=(1.0, 0.5))
    policy = random_policy(SMALL_MLP, config, 1, table.features.shape[-1])
    grid = run_stress(policy, table, decisions(table, 20), config).grid
    assert set(grid["delay"]) == {0}
    with pytest.raises(InputError, match="exposure of 0"):
        delayed(lambda bar, view: (0, 0.0), 1, config, 1)


class Fixed:
    """A policy that repeats what it is told, whatever it sees: its return falls with the costs."""

    def __init__(self, actions: np.ndarray) -> None:
        self.actions = actions

    def market(self, features: np.ndarray, bars: np.ndarray) -> np.ndarray:
        return self.actions[bars - bars[0]]

    def head(self, market: np.ndarray, view: Any) -> Decision:
        return Decision(market, np.float32(0))

    def act(self, decision: Decision) -> np.ndarray:
        return decision.output


def gains(cost: float, steps: int = 40) -> tuple[Fixed, MarketTable, Range, EnvConfig]:
    """Return a market that rises in every other bar, and who holds it then: a profit before costs."""
    table = make_table(10, 300)
    span = decisions(table, steps)
    outcome = table.outcome
    rises = (np.arange(len(table.time)) % 2 == span.first % 2)[:, None]
    flat = np.where(np.isfinite(outcome.move), 0.0, np.nan)
    table.outcome.move[...] = np.where(rises, 0.002, flat)
    table.outcome.gap[...] = np.where(np.isfinite(outcome.gap), 0.0, np.nan)
    table.mark[...] = np.cumprod(np.concatenate([[1.0], 1 + np.nan_to_num(outcome.move[:-1, 0])]))[:, None]
    table.fill_price[:-1] = table.mark[:-1]
    weights = (np.arange(steps) % 2 == 0).astype(np.float32)[:, None]
    config = EnvConfig(window=10, action="target_weight", costs={"buy_percent": cost, "sell_percent": cost})
    return Fixed(weights), table, span, config


@pytest.mark.parametrize("cost", [0.01, 0.02, 0.4])
def test_the_break_even_cost_by_hand(cost: float) -> None:
    """All in at the open, out at the next: a fee f on both sides leaves nothing when (1 + 0.002) (1 - f) = 1 + f."""
    wanted = 0.002 / 2.002
    found = run_stress(*gains(cost))
    assert found.break_even == pytest.approx(wanted / (cost / 100), rel=1e-3)
    assert found.break_even_bps == pytest.approx(wanted * 1e4, rel=1e-3)
    prompt = found.grid[found.grid["delay"] == 0]
    np.testing.assert_array_equal(prompt["total_return"] > 0, prompt["fees"] < found.break_even)


def test_no_break_even() -> None:
    """Costs that play no part, that are borne twenty times, and a policy that loses without any."""
    assert run_stress(*gains(0.0))[1:] == (None, None)
    assert run_stress(*gains(0.004))[1:] == (None, None)
    policy, table, span, config = gains(0.01)
    nothing = Fixed(np.zeros_like(policy.actions))
    assert run_stress(nothing, table, span, config)[1:] == (None, None)
    table.outcome.move[...] *= -1
    table.mark[...] = np.cumprod(np.concatenate([[1.0], 1 + np.nan_to_num(table.outcome.move[:-1, 0])]))[:, None]
    table.fill_price[:-1] = table.mark[:-1]
    assert run_stress(policy, table, span, config)[1:] == (0.0, 0.0)


@pytest.mark.parametrize(
    ("function", "wanted", "error"),
    [
        (lambda x: 0.7 - x, 0.7, 1e-12),
        (lambda x: (x - 2.1) * (x - 5.2) * (x - 9.9), 0.0, 0),  # negative from the start
        (lambda x: -(x - 2.1) * (x - 5.2) * (x - 9.9), 2.1, 1e-6),  # the first of three
        (lambda x: 1.0 + x, None, 0),
        (lambda x: np.where(x < 3.3, 1.0, -1.0), 3.3, 4 / 9**3),  # a jump
    ],
)
def test_the_smallest_crossing(function: Any, wanted: float | None, error: float) -> None:
    def values(points: Sequence[float]) -> list[float]:
        return [float(function(point)) for point in points]

    found = smallest_crossing(values, [0.0, 1.0, 2.0, 4.0, 8.0, 20.0])
    assert found == (None if wanted is None else pytest.approx(wanted, rel=0, abs=error))
