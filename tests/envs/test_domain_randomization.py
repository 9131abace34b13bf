"""Costs and capital given as ranges: drawn at each reset, uniformly, by each environment for itself."""

from itertools import combinations

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval_bridge.backtester import replay_actor, run_backtest
from jaxtrade.assemble import rule_params
from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.envs.lanes import start_lanes
from jaxtrade.envs.trading import EnvParams, EnvState, make_env, market_row
from jaxtrade.market.table import MarketTable
from tests.conftest import small_config
from tests.helpers.learning import MLP, Learner
from tests.helpers.worlds import decisions, env_params, make_table, random_actions, walk
from train.learner import move_lanes
from train.normalize import init_reward_scale
from train.rollout import reset_ruined, start_log
from train.state import TrainState, fresh_accounts, make_setup

WINDOW, BARS = 30, 600
KEY = jax.random.key(7)
MANY = 4096
ENDS = {  # key of the configuration -> the range, the field of the rules, and the unit
    "buy_percent": ((0.05, 0.2), "buy_rate", 0.01),
    "sell_percent": ((0.0, 0.3), "sell_rate", 0.01),
    "min_commission": ((1.0, 5.0), "min_commission", 1.0),
    "stamp_duty_percent": ((0.1, 0.5), "duty_buy", 0.01),
    "half_spread_bps": ((1.0, 4.0), "half_spread", 1e-4),
    "slippage_bps": ((0.0, 10.0), "slippage", 1e-4),
    "borrow_percent": ((1.0, 9.0), "borrow_rate", 0.01),
    "interest_percent": ((2.0, 6.0), "interest_rate", 0.01),
    "initial_cash": ((5_000.0, 50_000.0), "capital", 1.0),
}
SHORT = {"window": WINDOW, "allow_short": True, "max_leverage": 3.0, "trade_limit_percent": 80.0, "lot_size": 1.0}


def config_of(ends: dict[str, object], **changes: object) -> EnvConfig:
    """Return a configuration with these costs and this capital; the duty is paid on both sides."""
    costs = {key: value for key, value in ends.items() if key != "initial_cash"}
    cash = {"initial_cash": ends["initial_cash"]} if "initial_cash" in ends else {}
    return EnvConfig(**SHORT | cash | {"costs": CostConfig(stamp_duty_side="both", **costs)} | changes)


RANGES = config_of({key: ends for key, (ends, _, _) in ENDS.items()})
MIDDLES = config_of({key: sum(ends) / 2 for key, (ends, _, _) in ENDS.items()})
ENV = make_env(RANGES)


@pytest.fixture(scope="module")
def table() -> MarketTable:
    return make_table(WINDOW, BARS, symbols=2, missing=0.02)


@pytest.fixture(scope="module")
def params(table: MarketTable) -> EnvParams:
    return env_params(table, RANGES)


@pytest.fixture(scope="module")
def drawn(params: EnvParams) -> dict[str, np.ndarray]:
    """What many environments drew, [MANY] each."""
    _, state = jax.jit(jax.vmap(ENV.reset_env, (0, None)))(jax.random.split(KEY, MANY), params)
    return {name: np.asarray(value).reshape(MANY, -1)[:, 0] for name, value in state.drawn.items()}


# What is drawn --------------------------------------------------------------------------------------------------------


def check_uniform(values: np.ndarray, low: float, high: float) -> None:
    """Kolmogorov and Smirnov, at one in a hundred thousand; and nothing beyond the ends."""
    assert np.all((values >= low * (1 - 1e-6)) & (values <= high * (1 + 1e-6))), "beyond the ends"
    share = (np.sort(values.astype(float)) - low) / (high - low)
    rank = np.arange(len(values) + 1) / len(values)
    distance = max(np.max(rank[1:] - share), np.max(share - rank[:-1]))
    assert distance < 2.47 / np.sqrt(len(values)), f"not uniform: {distance}"


def test_each_range_is_drawn_uniformly(drawn: dict[str, np.ndarray]) -> None:
    assert set(drawn) == {field for _, field, _ in ENDS.values()} | {"duty_sell"}
    for (low, high), field, unit in ENDS.values():
        check_uniform(drawn[field], low * unit, high * unit)


def test_what_is_not_uniform_is_noticed(drawn: dict[str, np.ndarray]) -> None:
    share = drawn["sell_rate"] / 0.003
    for other in (share**1.2, share[:50].repeat(50), 0.5 + 0 * share, 1 - share**2):
        with pytest.raises(AssertionError, match="not uniform"):
            check_uniform(0.003 * other, 0.0, 0.003)
    with pytest.raises(AssertionError, match="beyond"):
        check_uniform(1.01 * drawn["sell_rate"], 0.0, 0.003)


def test_ranges_are_drawn_apart_but_for_the_two_sides_of_a_duty(drawn: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(drawn["duty_sell"], drawn["duty_buy"])
    for one, other in combinations([field for _, field, _ in ENDS.values()], 2):
        assert abs(np.corrcoef(drawn[one], drawn[other])[0, 1]) < 5 / np.sqrt(MANY), (one, other)
    one_side = RANGES.model_copy(update={"costs": RANGES.costs.model_copy(update={"stamp_duty_side": "sell"})})
    assert {"duty_buy", "duty_sell"} & set(env_params(make_table(WINDOW, BARS, 2), one_side).ranges) == {"duty_sell"}


def test_environments_and_resets_draw_differently(drawn: dict[str, np.ndarray]) -> None:
    for name, values in drawn.items():
        assert len(np.unique(values)) > 0.98 * MANY, name  # float32 has few numbers between close ends


def test_nothing_is_drawn_where_no_range_is_given(table: MarketTable) -> None:
    env = make_env(MIDDLES)
    _, state = env.reset(KEY, env_params(table, MIDDLES))
    assert state.drawn == {}
    assert (
        make_env(EnvConfig(window=WINDOW)).fresh(env_params(table, EnvConfig(window=WINDOW)), jnp.int32(99)).drawn == {}
    )


# During an episode ----------------------------------------------------------------------------------------------------


def test_an_episode_keeps_what_it_drew_and_the_next_draws_again(params: EnvParams) -> None:
    """Through the reset that follows a truncation, as gymnax makes it."""
    short = params.replace(max_steps_in_episode=jnp.int32(6))
    _, state = ENV.reset(KEY, short)
    step = jax.jit(ENV.step)
    seen = []
    for number in range(18):
        seen.append(jax.tree.map(float, jax.tree.map(lambda leaf: leaf.ravel()[0], state.drawn)))
        _, state, _, _, truncated, _ = step(jax.random.key(number), state, np.zeros(2, np.float32), short)
        assert bool(truncated) == (number % 6 == 5)
    episodes = [seen[0:6], seen[6:12], seen[12:18]]
    assert all(each == episode[0] for episode in episodes for each in episode)
    for name in seen[0]:
        assert len({episode[0][name] for episode in episodes}) == 3, name


def test_what_was_drawn_is_what_is_charged(table: MarketTable, params: EnvParams) -> None:
    """One bar of an environment costs what the rules with its own numbers say: of three, each its own."""
    bar = params.first_bar
    buy = jnp.ones(2, jnp.float32)
    known, outcome = market_row(params, bar)
    transition = jax.jit(ENV.transition)
    commissions = set()
    for number in range(3):
        state = ENV.fresh(params, bar, jax.random.key(number))
        after, _, record = transition(state, buy, known, outcome, params)
        own = {name: float(value.ravel()[0]) for name, value in state.drawn.items()}
        size = np.abs(np.asarray(record.fill_value, float))
        fees = np.maximum(own["buy_rate"] * size, own["min_commission"] / own["capital"])
        np.testing.assert_allclose(record.costs.commission, fees[size > 0].sum(), rtol=1e-5)
        np.testing.assert_allclose(record.costs.spread, own["half_spread"] * size.sum(), rtol=1e-5)
        units = size * own["capital"] / table.fill_price[int(bar)]
        np.testing.assert_allclose(units, np.round(units), rtol=1e-5)  # whole lots of one unit, at its own capital
        np.testing.assert_array_equal(after.account.lots, np.round(units))
        commissions.add(float(record.costs.commission))
    assert len(commissions) == 3


def test_other_ends_compile_nothing(table: MarketTable) -> None:
    reset = jax.jit(chex.assert_max_traces(lambda key, params: ENV.reset_env(key, params)[1], n=1))
    first = reset(KEY, env_params(table, RANGES)).drawn
    wider = config_of({key: (ends[0], 2 * ends[1]) for key, (ends, _, _) in ENDS.items()})
    second = reset(KEY, env_params(table, wider)).drawn
    assert reset._cache_size() == 1
    assert all(float(second[name].ravel()[0]) > float(first[name].ravel()[0]) for name in first)


# Where nothing is drawn -----------------------------------------------------------------------------------------------


def test_the_middle_holds_in_validation(table: MarketTable, params: EnvParams) -> None:
    """Without a key, as validation opens its account, a range is its middle."""
    span, actions = decisions(table, 200), random_actions(RANGES, 200, 2)
    state, seen = walk(ENV, params, actions)
    wanted = run_backtest(table, span, MIDDLES, replay_actor(actions, span.first))
    np.testing.assert_allclose(seen["record"].equity, wanted.series("equity"), rtol=2e-5)
    rules = rule_params(MIDDLES, table.symbols)
    for name, value in state.drawn.items():
        np.testing.assert_allclose(value, getattr(rules, name), rtol=1e-6)


def test_the_middle_holds_in_the_backtester(table: MarketTable) -> None:
    chex.assert_trees_all_close(rule_params(RANGES, table.symbols), rule_params(MIDDLES, table.symbols), rtol=1e-15)
    span, actions = decisions(table, 200), random_actions(RANGES, 200, 2)
    found, wanted = (run_backtest(table, span, each, replay_actor(actions, span.first)) for each in (RANGES, MIDDLES))
    assert found.capital == wanted.capital == 27_500
    np.testing.assert_array_equal(found.equity, wanted.equity)
    assert abs(found.equity[-1] / found.capital - 1) > 0.01


# In training ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learner() -> Learner:
    """Return what a training run carries, without a network."""
    table = make_table(WINDOW, 700, 2)
    setup, market = make_setup(small_config(env=RANGES, network=MLP), table.ranges["train"]), env_params(table, RANGES)

    def start(market: EnvParams) -> TrainState:
        key = jax.random.key(0)
        lanes = start_lanes(setup.schedule, key, market.first_bar, market.last_bar)
        env_state = fresh_accounts(setup, market, lanes.bar, key)
        return TrainState(None, None, env_state, lanes, init_reward_scale((4, 4), jnp.float32), key, jnp.int32(0))

    return Learner(setup, market, jax.jit(start)(market))


def drawn_anew(before: EnvState, after: EnvState) -> np.ndarray:
    """Return the accounts, [G, A], whose every number changed; fail where only some of them did."""
    pairs = [(np.asarray(before.drawn[name]), np.asarray(after.drawn[name])) for name in before.drawn]
    changed = np.stack([(old != new).reshape(*old.shape[:2], -1).all(-1) for old, new in pairs])
    assert np.all(changed == changed[0]), "some numbers were drawn again, others not"
    return changed[0]


def test_accounts_of_a_lane_draw_for_themselves(learner: Learner) -> None:
    for name, value in learner.state.env_state.drawn.items():
        assert value.shape[:2] == (4, 4)
        assert len(np.unique(value)) == 16, name


def test_ruined_accounts_draw_again(learner: Learner) -> None:
    setup, market, state = learner
    ruined = np.random.default_rng(0).random((4, 4)) < 0.4
    none = start_log(state.env_state.stats)
    reset = jax.jit(lambda env_state, which: reset_ruined(setup, env_state, which, none, (market, KEY))[1])
    np.testing.assert_array_equal(drawn_anew(state.env_state, reset(state.env_state, ruined)), ruined)
    same = reset(state.env_state, np.zeros((4, 4), bool))
    assert not drawn_anew(state.env_state, same).any()


def test_truncated_accounts_draw_again(learner: Learner) -> None:
    """Where a lane jumps, and nowhere else."""
    setup, market, state = learner
    none = start_log(state.env_state.stats)
    jumps = np.asarray(state.lanes.left) <= 1
    assert 0 < jumps.sum() < 4
    moved = jax.jit(lambda state: move_lanes(setup, state, state.env_state, (market, KEY), none)[0])(state)
    np.testing.assert_array_equal(drawn_anew(state.env_state, moved.env_state), jumps[:, None] & np.ones(4, bool))


def test_half_a_draw_is_noticed(learner: Learner) -> None:
    state = learner.state.env_state
    faulty = state.replace(drawn=state.drawn | {"capital": 2 * state.drawn["capital"]})
    with pytest.raises(AssertionError, match="some numbers"):
        drawn_anew(state, faulty)
