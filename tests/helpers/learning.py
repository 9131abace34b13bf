"""Small learners, for the tests of rollouts, updates and runs."""

from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.config import EnvConfig
from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.market.table import MarketTable
from tests.conftest import small_config
from tests.helpers.worlds import make_table
from train.config import TrainConfig
from train.learner import Metrics, Samples, draw_minibatches, encode, estimate, head_loss, make_samples, take_steps
from train.losses import Batch, normalize_advantages
from train.networks import init_params
from train.rollout import Rollout, collect
from train.schedules import Knobs, hyper_of, knobs_at
from train.state import Setup, TrainState, init_state, make_setup

QUICK = {"xla_backend_optimization_level": 0}  # of programs that run once or twice: they compile in half the time
MLP = {"kind": "mlp", "hidden": 8, "head": 8}
LSTM = {"kind": "multiscale_lstm", "branches": (4,), "hidden": 8, "head": 8}
CARRIED = {"kind": "lstm", "chunk": 6, "burn_in": 5, "hidden": 8, "head": 8}
FLAT = {"kind": "flat_mlp", "head": 8}
CALM = EnvConfig(window=30)
DISCRETE = EnvConfig(window=30, action="discrete9")
VIOLENT = EnvConfig(window=30, allow_short=True, max_leverage=3.0, trade_limit_percent=300.0)


class Learner(NamedTuple):
    """A setup, its market and its first state."""

    setup: Setup
    market: EnvParams
    state: TrainState


def make_learner(table: MarketTable | None = None, dtype: Any = jnp.float32, **changes: object) -> Learner:
    """Return a learner on a small random market; `changes` are keys of the configuration."""
    config: TrainConfig = small_config(**{"network": LSTM, **changes})
    if table is None:
        table = make_table(30, 700, volatility=0.3 if config.env.max_leverage > 1 else 0.01)
    setup = make_setup(config, table.ranges["train"], len(table.symbols))
    market = make_env_params(table, table.ranges["train"], config.env, dtype)
    start = jax.jit(lambda market: init_state(setup, market), compiler_options=QUICK)
    return Learner(setup, market, start(market))


def copied(tree: Any) -> Any:
    """Return a copy whose buffers may be donated."""
    return jax.tree.map(jnp.copy, tree)


def leaves_of(tree: Any) -> list[np.ndarray]:
    """Return the leaves in NumPy, keys as their numbers."""
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)  # noqa: E731
    return [np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf) for leaf in jax.tree.leaves(tree)]


def assert_bitwise(found: Any, wanted: Any) -> None:
    """Assert that two trees hold the very same numbers."""
    for mine, theirs in zip(leaves_of(found), leaves_of(wanted), strict=True):
        np.testing.assert_array_equal(mine, theirs)


class Fresh(NamedTuple):
    """A fresh rollout, its samples, and its first minibatches."""

    end: Any  # environments after it
    rollout: Rollout  # leaves [L, G, A, ...]
    estimated: Batch  # leaves [L, G, A, ...]
    samples: Samples  # leaves [G, L, A, ...]
    steps: jax.Array  # [epochs * minibatches, G, n]


def collect_fresh(learner: Learner, state: TrainState | None = None) -> Fresh:
    """Collect one rollout and prepare it for the loss."""
    setup, market, first = learner

    def run(state: TrainState, market: EnvParams) -> Fresh:
        end, rollout = collect(setup, state, market, jax.random.key(7))
        batch = estimate(setup, state, rollout)
        return Fresh(
            end, rollout, batch, make_samples(setup, rollout, batch), draw_minibatches(setup, jax.random.key(8))
        )

    return jax.jit(run)(first if state is None else state, market)


def first_knobs(setup: Setup, dtype: Any = jnp.float32) -> Knobs:
    """Return the numbers of the first update."""
    return knobs_at(setup.config.ppo, hyper_of(setup.config.ppo, setup.config.updates), 0, dtype)


def minibatch_loss(params: Any, setup: Setup, samples: Samples, steps: jax.Array) -> tuple[jax.Array, Metrics]:
    """Return the loss of a minibatch as it is defined, all at once."""
    assets, account, batch = take_steps((samples.assets, samples.account, samples.batch), steps)
    taken = samples._replace(assets=assets, account=account, batch=normalize_advantages(batch))
    knobs = first_knobs(setup, samples.assets.dtype)
    return head_loss(params, encode(params, setup, samples, steps), setup, knobs, taken)


def ratios(learner: Learner, fresh: Fresh, number: int = 0) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the probability ratios of a minibatch under the parameters that acted, and the figures of its loss."""
    setup = learner.setup

    def run(params: Any, samples: Samples, steps: jax.Array) -> tuple[jax.Array, Metrics]:
        market = encode(params, setup, samples, steps)
        assets, account, batch = take_steps((samples.assets, samples.account, samples.batch), steps)
        answer = setup.policy.apply({"params": params}, market[:, :, None], assets, account, method="head")[0]
        ratio = jnp.exp(setup.distribution.log_prob(answer, batch.action) - batch.log_prob)
        return ratio, minibatch_loss(params, setup, samples, steps)[1]

    return jax.jit(run)(learner.state.params, fresh.samples, fresh.steps[number])


def made_up(setup: Setup, symbols: int, features: int, seed: int = 0) -> tuple[Rollout, Batch]:
    """Return random numbers in the place of a rollout and its estimates, float64; no environment is compiled."""
    rng = np.random.default_rng(seed)
    (lanes, length), accounts, reach = setup.schedule[:2], setup.accounts, setup.policy.config.reach
    shape = (length, lanes, accounts)
    action = rng.normal(size=(*shape, symbols))
    if setup.policy.discrete:
        action = rng.integers(0, setup.policy.choices, shape).astype(np.int32)
    likely = -np.log(9.0) if setup.policy.discrete else -1.0 * symbols
    value, advantage = rng.normal(size=(2, *shape))
    rollout = Rollout(
        rows=rng.normal(size=(lanes, reach + length, symbols, features)),
        origin=np.arange(lanes, dtype=np.int32),
        assets=rng.uniform(-1, 1, (*shape, symbols, 4)),
        account=rng.uniform(0, 1, (*shape, 3)),
        action=action,
        log_prob=likely + 0.3 * rng.normal(size=shape),
        value=value,
        reward=rng.normal(size=shape),
        terminated=np.zeros(shape, bool),
        last_value=value[0],
        episodes=None,
        checks={},
    )
    rollout = jax.tree.map(jnp.asarray, rollout)
    estimated = jnp.asarray(advantage), jnp.asarray(advantage + value)
    return rollout, Batch(rollout.action, rollout.log_prob, rollout.value, *estimated)


def random_params(setup: Setup, symbols: int, features: int) -> Any:
    """Return parameters in float64 that are none of them zero."""
    params = init_params(setup.policy, jax.random.key(0), symbols, features)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf, float) + 0.1 * rng.normal(size=leaf.shape)), params)


CASES: dict[str, dict[str, Any]] = {
    "lstm, continuous": {"env": CALM},
    "lstm, discrete9": {"env": DISCRETE},
    "mlp, continuous, ruins": {"env": VIOLENT, "network": MLP},
    "mlp, discrete9": {"env": DISCRETE, "network": MLP},
    "carried lstm": {"env": CALM, "network": CARRIED},
    "flat mlp": {"env": CALM, "network": FLAT},
    "lstm, shuffled": {"env": CALM, "ppo": {"rollout_length": 16, "lanes": 16, "episode_bars": 64, "cut": "samples"}},
}


@lru_cache
def world_of(name: str, double: bool) -> tuple[Learner, Fresh]:
    """Return the learner of a case and a fresh rollout of it; compiled once for all tests of a process."""
    learner = make_learner(dtype=jnp.float64 if double else jnp.float32, **CASES[name])
    with jax.default_matmul_precision("highest"):
        return learner, collect_fresh(learner)


def learner_of(name: str, double: bool = False) -> Learner:
    """Return the learner of a case."""
    return world_of(name, double)[0]


def fresh_of(name: str, double: bool = False) -> Fresh:
    """Return a fresh rollout of the learner of a case."""
    return world_of(name, double)[1]
