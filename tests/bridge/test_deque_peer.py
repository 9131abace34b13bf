"""The benchmark's pandas and deque backtester follows the same rules: a ratio of speeds compares like with like."""

import numpy as np
import pytest

from benchmarks.deque_backtester import DequeBacktester
from eval_bridge.backtester import replay_actor, run_backtest
from jaxtrade.config import CostConfig, EnvConfig
from tests.helpers.worlds import decisions, make_table, random_actions


@pytest.mark.parametrize("symbols", [1, 5])
@pytest.mark.parametrize("percent", [10.0, 90.0])
def test_the_peer_ends_with_the_same_equity(symbols: int, percent: float) -> None:
    table = make_table(10, 500, symbols)
    span = decisions(table, 200)
    costs = CostConfig(buy_percent=0.1, sell_percent=0.3)
    config = EnvConfig(window=10, trade_limit_percent=percent, costs=costs)
    actions = random_actions(config, 200, symbols)
    result = run_backtest(table, span, config, replay_actor(actions, span.first))
    peer = DequeBacktester(table, span, config, window=10)
    np.testing.assert_allclose(peer.run(actions), result.equity, rtol=1e-11)
    assert (len(peer.orders), len(peer.trades)) == (len(result.ledger.orders), len(result.ledger.trades))
    profits = [sum(each["pnl"] for each in peer.trades), sum(each.profit + each.fees for each in result.ledger.trades)]
    assert profits[0] == pytest.approx(profits[1], rel=1e-9)
    assert peer.observation["window"].shape == (10, symbols * table.features.shape[-1])
    peer.sell *= 1.001
    assert np.max(np.abs(np.array(peer.run(actions)) / result.equity - 1)) > 1e-7
