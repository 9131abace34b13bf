"""A kind of training that is a few lines: the host loop without a market."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from train.config import PPOConfig, RunConfig
from train.figures import Figures
from train.job import Job, Programs, Training, compile_copy, mean_figures
from train.learner import CHUNK
from train.memory import Need

ROOM = 3  # episodes an update keeps
State = dict[str, jax.Array]


class FakeConfig(RunConfig):
    """The smallest configuration."""

    env: str = "fake"
    num_envs: int = 2
    ppo: PPOConfig = PPOConfig(rollout_length=5)


def fake_config(**changes: Any) -> FakeConfig:
    """Return a configuration of 12 updates, validated every 4."""
    return FakeConfig.model_validate(
        {"total_timesteps": 120, "eval_every": 4, "tensorboard": False, "name": "fake"} | changes
    )


def start(seed: jax.Array, market: jax.Array) -> State:
    """Return a state with a random number in it."""
    key, now = jax.random.split(jax.random.key(seed))
    return {"params": jax.random.normal(now, (3,)) + market, "key": key, "update": jnp.int32(0)}


def update(state: State, market: jax.Array) -> tuple[State, Figures]:
    """Walk at random; update u ends u % 5 episodes. A market above 100 discards updates from the sixth on."""
    key, now = jax.random.split(state["key"])
    count = state["update"] + 1
    bad = (market > 100) & (count > 5)
    params = jnp.where(bad, state["params"], state["params"] + jax.random.normal(now, (3,)))
    ended = count % 5
    number = jnp.arange(ROOM, dtype=jnp.float32)
    returns = jnp.where(number < ended.astype(number.dtype), params[0] + number, jnp.zeros_like(number))
    figures = Figures(
        scalars={"loss": params[0], "discarded": bad.astype(jnp.float32), "episode_count": ended.astype(jnp.float32)},
        gradients={"layer/kernel": params[1]},
        checks={"loss": jnp.int32(-1), "gradient of layer/kernel": jnp.where(bad, jnp.int32(2), jnp.int32(-1))},
        episodes={"return": returns, "length": number + 1, "equity": number / 7},
        episode_rows=ended,
    )
    return {"params": params, "key": key, "update": count}, figures


def chunk(work: int, state: State, market: jax.Array, count: jax.Array) -> tuple[State, Figures]:
    """Do `count` updates; before each, `work` useless steps, to take some time."""
    shapes = jax.eval_shape(update, state, market)[1]
    table = jax.tree.map(lambda leaf: jnp.zeros((CHUNK, *leaf.shape), leaf.dtype), shapes)

    def body(i: jax.Array, carry: Any) -> Any:
        state, table = carry
        noise = jax.lax.fori_loop(0, work, lambda _, x: jnp.sin(x), state["params"])
        state, figures = update(state | {"params": state["params"] + 0 * noise}, market)
        return state, jax.tree.map(lambda all, one: all.at[i].set(one), table, figures)

    return jax.lax.fori_loop(0, count, body, (state, table))


def row(figures: Figures, number: int) -> dict[str, float]:
    """Return a row of metrics.csv."""
    return {"update": float(number)} | mean_figures(figures.scalars)


def validate(evaluate: Any, state: State) -> tuple[State, dict[str, float]]:
    """Return the value of the parameters."""
    return state, {"validation_return": float(evaluate(state["params"]))}


class Judge(NamedTuple):
    """Validations by a list: that of update 1, 2, ..."""

    scores: tuple[float, ...]

    def __call__(self, state: State) -> tuple[State, dict[str, float]]:
        """Return the validation after an update."""
        return state, {"validation_return": self.scores[int(state["update"]) - 1]}


def fake_job(config: FakeConfig, work: int = 0, market: float = 0.0) -> Job:
    """Compile the fake training."""
    seed, world = jnp.int32(0), jnp.float32(market)
    shapes = jax.eval_shape(start, seed, world)
    compiled = jax.jit(partial(chunk, work), donate_argnums=0).lower(shapes, world, jnp.int32(1)).compile()
    evaluate = jax.jit(jnp.sum).lower(shapes["params"]).compile()
    figures = ("loss", "discarded", "episode_count")
    training = Training(jax.jit(start), compiled, figures, 0, compile_copy(shapes))
    need = Need(config.num_envs, 0, None)
    return Job(
        config=config,
        programs=Programs(training, evaluate, world, np.float32(0), need),
        row=row,
        validate=partial(validate, evaluate),
        validation=("validation_return",),
        metric="validation_return",
        facts={"fake": True},
    )
