"""The environment as gymnax sees it: steps, resets, ranges, observations, batches, compilations."""

from functools import partial
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import environment, spaces
from gymnax.wrappers.purerl import FlattenObservationWrapper, LogWrapper

from jaxtrade.config import CostConfig, EnvConfig
from jaxtrade.envs.trading import EnvParams, TradingEnv, make_env, make_env_params
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from tests.helpers.worlds import env_params, make_table, random_actions, walk

pytestmark = pytest.mark.optimized

WINDOW = 30
CONFIG = EnvConfig(window=WINDOW)
VIOLENT = EnvConfig(window=WINDOW, allow_short=True, max_leverage=3.0, trade_limit_percent=300.0)
BARS = 600  # of every table, so that few programs are compiled
KEY = jax.random.key(0)
ENV, VIOLENT_ENV = make_env(CONFIG), make_env(VIOLENT)
HOLD = np.zeros(2, np.float32)
STEP_ENV = jax.jit(ENV.step_env)


@pytest.fixture(scope="module")
def table() -> MarketTable:
    return make_table(WINDOW, BARS, symbols=2, missing=0.02)


@pytest.fixture(scope="module")
def violent() -> MarketTable:
    return make_table(WINDOW, BARS, symbols=1, volatility=0.3)


@pytest.mark.parametrize("windowed", [False, True], ids=["core", "windowed"])
@pytest.mark.parametrize("action", ["continuous", "discrete9"])
def test_a_step_has_gymnax_six_values(action: str, windowed: bool) -> None:
    """With the default parameters, as `gymnax.make` hands them out, given or left out."""
    env = make_env(EnvConfig(window=WINDOW, action=action), windowed)
    params = env.default_params
    obs, state = env.reset(KEY, params)
    assert env.observation_space(params).contains(obs)
    sampled = env.action_space(params).sample(KEY)
    obs, state, reward, terminated, truncated, info = env.step(KEY, state, sampled)
    assert env.observation_space(params).contains(obs)
    assert reward.shape == terminated.shape == truncated.shape == ()
    assert terminated.dtype == truncated.dtype == bool
    assert state.time == 1
    for name in ("terminated", "truncated", "final_observation", "discount", "episode", "equity"):
        assert name in info
    chex.assert_trees_all_equal(info["final_observation"], obs)
    assert not bool(terminated | truncated)


def test_the_end_of_the_range_truncates_and_resets(table: MarketTable) -> None:
    params = env_params(table, CONFIG)
    _, state = jax.jit(ENV.reset_at)(KEY, params, params.last_bar - 2)
    ends = []
    for _ in range(2):
        obs, state, _, terminated, truncated, info = ENV.step(KEY, state, HOLD, params)
        ends.append((bool(terminated), bool(truncated)))
    assert ends == [(False, False), (False, True)]
    assert info["final_observation"].t == params.last_bar
    assert np.isfinite(info["final_observation"].account).all()
    assert state.time == 0
    assert obs.t == state.t
    assert params.first_bar <= state.t < params.last_bar
    assert info["discount"] == 1


def test_a_step_is_gymnax_own_step(table: MarketTable) -> None:
    """The same transition, flags and last observation, and resets at the same time; the fresh account is another."""
    core = make_env(EnvConfig(window=30))
    params = make_env_params(table, table.ranges["train"], core.config).replace(max_steps_in_episode=jnp.int32(3))
    mine, theirs = jax.jit(core.step), jax.jit(partial(environment.Environment.step, core))
    state = core.reset(jax.random.key(0), params)[1]
    for number in range(8):
        key = jax.random.key(number)
        with jax.numpy_rank_promotion("allow"):
            wanted = theirs(key, state, jnp.full(2, 0.7), params)
        found = mine(key, state, jnp.full(2, 0.7), params)
        ended = bool(found[4])
        assert ended == (number % 3 == 2)
        same = (2, 3, 4) if ended else (0, 1, 2, 3, 4)
        jax.tree.map(np.testing.assert_array_equal, [found[n] for n in same], [wanted[n] for n in same])
        jax.tree.map(np.testing.assert_array_equal, found[5], wanted[5])
        assert (int(found[1].time) == 0) == ended
        jax.tree.map(np.testing.assert_array_equal, found[0], core.observe(key, found[1], None, params))
        state = found[1]


def test_an_episode_of_given_length_truncates(table: MarketTable) -> None:
    params = env_params(table, CONFIG).replace(max_steps_in_episode=jnp.int32(3))
    _, state = jax.jit(ENV.reset_at)(KEY, params, params.first_bar)
    ends = []
    for _ in range(4):
        _, state, _, terminated, truncated, _ = ENV.step(KEY, state, HOLD, params)
        ends.append((bool(terminated), bool(truncated)))
    assert ends == [(False, False), (False, False), (False, True), (False, False)]


def test_ruin_terminates_and_is_no_truncation(violent: MarketTable) -> None:
    params = env_params(violent, VIOLENT)
    _, state = jax.jit(VIOLENT_ENV.reset_at)(KEY, params, params.first_bar)
    for _ in range(60):
        before = state
        obs, state, reward, terminated, truncated, info = VIOLENT_ENV.step(KEY, state, np.ones(1, np.float32), params)
        if terminated:
            break
    assert terminated
    assert not truncated
    assert info["discount"] == 0
    assert info["final_observation"].t == before.t + 1
    assert info["final_observation"].assets[0, 0] == 0  # nothing is held after the liquidation
    assert info["episode"]["ruined"] == 1
    assert np.isfinite(reward)
    assert state.time == 0
    assert state.stats.ruins == 0
    np.testing.assert_array_equal(obs.account, [np.tanh(np.float32(1)), 0, 1])


def test_resets_spread_over_the_range_and_never_beyond(table: MarketTable) -> None:
    whole, draws = table.ranges["train"], 20_000
    keys = jax.random.split(KEY, draws)
    first_bars = jax.jit(lambda params: jax.vmap(ENV.reset_env, (0, None))(keys, params)[1].t)
    for span in (whole, table.ranges["validation"], Range(whole.first, whole.first + 1)):
        bars = np.asarray(first_bars(make_env_params(table, span, CONFIG)))
        assert bars.min() >= span.first
        assert bars.max() < span.last
        expected = draws / span.decisions
        counts = np.bincount(bars - span.first, minlength=span.decisions)
        assert np.all(np.abs(counts - expected) <= 6 * np.sqrt(expected)), "start bars are not spread evenly"


def test_reset_at_opens_a_fresh_account_at_its_bar(table: MarketTable) -> None:
    params = env_params(table, CONFIG)
    for bar in (params.first_bar, params.last_bar - 1):
        obs, state = jax.jit(ENV.reset_at)(KEY, params, bar)
        assert obs.t == state.t == bar
        assert state.account.cash == 1
        assert not np.any(state.account.position)
        np.testing.assert_array_equal(obs.assets[:, 3], np.asarray(table.known.tradable[int(bar)], np.float32))


def check_windows(env: TradingEnv, table: MarketTable, span: Range, params: EnvParams) -> None:
    """Compare the window of every observation of a range with the rows cut out by NumPy."""
    bars = jnp.arange(span.first, span.last + 1, dtype=jnp.int32)
    seen = np.asarray(jax.jit(jax.vmap(env.reset_at, (None, None, 0)))(KEY, params, bars)[0])
    _, symbols, features = table.features.shape
    size = WINDOW * symbols * features
    windows = seen[:, :size].reshape(-1, WINDOW, symbols, features)
    for at, bar in enumerate(range(span.first, span.last + 1)):
        np.testing.assert_array_equal(windows[at], table.features[bar - WINDOW + 1 : bar + 1], err_msg=f"bar {bar}")
    assert np.isfinite(seen).all()
    assert seen.shape[1] == env.observation_space(params).shape[0] == size + symbols * 4 + 3


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_windows_are_the_last_rows_of_features(table: MarketTable, split: str) -> None:
    """First and last bar included; the range `all` starts at the first bar that may be decided on."""
    check_windows(TradingEnv(CONFIG), table, table.ranges[split], env_params(table, CONFIG, split))


def test_a_window_one_bar_late_is_noticed(table: MarketTable) -> None:
    class Late(TradingEnv):
        def observe(self, key: Any, state: Any, action: Any, params: EnvParams) -> jax.Array:
            return super().observe(key, state.replace(t=state.t - 1), action, params)

    with pytest.raises(AssertionError):
        check_windows(Late(CONFIG), table, table.ranges["validation"], env_params(table, CONFIG, "validation"))


@pytest.mark.parametrize("windowed", [False, True], ids=["core", "windowed"])
def test_observations_lie_in_their_spaces(violent: MarketTable, windowed: bool) -> None:
    """Along a violent walk with ruins and leverage."""
    env = make_env(VIOLENT, windowed=True) if windowed else VIOLENT_ENV
    params = env_params(violent, VIOLENT)
    space = env.observation_space(params)
    obs, state = env.reset(KEY, params)
    ruins = 0
    for n in range(60):
        action = np.float32([1.0 if n % 3 else -1.0])
        obs, state, _, terminated, _, info = env.step(jax.random.key(n), state, action, params)
        assert space.contains(obs)
        assert space.contains(info["final_observation"])
        ruins += int(terminated)
    assert ruins > 2
    beyond = jax.tree.map(lambda leaf: leaf + 2, obs._replace(t=obs.t)) if not windowed else obs * jnp.nan
    assert not space.contains(beyond)


def test_gymnax_wrappers_run(table: MarketTable) -> None:
    """They need rank promotion, as with gymnax's own environments."""
    env = FlattenObservationWrapper(LogWrapper(TradingEnv(CONFIG)))
    params = env_params(table, CONFIG).replace(max_steps_in_episode=jnp.int32(5))
    assert isinstance(env.observation_space(params), spaces.Box)
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        obs, state = env.reset(KEY, params)
        rewards = []
        for n in range(5):
            action = np.ones(2, np.float32)
            obs, state, reward, _, truncated, info = env.step(jax.random.key(n), state, action, params)
            rewards.append(float(reward))
    assert bool(truncated)
    assert bool(info["returned_episode"])
    assert int(info["returned_episode_lengths"]) == 5
    np.testing.assert_allclose(info["returned_episode_returns"], sum(rewards), rtol=1e-5)
    np.testing.assert_allclose(info["episode"]["return"], sum(rewards), rtol=1e-5)
    assert env.observation_space(params).contains(obs)


def test_two_thousand_copies_and_each_as_if_alone(table: MarketTable) -> None:
    """A copy in the batch is the copy alone, whatever its neighbours do."""
    params, count, length = env_params(table, CONFIG), 2048, 20
    random = np.random.default_rng(0)
    bars = random.integers(params.first_bar, params.last_bar - length, count)
    actions = jnp.asarray(random.normal(0, 1, (count, length, 2)), jnp.float32)
    many = jax.jit(jax.vmap(lambda action, bar: walk(ENV, params, action, bar)))
    state, seen = many(actions, jnp.asarray(bars, jnp.int32))
    assert seen["record"].equity.shape == (count, length)
    assert np.isfinite(seen["record"].equity).all()
    one = jax.jit(lambda action, bar: walk(ENV, params, action, bar))
    for n in (0, 777, count - 1):
        alone, shown = one(actions[n], jnp.int32(bars[n]))
        mine = jax.tree.map(lambda leaf: leaf[n], (state, seen))  # noqa: B023
        chex.assert_trees_all_close(mine, (alone, shown), rtol=5e-6, atol=5e-6)
    others = actions.at[:777].set(jnp.nan).at[778:].set(1.0)  # one program: now bitwise
    mine = jax.tree.map(lambda leaf: leaf[777], (state, seen))
    chex.assert_trees_all_equal(jax.tree.map(lambda leaf: leaf[777], many(others, jnp.asarray(bars, jnp.int32))), mine)


def test_new_costs_and_new_data_compile_nothing(table: MarketTable) -> None:
    step = jax.jit(chex.assert_max_traces(lambda state, action, params: ENV.step(KEY, state, action, params), n=1))
    start = jax.jit(ENV.reset_at)
    rewards = set()
    for seed in range(3):
        other = make_table(WINDOW, BARS, symbols=2, seed=10 + seed)
        for percent in (0.0, 0.5):
            config = EnvConfig(
                window=WINDOW, costs=CostConfig(buy_percent=percent), max_leverage=1.0 + seed, trade_limit_percent=50.0
            )
            params = env_params(other, config, ("train", "validation", "test")[seed])
            _, state = start(KEY, params, params.first_bar)
            rewards.add(float(step(state, HOLD + 1, params)[2]))
    assert len(rewards) == 6
    assert step._cache_size() == 1
    with pytest.raises(AssertionError, match="traced"):  # the counter counts: another shape is another program
        wide = env_params(make_table(WINDOW, BARS, symbols=3), CONFIG)
        step(start(KEY, wide, wide.first_bar)[1], np.ones(3, np.float32), wide)


@pytest.mark.parametrize("past", [0, 1, 50, 10_000])
def test_a_step_past_the_range_is_not_a_number(table: MarketTable, past: int) -> None:
    params = env_params(table, CONFIG)
    _, state = jax.jit(ENV.reset_at)(KEY, params, params.last_bar + past)
    _, after, reward, _, info = STEP_ENV(KEY, state, HOLD, params)
    assert np.isnan(reward)
    assert np.isnan(info["equity"])
    assert np.isnan(after.account.cash) or np.isnan(after.account.position).all()


def test_what_lies_after_a_range_is_hidden(table: MarketTable) -> None:
    params = env_params(table, CONFIG)
    last = table.ranges["train"].last
    assert np.isnan(params.features[last + 1 :]).all()
    assert not np.isnan(params.features[last]).any()
    assert np.isnan(params.outcome.gap[last:]).all()
    assert np.isnan(params.outcome.move[last:]).all()
    assert not params.outcome.can_fill[last:].any()
    assert not params.known.tradable[last + 1 :].any()
    assert not np.isnan(params.outcome.move[last - 1]).any()


def test_actions_are_reported(table: MarketTable) -> None:
    """Rejected and blocked orders reach the info."""
    params, actions = env_params(table, CONFIG), random_actions(CONFIG, 200, 2)
    actions[::7] = np.nan
    _, seen = jax.jit(lambda each: walk(ENV, params, each))(actions)
    assert np.asarray(seen["record"].rejected)[::7].all()
    open_missing = ~np.asarray(table.outcome.can_fill[table.ranges["train"].first :][:200])
    assert np.asarray(seen["record"].blocked)[open_missing].any()
    assert not np.asarray(seen["record"].blocked)[~open_missing].any()
