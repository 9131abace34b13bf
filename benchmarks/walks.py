"""Walks through an environment under random actions, compiled; every step draws, steps, observes, ends and resets."""

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.harness import Work
from jaxtrade.config import EnvConfig
from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.market.table import MarketTable
from train.config import LanesPPOConfig, TrainConfig
from train.rollout import lane_bars, lane_rows, observe_all, reset_ruined, start_log
from train.state import Setup, TrainState, init_state, make_setup

ACCOUNTS, LENGTH = 4096, 128


def walk_gymnax(env: Any, params: Any, key: jax.Array, accounts: int, length: int) -> Any:
    """Reset and step some environments; the last observation and state, and each one's reward and ends."""

    def step(carry: tuple[Any, ...], key: jax.Array) -> tuple[tuple[Any, ...], None]:
        _, state, reward_sum, ends = carry
        key_action, key_step = jax.random.split(key)
        action = jax.vmap(env.action_space(params).sample)(jax.random.split(key_action, accounts))
        keys = jax.random.split(key_step, accounts)
        obs, state, reward, terminated, truncated, _ = jax.vmap(env.step, (0, 0, 0, None))(keys, state, action, params)
        return (see(obs, params), state, reward_sum + reward, ends + (terminated | truncated)), None

    key_reset, key_steps = jax.random.split(key)
    obs, state = jax.vmap(env.reset, (0, None))(jax.random.split(key_reset, accounts), params)
    nothing = jnp.zeros(accounts)
    start = (see(obs, params), state, nothing, nothing.astype(jnp.int32))
    return jax.lax.scan(step, start, jax.random.split(key_steps, length))[0]


def see(obs: Any, params: Any) -> Any:
    """Add the features of its bar to each account's observation, as the NumPy environment has them."""
    return (obs, params.features[obs.t]) if isinstance(params, EnvParams) else obs


def walk_lanes(setup: Setup, state: TrainState, params: EnvParams, key: jax.Array) -> Any:
    """Walk one rollout as `train.rollout.collect` does, with random actions in the place of the policy."""
    rows, bars = lane_rows(setup, state, params), lane_bars(setup, state)
    known, outcome = jax.tree.map(lambda leaf: leaf[bars.T[:-1]], (params.known, params.outcome))
    transition = jax.vmap(jax.vmap(setup.core.transition, (0, 0, None, None, None)), (0, 0, 0, 0, None))
    shape = (*state.env_state.t.shape, params.features.shape[1])

    def step(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], None]:
        env_state, _, reward_sum, episodes = carry
        known_row, outcome_row, key = now
        obs = observe_all(setup, env_state, known_row, params)
        action = jax.random.uniform(key, shape, minval=-1.0)
        env_state, reward, record = transition(env_state, action, known_row, outcome_row, params)
        episodes, env_state = reset_ruined(setup, env_state, record.ruined, episodes, (params, key))
        return (env_state, obs, reward_sum + reward, episodes), None

    obs = observe_all(setup, state.env_state, jax.tree.map(lambda leaf: leaf[0], known), params)
    start = (state.env_state, obs, jnp.zeros(shape[:-1]), start_log(state.env_state.stats))
    return rows, jax.lax.scan(step, start, (known, outcome, jax.random.split(key, setup.schedule.length)))[0]


def timed(program: Any, *arguments: Any, calls: int, steps: int) -> Work:
    """Return the work of calling a compiled program of so many steps."""

    def work() -> int:
        for number in range(calls):
            result = program(*arguments, jax.random.key(number))
        jax.block_until_ready(result)
        return calls * steps

    return work


def gymnax_work(env: Any, params: Any, calls: int, accounts: int = ACCOUNTS, length: int = LENGTH) -> Work:
    """Return the work of a gymnax environment."""
    program = jax.jit(lambda params, key: walk_gymnax(env, params, key, accounts, length))
    return timed(program, params, calls=calls, steps=accounts * length)


def lanes_work(
    table: MarketTable, config: EnvConfig, calls: int, accounts: int = ACCOUNTS, length: int = LENGTH
) -> Work:
    """Return the work of the lanes, in the default sizes but for the accounts and the length of the rollout."""
    whole = TrainConfig(num_envs=accounts, env=config, ppo=LanesPPOConfig(rollout_length=length))
    setup = make_setup(whole, table.ranges["train"], len(table.symbols))
    params = make_env_params(table, table.ranges["train"], config)
    program = jax.jit(lambda state, params, key: walk_lanes(setup, state, params, key))
    return timed(program, init_state(setup, params), params, calls=calls, steps=accounts * length)
