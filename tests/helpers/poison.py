"""Numbers that are not finite, put into one place of an update, and how each must be named."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.envs.trading import EnvParams, Obs
from tests.helpers.learning import CALM, LSTM, MLP, QUICK, Learner, make_learner
from train import learner as learning
from train import rollout as rolling
from train.figures import Figures
from train.health import by_name, cause
from train.learner import draw_minibatches, update
from train.rollout import where_lane
from train.state import TrainState

NAN, INF = float("nan"), float("inf")
LANES, ACCOUNTS, LENGTH = 4, 4, 16
LIFE = 1000  # `time` of an account tells which one it is


class Point(NamedTuple):
    """Where one number is put."""

    tensor: str
    where: Any  # field of the market, step of the rollout, minibatch, or parameter
    step: int = 0
    account: int = 0  # 0 .. LANES * ACCOUNTS - 1
    value: float = NAN


POINTS = {
    "gap": Point("price", "gap", 0),
    "move": Point("price", "move", 5, value=INF),
    "time between bars": Point("price", "years", 9, value=-INF),
    "fill price": Point("price", "fill_price", 15),
    "close": Point("price", "close", 7, value=INF),
    "first feature": Point("feature", None, 0, value=-INF),
    "middle feature": Point("feature", None, 8),
    "last feature": Point("feature", None, 16, value=INF),
    "first observation": Point("observation", None, 0, account=0),
    "middle observation": Point("observation", None, 9, account=7, value=INF),
    "last observation": Point("observation", None, 16, account=15, value=-INF),
    "first reward": Point("reward", None, 0, account=3, value=-INF),
    "middle reward": Point("reward", None, 8, account=5),
    "last reward": Point("reward", None, 15, account=15, value=INF),
    "first gradient": Point("gradient of", "critic_hidden/kernel", 0),
    "middle gradient": Point("gradient of", "actor_out/bias", 7, value=-INF),
    "last gradient": Point("gradient of", "log_std", 15, value=INF),
    "parameter of the head": Point("parameter", "from_account/kernel"),
    "infinite parameter": Point("parameter", "critic_out/bias", value=INF),
    "deviation": Point("parameter", "log_std", value=-INF),
}


class Poison(NamedTuple):
    """The number as the compiled update takes it; what is in the market or the parameters lies there already."""

    kind: jax.Array  # [] 1 observation, 2 reward, 3 gradient
    bar: jax.Array  # []
    account: jax.Array  # []
    steps: jax.Array  # [G, n] those of the minibatch
    layer: jax.Array  # []
    value: jax.Array  # []


KINDS = {"observation": 1, "reward": 2, "gradient of": 3}


class PoisonedCore:
    """The environment; the reward of one account at one bar is the poison."""

    def __init__(self, core: Any, poison: Poison) -> None:
        self._core, self._poison = core, poison

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)

    def transition(self, state: Any, *rest: Any) -> tuple[Any, jax.Array, Any]:
        """Step; the poison enters the sum of rewards as well."""
        after, reward, record = self._core.transition(state, *rest)
        poison = self._poison
        hit = (poison.kind == 2) & (state.t == poison.bar) & (state.time // LIFE == poison.account)
        total = jnp.where(hit, poison.value, after.stats.episode_return)
        after = after.replace(stats=after.stats._replace(episode_return=total))
        return after, jnp.where(hit, poison.value, reward), record


def poisoned_view(poison: Poison, real: Callable[..., Obs], setup: Any, env_state: Any, *rest: Any) -> Obs:
    """Observe all accounts, one of them with the poison in its first number."""
    obs = real(setup, env_state, *rest)
    hit = (poison.kind == 1) & (env_state.t == poison.bar) & (env_state.time // LIFE == poison.account)
    number = jnp.full_like(obs.account[..., :1], poison.value)
    return obs._replace(account=where_lane(hit, obs.account.at[..., :1].set(number), obs.account))


def poisoned_gradient(poison: Poison, real: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """Return the gradient of a minibatch, one number of one layer with the poison in it."""
    grads, metrics = real(*arguments)
    hit = (poison.kind == 3) & jnp.all(arguments[-1] == poison.steps)
    leaves, tree = jax.tree.flatten(grads)
    for number, leaf in enumerate(leaves):
        bad = leaf.ravel().at[-1].set(poison.value).reshape(leaf.shape)
        leaves[number] = jnp.where(hit & (poison.layer == number), bad, leaf)
    return tree.unflatten(leaves), metrics


class Lab(NamedTuple):
    """A learner and its compiled update, (state, market, poison) -> state, figures."""

    learner: Learner
    run: Callable[..., tuple[TrainState, Figures]]


@lru_cache
def lab_of(network: str) -> Lab:
    """Return the lab; all points share one program."""
    made = make_learner(env=CALM, network={"mlp": MLP, "lstm": LSTM}[network])
    env_state = made.state.env_state
    number = jnp.arange(LANES * ACCOUNTS, dtype=jnp.int32).reshape(LANES, ACCOUNTS)
    state = made.state._replace(env_state=env_state.replace(time=env_state.time + LIFE * number))

    def run(state: TrainState, market: EnvParams, poison: Poison) -> tuple[TrainState, Figures]:
        with pytest.MonkeyPatch.context() as patch:
            for room, name, faulty in (
                (rolling, "observe_all", poisoned_view),
                (learning, "minibatch_gradient", poisoned_gradient),
            ):
                patch.setattr(room, name, partial(faulty, poison, getattr(room, name)))
            return update(made.setup._replace(core=PoisonedCore(made.setup.core, poison)), state, market)

    return Lab(made._replace(state=state), jax.jit(run, compiler_options=QUICK))


def poison_of(lab: Lab, point: Point | None) -> Poison:
    """Return a point as the program takes it; None: no poison."""
    setup, _, state = lab.learner
    minibatches = draw_minibatches(setup, jax.random.split(state.key, 4)[2])
    if point is None or point.tensor not in KINDS:
        return Poison(*map(jnp.int32, (0, 0, 0)), minibatches[0], jnp.int32(0), jnp.float32(0))
    gradient = point.tensor == "gradient of"
    layer = list(by_name(state.params)).index(point.where) if gradient else 0
    bar = state.lanes.bar[point.account // ACCOUNTS] + point.step
    kind, account = jnp.int32(KINDS[point.tensor]), jnp.int32(point.account)
    steps = minibatches[point.step if gradient else 0]
    return Poison(kind, bar, account, steps, jnp.int32(layer), jnp.float32(point.value))


def poisoned_market(lab: Lab, point: Point, lane: int = 2) -> tuple[EnvParams, int]:
    """Return the market with the number in a bar of a lane, and the first step of any lane that uses it."""
    _, market, state = lab.learner
    bar, bars = int(state.lanes.bar[lane]) + point.step, np.asarray(state.lanes.bar)
    reach = lab.learner.setup.policy.config.reach
    if point.tensor == "feature":
        market = market.replace(features=market.features.at[bar, 0, 3].set(point.value))
        # no window holds a bar before its own step
        steps = [max(0, bar - start) for start in bars if start - reach < bar <= start + LENGTH]
        return market, min(steps)
    place = "known" if point.where == "close" else "outcome"
    part = getattr(market, place)
    leaf = getattr(part, point.where)
    assert np.isfinite(leaf[bar]).all()
    market = market.replace(**{place: part._replace(**{point.where: leaf.at[bar].set(point.value)})})
    return market, min(bar - start for start in bars if 0 <= bar - start < LENGTH)


def poisoned(lab: Lab, point: Point) -> tuple[TrainState, EnvParams, str, int]:
    """Return the state and the market with the number in them, and how the fault must be named."""
    _, market, state = lab.learner
    if point.tensor in ("price", "feature"):
        market, step = poisoned_market(lab, point)
        return state, market, point.tensor, step
    if point.tensor == "parameter":
        params = jax.tree.map(jnp.asarray, state.params)
        *path, last = point.where.split("/")
        inner = params
        for each in path:
            inner = inner[each]
        inner[last] = inner[last].ravel().at[0].set(point.value).reshape(inner[last].shape)
        return state._replace(params=params), market, f"parameter {point.where}", 0
    name = f"gradient of {point.where}" if point.where else point.tensor
    return state, market, name, point.step


def found_by(figures: Figures) -> tuple[str, int] | None:
    """Return the cause as the host reads it."""
    return cause({name: int(step) for name, step in figures.checks.items()})
