"""What a training run carries from update to update, and the static parts it is carried by."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxtrade.envs.lanes import Lanes, LaneSchedule, make_schedule, start_lanes
from jaxtrade.envs.trading import EnvParams, EnvState, TradingCore
from jaxtrade.market.splits import Range
from train.config import TrainConfig
from train.distributions import Distribution
from train.networks import Policy, init_params, make_policy
from train.normalize import RewardScale, init_reward_scale
from train.optimizer import make_optimizer


class Setup(NamedTuple):
    """The static parts of a run: functions and sizes."""

    config: TrainConfig
    core: TradingCore
    policy: Policy
    distribution: Distribution
    optimizer: optax.GradientTransformation
    schedule: LaneSchedule
    axis: str | None = None  # name of the axis over candidates, where several train side by side

    @property
    def accounts(self) -> int:
        """A: accounts in each lane."""
        return self.config.num_envs // self.schedule.lanes


class TrainState(NamedTuple):
    """The whole state of the learner; a pytree of arrays."""

    params: Any
    opt_state: Any
    env_state: EnvState  # leaves [G, A, ...]
    lanes: Lanes
    reward_scale: RewardScale
    key: jax.Array
    update: jax.Array  # [] updates done


def make_setup(config: TrainConfig, span: Range, symbols: int = 1, shortest: int | None = None) -> Setup:
    """Return the static parts for a configuration, a training range and a number of symbols.

    Of several ranges that share the compiled programs, `span` is the longest, and `shortest` the decisions of the
    shortest.
    """
    policy, distribution = make_policy(config.network, config.env, symbols)
    return Setup(
        config=config,
        core=TradingCore(config.env),
        policy=policy,
        distribution=distribution,
        optimizer=make_optimizer(config.ppo),
        schedule=make_schedule(span, config.lanes, config.ppo.rollout_length, config.ppo.episode_bars, shortest),
    )


def fresh_accounts(setup: Setup, env_params: EnvParams, bar: jax.Array, key: jax.Array) -> EnvState:
    """Return fresh environments at each lane's bar, leaves [G, A, ...]; each draws its own randomised costs."""
    keys = jax.random.split(key, (bar.shape[0], setup.accounts))
    each = jax.vmap(setup.core.fresh, (None, None, 0))
    return jax.vmap(each, (None, 0, 0))(env_params, bar, keys)


def init_lanes(setup: Setup, env_params: EnvParams) -> Lanes:
    """Return the clock before the first update."""
    key_lanes = jax.random.split(jax.random.key(setup.config.seed), 4)[1]
    return start_lanes(setup.schedule, key_lanes, env_params.first_bar, env_params.last_bar)


def init_state(setup: Setup, env_params: EnvParams, lanes: Lanes | None = None) -> TrainState:
    """Return the state before the first update, on the clock of its own seed or on a given one."""
    key_params, _, key_reset, key = jax.random.split(jax.random.key(setup.config.seed), 4)
    _, symbols, features = env_params.features.shape
    params = init_params(setup.policy, key_params, symbols, features, len(setup.core.book.memory))
    dtype = env_params.outcome.gap.dtype
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    lanes = init_lanes(setup, env_params) if lanes is None else lanes
    return TrainState(
        params=params,
        opt_state=setup.optimizer.init(params),
        env_state=fresh_accounts(setup, env_params, lanes.bar, key_reset),
        lanes=lanes,
        reward_scale=init_reward_scale((setup.schedule.lanes, setup.accounts), dtype),
        key=key,
        update=jnp.int32(0),
    )
