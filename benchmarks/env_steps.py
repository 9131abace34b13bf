"""Environment steps per second under random actions: `python -m benchmarks.env_steps [--quick]`.

Ours twice: through gymnax's `step` (a clock, a key and a reset for every account), and as PPO walks it (`lanes`: the
accounts of a lane share its bars). The peers are the NumPy environment of the same rules, at its best batch size and
with one account, and gymnax's CartPole, as the ideal of a cheap environment. Every subject draws its actions and
produces its observations, rewards and ends of episodes inside the measured time.
"""

from typing import Any

import gymnax
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import Report, Work, measure, parse_options, publish
from benchmarks.numpy_env import NumpyEnv, market_of, rules_of
from benchmarks.numpy_single import SingleEnv
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import synthetic_table
from jaxtrade.envs.trading import EnvParams, TradingCore, make_env_params
from jaxtrade.market.table import MarketTable, load_table
from train.config import PPOConfig, TrainConfig
from train.rollout import episode_sums, lane_bars, lane_rows, observe_all, reset_ruined
from train.state import Setup, TrainState, init_state, make_setup

ACCOUNTS, LENGTH = 4096, 128
BATCHES = (16, 64, 256, 1024, 4096, 16384)
MANY = 8  # symbols of the second market


def walk_gymnax(env: Any, params: Any, key: jax.Array) -> tuple[Any, jax.Array]:
    """Reset and step `ACCOUNTS` environments; the last observation and state, and each one's reward and ends."""

    def step(carry: tuple, key: jax.Array) -> tuple[tuple, None]:
        _, state, reward_sum, ends = carry
        key_action, key_step = jax.random.split(key)
        action = jax.vmap(env.action_space(params).sample)(jax.random.split(key_action, ACCOUNTS))
        keys = jax.random.split(key_step, ACCOUNTS)
        obs, state, reward, terminated, truncated, _ = jax.vmap(env.step, (0, 0, 0, None))(keys, state, action, params)
        return (see(obs, params), state, reward_sum + reward, ends + (terminated | truncated)), None

    key_reset, key_steps = jax.random.split(key)
    obs, state = jax.vmap(env.reset, (0, None))(jax.random.split(key_reset, ACCOUNTS), params)
    nothing = jnp.zeros(ACCOUNTS)
    return jax.lax.scan(
        step, (see(obs, params), state, nothing, nothing.astype(jnp.int32)), jax.random.split(key_steps, LENGTH)
    )[0]


def see(obs: Any, params: Any) -> Any:
    """Add the features of its bar to each account's observation, as the NumPy environment has them."""
    return (obs, params.features[obs.t]) if isinstance(params, EnvParams) else obs


def walk_lanes(setup: Setup, state: TrainState, params: EnvParams, key: jax.Array) -> Any:
    """Walk one rollout as `train.rollout.collect` does, with random actions in the place of the policy."""
    rows, bars = lane_rows(setup, state, params), lane_bars(setup, state)
    known, outcome = jax.tree.map(lambda leaf: leaf[bars.T[:-1]], (params.known, params.outcome))
    transition = jax.vmap(jax.vmap(setup.core.transition, (0, 0, None, None, None)), (0, 0, 0, 0, None))
    shape = (*state.env_state.t.shape, params.features.shape[1])

    def step(carry: tuple, now: tuple) -> tuple[tuple, None]:
        env_state, _, reward_sum, episodes = carry
        known_row, outcome_row, key = now
        obs = observe_all(setup, env_state, known_row, params)
        action = jax.random.uniform(key, shape, minval=-1.0)
        env_state, reward, record = transition(env_state, action, known_row, outcome_row, params)
        episodes, env_state = reset_ruined(setup, env_state, record.ruined, episodes, (params, key))
        return (env_state, obs, reward_sum + reward, episodes), None

    obs = observe_all(setup, state.env_state, jax.tree.map(lambda leaf: leaf[0], known), params)
    none_ended = episode_sums(state.env_state.stats, jnp.zeros(shape[:-1], bool))
    start = (state.env_state, obs, jnp.zeros(shape[:-1]), none_ended)
    return rows, jax.lax.scan(step, start, (known, outcome, jax.random.split(key, LENGTH)))[0]


def timed(program: Any, *arguments: Any, calls: int) -> Work:
    """Return the work of calling a compiled program of ACCOUNTS x LENGTH steps."""

    def work() -> int:
        for number in range(calls):
            result = program(*arguments, jax.random.key(number))
        jax.block_until_ready(result)
        return calls * ACCOUNTS * LENGTH

    return work


def gymnax_work(env: Any, params: Any, calls: int) -> Work:
    """Return the work of a gymnax environment."""
    return timed(jax.jit(lambda params, key: walk_gymnax(env, params, key)), params, calls=calls)


def lanes_work(table: MarketTable, config: EnvConfig, calls: int) -> Work:
    """Return the work of the lanes, in the default sizes but for the length of the rollout."""
    whole = TrainConfig(num_envs=ACCOUNTS, env=config, ppo=PPOConfig(rollout_length=LENGTH))
    setup = make_setup(whole, table.ranges["train"])
    params = make_env_params(table, table.ranges["train"], config)
    program = jax.jit(lambda state, params, key: walk_lanes(setup, state, params, key))
    return timed(program, init_state(setup, params), params, calls=calls)


def batched_work(table: MarketTable, config: EnvConfig, accounts: int, total: int) -> Work:
    """Return the work of the batched NumPy environment, about `total` steps."""
    env = NumpyEnv(market_of(table, table.ranges["train"]), rules_of(config), accounts)
    rng, steps = np.random.default_rng(0), max(4, total // accounts)
    env.reset()

    def work() -> int:
        for _ in range(steps):
            env.step(rng.random((accounts, env.symbols), np.float32) * 2 - 1)
        return steps * accounts

    return work


def single_work(table: MarketTable, config: EnvConfig, steps: int) -> Work:
    """Return the work of the NumPy environment with one account."""
    env = SingleEnv(market_of(table, table.ranges["train"]), rules_of(config))
    rng = np.random.default_rng(0)
    env.reset()

    def work() -> int:
        for _ in range(steps):
            result = env.step(rng.random(len(env.symbols), np.float32) * 2 - 1)
            if result.terminated or result.truncated:
                env.reset()
        return steps

    return work


def run(table: MarketTable, name: str, quick: bool) -> Report:
    """Measure everything on one market."""
    config, calls = EnvConfig(), 1 if quick else 4
    core = TradingCore(config)
    scale = (1 if quick else 4) / len(table.symbols)
    subjects = {
        "jaxtrade, lanes": lanes_work(table, config, calls),
        "jaxtrade, gymnax step": gymnax_work(
            core, make_env_params(table, table.ranges["train"], config), max(1, calls // 2)
        ),
        "gymnax CartPole-v1": gymnax_work(*gymnax.make("CartPole-v1"), max(1, calls // 2)),
        "NumPy, 1 account": single_work(table, config, int(10_000 * scale)),
        **{f"NumPy, {each} accounts": batched_work(table, config, each, int(150_000 * scale)) for each in BATCHES},
    }
    rates = measure(subjects, repeats=3 if quick else 7)
    best = max((f"NumPy, {each} accounts" for each in BATCHES), key=lambda each: rates[each].median)
    pairs = [("jaxtrade, lanes", best), ("jaxtrade, gymnax step", best), ("jaxtrade, lanes", "NumPy, 1 account")]
    pairs += [("jaxtrade, gymnax step", "gymnax CartPole-v1"), (best, "NumPy, 1 account")]
    ratios = {f"{ours} / {peer}": rates[ours].median / rates[peer].median for ours, peer in pairs}
    about = {"accounts": ACCOUNTS, "steps": LENGTH, "symbols": len(table.symbols), "action": config.action}
    about |= {"features": table.features.shape[-1], "bars": table.ranges["train"].decisions}
    return Report(f"env_steps-{name}", "steps per second", about, rates, ratios)


def main() -> None:
    """Measure one symbol of real bars, and many synthetic ones."""
    quick = parse_options("Environment steps per second under random actions.").quick
    window = EnvConfig().window
    publish(run(load_table("sample:nasdaq", MarketConfig(), window), "nasdaq", quick), quick)
    table = synthetic_table(window, symbols=MANY, bars=5000)
    publish(run(table, f"synthetic-{MANY}", quick), quick)


if __name__ == "__main__":
    main()
