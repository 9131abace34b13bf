"""The adapter to Gymnasium: its contract, its seeds, its ends, and the same account as in both engines."""

import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import gymnasium
import gymnax
import jax
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from eval_bridge.backtester import replay_actor, run_backtest
from jaxtrade import envs
from jaxtrade.config import EnvConfig
from jaxtrade.envs import wrappers
from jaxtrade.envs.trading import TradingEnv, make_env
from jaxtrade.envs.wrappers import ToGymnasium
from jaxtrade.errors import InputError
from tests.helpers.worlds import env_params, make_table, random_actions, walk

WINDOW = 30
CONFIGS = {
    "window": EnvConfig(window=WINDOW),
    "one bar": EnvConfig(window=1),
    "discrete": EnvConfig(window=1, action="discrete9"),
    "violent": EnvConfig(window=1, allow_short=True, max_leverage=3.0, trade_limit_percent=300.0),
}
FORMS = ["window", "one bar", pytest.param("discrete", marks=pytest.mark.nightly)]
TABLE = make_table(WINDOW, 400)


@lru_cache
def adapter(name: str = "one bar", kind: type[TradingEnv] = TradingEnv) -> ToGymnasium:
    table = make_table(WINDOW, 400, volatility=0.3) if name == "violent" else TABLE
    return ToGymnasium(kind(CONFIGS[name]), env_params(table, CONFIGS[name]))


@pytest.mark.parametrize("name", FORMS)
def test_gymnasium_accepts_it_without_a_warning(name: str) -> None:
    env, config = adapter(name), CONFIGS[name]
    check_env(env)
    width = TABLE.features.shape[-1]
    assert env.observation_space.shape == (config.window * width + 4 + 3,)


def test_any_environment_of_gymnax_is_accepted() -> None:
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # not our code
        check_env(ToGymnasium(*gymnax.make("CartPole-v1")))
        with pytest.raises(InputError, match=r"reset options: bar: no such option. Leave them out"):
            ToGymnasium(*gymnax.make("CartPole-v1")).reset(options={"bar": 3})


def path(env: ToGymnasium, actions: np.ndarray, **start: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what was observed, the rewards and the equities of an episode."""
    seen, rewards, equity = [env.reset(**start)[0]], [], []
    for action in actions:
        obs, reward, terminated, truncated, info = env.step(action)
        seen, rewards, equity = [*seen, obs], [*rewards, reward], [*equity, info["equity"]]
        if terminated or truncated:
            break
    return np.array(seen), np.array(rewards), np.array(equity)


def test_a_seed_repeats_and_none_goes_on() -> None:
    env, actions = adapter(), random_actions(CONFIGS["one bar"], 5, 1)
    first, second = path(env, actions, seed=7), path(env, actions)
    np.testing.assert_array_equal(first[0], path(adapter(), actions, seed=7)[0])
    again = path(env, actions, seed=7), path(env, actions)
    np.testing.assert_array_equal(first[0], again[0][0])
    np.testing.assert_array_equal(second[0], again[1][0])
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0], path(env, actions, seed=8)[0])


@pytest.mark.parametrize("name", [pytest.param("window", marks=pytest.mark.nightly), *FORMS[1:]])
def test_its_path_is_that_of_both_engines(name: str) -> None:
    """The environment's own to the bit, the backtester's to a millionth; a bar later it is another."""
    config = CONFIGS[name]
    core, params, span = make_env(config), env_params(TABLE, config), TABLE.ranges["train"]
    actions = random_actions(config, span.decisions, 1)
    seen, rewards, equity = path(adapter(name), actions, options={"bar": span.first})
    assert len(rewards) == span.decisions
    _, own = jax.jit(lambda given: walk(core, params, given))(actions)
    np.testing.assert_allclose(rewards, own["reward"], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(equity, own["record"].equity, rtol=2e-7)
    np.testing.assert_allclose(seen[:-1, -3:], own["obs"].account, atol=1e-6)
    features = TABLE.features[span.first : span.last + 1, 0]
    np.testing.assert_array_equal(seen[:, -7 - features.shape[1] : -7], features)
    result = run_backtest(TABLE, span, config, replay_actor(actions, span.first))
    np.testing.assert_allclose(equity, result.series("equity"), rtol=1e-6)
    np.testing.assert_allclose(rewards, result.series("reward"), atol=1e-6)
    shifted = path(adapter(name), actions[:-1], options={"bar": span.first + 1})[2]
    assert np.max(np.abs(shifted / equity[:-1] - 1)) > 1e-3


def check_last_step(env: ToGymnasium) -> None:
    """Assert that the last observation is that of the bar where the range ends."""
    span = TABLE.ranges["train"]
    obs, _ = env.reset(seed=0, options={"bar": span.last - 3})
    infos = []
    for _ in range(3):
        obs, _, terminated, truncated, info = env.step(np.array([0.5], np.float32))
        infos.append(info)
    assert truncated
    assert not terminated
    np.testing.assert_array_equal(obs[:-7], TABLE.features[span.last, 0])
    assert obs[-7] > 0  # what it holds
    assert "statistics" not in infos[1]
    assert infos[2]["statistics"]["length"] == 3
    np.testing.assert_allclose(infos[2]["statistics"]["equity"], infos[2]["equity"], rtol=1e-6)


def test_the_last_observation_is_where_the_episode_ended() -> None:
    check_last_step(adapter())


class NextEpisode(TradingEnv):
    """Resets in the step, as gymnax's own adapter does: the last observation is the next episode's first."""

    def step_env(self, key: Any, state: Any, action: Any, params: Any) -> Any:
        obs, _, reward, terminated, _, info = self.step(key, state, action, params)
        return obs, super().step_env(key, state, action, params)[1], reward, terminated, info

    def step(self, key: Any, state: Any, action: Any, params: Any = None) -> Any:
        _, reached, reward, terminated, info = super().step_env(key, state, action, params)
        fresh = self.draw_start(key, params)
        ended = terminated | self.is_truncated(reached, params)
        state = jax.tree.map(lambda new, old: jax.numpy.where(ended, new, old), fresh, reached)
        return self.observe(key, state, None, params), state, reward, terminated, ended, info


def test_the_next_episode_in_its_place_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        check_last_step(adapter(kind=NextEpisode))


def test_ruin_terminates_and_does_not_truncate() -> None:
    env = adapter("violent")
    for seed in range(20):
        env.reset(seed=seed)
        terminated = truncated = False
        while not (terminated or truncated):
            _, _, terminated, truncated, info = env.step(np.ones(1, np.float32))
        if terminated:
            break
    assert terminated
    assert not truncated
    assert info["discount"] == 0
    assert info["statistics"]["ruined"] == 1


@pytest.mark.parametrize(
    ("use", "kind", "text"),
    [
        (
            lambda _: ToGymnasium(TradingEnv(CONFIGS["one bar"])).step(np.zeros(1)),
            gymnasium.error.ResetNeeded,
            "call reset",
        ),
        (lambda env: env.reset(options={"start": 3}), InputError, "reset options: start: no such option. Give {'bar'"),
        (lambda env: env.reset(options={"bar": 3}), InputError, "reset options: no decision at bar 3. Take "),
    ],
)
def test_misuse_is_told(use: Callable[[Any], Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        use(adapter())
    assert text in str(caught.value)


def test_it_is_imported_when_it_is_asked_for() -> None:
    assert envs.ToGymnasium is ToGymnasium


def test_without_gymnasium_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, wrappers.__name__)
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(InputError, match=r"ToGymnasium: gymnasium is not installed. pip install gymnasium"):
        __import__(wrappers.__name__)
