"""Each lane is the backtest of that lane alone, to the last bit."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eval_bridge.backtester import policy_actor, run_backtest
from eval_bridge.bundle import Bundle
from eval_bridge.lanes import Lanes, policy_lanes, run_lanes
from eval_bridge.policy import NumpyPolicy
from eval_bridge.spec import NetworkConfig, parameter_shapes
from jaxtrade.assemble import rule_params
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import RuleParams
from tests.helpers.worlds import make_table, random_actions

LANES, STEPS = 9, 120
WILD = {"allow_short": True, "max_leverage": 3.0, "trade_limit_percent": 150.0, "maintenance_margin_percent": 20.0}
CONFIGS = {
    "one symbol": (1, EnvConfig(window=10)),
    "one symbol, discrete": (1, EnvConfig(window=10, action="discrete9", reward={"calmar": 1.0})),
    "one symbol, wild": (1, EnvConfig(window=10, **WILD)),
    "twelve symbols": (12, EnvConfig(window=10, trade_limit_percent=40.0)),
    "three symbols, lots, wild": (3, EnvConfig(window=10, lot_size=1.0, **WILD)),
    "weights": (3, EnvConfig(window=10, action="target_weight", reward={"differential_sharpe": 1.0})),
}


def lane_config(config: EnvConfig, k: int) -> EnvConfig:
    """Return the costs of lane k."""
    costs = CostConfig(buy_percent=0.05 * k, sell_percent=0.1, slippage_bps=2.0 * k, borrow_percent=k, min_commission=k)
    return config.model_copy(update={"costs": costs})


def grid(config: EnvConfig, table: MarketTable) -> RuleParams:
    """Return the numbers of all lanes: leaves [K, 1] or [K], those of the rewards shared."""
    each = [rule_params(lane_config(config, k), table.symbols) for k in range(LANES)]
    stacked = {name: np.stack([getattr(one, name) for one in each]) for name in RuleParams._fields if name != "reward"}
    return RuleParams(**stacked, reward=each[0].reward)


def world(name: str, shifted: bool) -> tuple[MarketTable, EnvConfig, np.ndarray, np.ndarray]:
    """Return a market, a configuration, first bars and actions [K, L, ...]."""
    symbols, config = CONFIGS[name]
    table = make_table(10, 600, symbols, missing=0.03, volatility=0.08 if "wild" in name else 0.01)
    starts = table.ranges["all"].first + (37 * np.arange(LANES) if shifted else np.zeros(LANES, int))
    return table, config, starts, np.stack([random_actions(config, STEPS, symbols, seed=k) for k in range(LANES)])


def walked(name: str, shifted: bool, **kind: Any) -> Lanes:
    table, config, starts, actions = world(name, shifted)
    return run_lanes(
        table,
        starts,
        STEPS,
        config,
        lambda bars, view: actions[:, int(bars[0] - starts[0])],
        grid(config, table),
        **kind,
    )


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_lane_is_its_backtest(name: str, shifted: bool) -> None:
    table, config, starts, actions = world(name, shifted)
    lanes = walked(name, shifted, keep=("turnover", "fill_value"))
    for k, first in enumerate(starts.tolist()):
        alone = run_backtest(
            table,
            Range(first, first + STEPS),
            lane_config(config, k),
            lambda bar, view, k=k, first=first: (actions[k, bar - first], 0.0),
        )
        lived = len(alone.steps)
        assert (lanes.lived[k], lanes.ruined[k]) == (lived, alone.steps[-1].record.ruined)
        np.testing.assert_array_equal(lanes.equity[: lived + 1, k], alone.equity)
        assert np.all(lanes.equity[lived:, k] == alone.equity[-1])
        for field in ("turnover", "fill_value"):
            np.testing.assert_array_equal(lanes.kept[field][:lived, k], alone.series(field))
            assert not lanes.kept[field][lived:, k].any()
        commission = sum(float(step.record.costs.commission) for step in alone.steps)
        assert lanes.sums["commission"][k] == pytest.approx(commission, rel=1e-12)
        assert lanes.sums["reward"][k] == pytest.approx(sum(step.reward for step in alone.steps), rel=1e-9, abs=1e-12)
    assert lanes.ruined.any() == ("wild" in name)
    assert len(np.unique(lanes.equity[-1])) == LANES


def test_a_lane_that_hears_of_another_bar_is_noticed() -> None:
    """The comparison is of all that moves: a lane one bar late ends elsewhere."""
    table, config, starts, actions = world("one symbol", shifted=True)
    late = run_lanes(table, starts + 1, STEPS, config, lambda bars, view: actions[:, int(bars[0] - starts[0] - 1)])
    right = run_lanes(table, starts, STEPS, config, lambda bars, view: actions[:, int(bars[0] - starts[0])])
    assert np.all(late.equity[-1] != right.equity[-1])


def test_the_actor_sees_every_account() -> None:
    """An actor that answers by what it sees is the same actor in a lane as alone."""
    table, config, starts, _ = world("twelve symbols", shifted=True)
    answer = lambda view: 0.4 - view.assets[..., 0] * 3 + view.account[..., 1:2]  # noqa: E731
    lanes = run_lanes(table, starts, STEPS, config, lambda bars, view: answer(view))
    for k, first in enumerate(starts.tolist()):
        alone = run_backtest(table, Range(first, first + STEPS), config, lambda bar, view: (answer(view), 0.0))
        np.testing.assert_array_equal(lanes.equity[:, k], alone.equity)


@pytest.mark.parametrize("action", ["continuous", "discrete9"])
def test_a_policy_walks_lanes_as_it_walks_alone(action: str) -> None:
    """To the rounding of float32, in which a batch is multiplied in another order."""
    table, _, starts, _ = world("one symbol", shifted=True)
    config = EnvConfig(window=10, action=action)
    network = NetworkConfig(kind="multiscale_lstm", branches=(1, 5), hidden=8, head=16)
    shapes, rng = parameter_shapes(network, config.choices, 1, table.features.shape[-1], 0), np.random.default_rng(0)
    params = {name: rng.normal(0, 0.7, shape).astype(np.float32) for name, shape in shapes.items()}
    manifest = SimpleNamespace(network=network, env=config)
    policy = NumpyPolicy(Bundle(manifest, params, {}))  # type: ignore[arg-type]
    lanes = run_lanes(table, starts, STEPS, config, policy_lanes(policy, table, starts, STEPS))
    for k, first in enumerate(starts.tolist()):
        span = Range(first, first + STEPS)
        alone = run_backtest(table, span, config, policy_actor(policy, table, span))
        np.testing.assert_allclose(lanes.equity[:, k], alone.equity, rtol=1e-6)
    assert np.ptp(lanes.equity[-1]) > 100


@pytest.mark.parametrize(("shift", "steps"), [(-1, 10), (0, 0), (10_000, 1)])
def test_lanes_outside_of_the_table_are_refused(shift: int, steps: int) -> None:
    table, config, starts, _ = world("one symbol", shifted=False)
    with pytest.raises(InputError, match="lanes"):
        run_lanes(table, starts + shift, steps, config, lambda bars, view: np.zeros((LANES, 1)))
