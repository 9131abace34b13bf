"""The validation walk: after ruin nothing happens any more, as in the backtester, which stops."""

import jax
import jax.numpy as jnp
import numpy as np

from eval_bridge.backtester import replay_actor, run_backtest
from tests.helpers.learning import MLP, VIOLENT, make_learner
from tests.helpers.worlds import make_table
from train.evaluate import compile_evaluation, walk


def test_a_ruined_account_stays_as_it_is() -> None:
    table = make_table(30, 700, volatility=0.3)
    setup, market, state = make_learner(table, env=VIOLENT, network=MLP)
    span = table.ranges["train"]
    params = jax.tree.map(np.array, jax.device_get(state.params))
    params["actor_out"]["bias"] += 1.0  # buys all it can, on three times leverage
    last, seen = jax.jit(lambda each: walk(setup, each, market, span.decisions))(params)
    equity, action = np.asarray(seen["equity"]), np.asarray(seen["action"])
    result = run_backtest(table, span, setup.config.env, replay_actor(action, span.first))
    lived = len(result.steps)
    assert lived < span.decisions - 10
    assert result.steps[-1].record.ruined
    np.testing.assert_allclose(equity[:lived], result.series("equity"), rtol=2e-5)
    np.testing.assert_array_equal(equity[lived:], equity[lived - 1])
    assert last.stats.length == lived
    assert last.t == span.last
    assert not np.any(last.account.position)
    figures = compile_evaluation(setup, span.decisions)(params, market)
    assert figures["ruined"] == 1
    np.testing.assert_allclose(figures["log_growth"], np.log(result.series("equity")[-1]), rtol=1e-4)
    np.testing.assert_allclose(figures["equity"], jnp.exp(figures["log_growth"]), rtol=1e-6)
