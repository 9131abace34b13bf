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


def make_setup(config: TrainConfig, span: Range, symbols: int = 1) -> Setup:
    """Return the static parts for a configuration, a training range and a number of symbols."""
    policy, distribution = make_policy(config.network, config.env, symbols)
    return Setup(
        config=config,
        core=TradingCore(config.env),
        policy=policy,
        distribution=distribution,
        optimizer=make_optimizer(config.ppo),
        schedule=make_schedule(span, config.lanes, config.ppo.rollout_length, config.ppo.episode_bars),
    )


def fresh_accounts(setup: Setup, env_params: EnvParams, bar: jax.Array, key: jax.Array) -> EnvState:
    """Return fresh environments at each lane's bar, leaves [G, A, ...]; each draws its own randomised costs."""
    keys = jax.random.split(key, (bar.shape[0], setup.accounts))
    each = jax.vmap(setup.core.fresh, (None, None, 0))
    return jax.vmap(each, (None, 0, 0))(env_params, bar, keys)


def init_state(setup: Setup, env_params: EnvParams) -> TrainState:
    """Return the state before the first update."""
    key_params, key_lanes, key_reset, key = jax.random.split(jax.random.key(setup.config.seed), 4)
    _, symbols, features = env_params.features.shape
    params = init_params(setup.policy, key_params, symbols, features, len(setup.core.book.memory))
    dtype = env_params.outcome.gap.dtype
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    lanes = start_lanes(setup.schedule, key_lanes, env_params.first_bar, env_params.last_bar)
    return TrainState(
        params=params,
        opt_state=setup.optimizer.init(params),
        env_state=fresh_accounts(setup, env_params, lanes.bar, key_reset),
        lanes=lanes,
        reward_scale=init_reward_scale((setup.schedule.lanes, setup.accounts), dtype),
        key=key,
        update=jnp.int32(0),
    )
