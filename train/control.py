"""The same PPO on any gymnax environment with a flat observation: the outside proof of the learner.

What is shared with trading: advantages, loss, optimiser, epochs, distributions, and minibatches that take some steps of
every environment, by an independent permutation of time in each. What differs: observations are stored.
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from train.config import PPOConfig
from train.distributions import CATEGORICAL, GAUSSIAN, Distribution, GaussianParams
from train.gae import gae
from train.learner import Metrics, descend
from train.losses import Batch, normalize_advantages, ppo_loss
from train.networks import ORTHOGONAL, Dense, gather_rows
from train.optimizer import make_optimizer
from train.parts import mean_in_parts
from train.rollout import where_lane


class ActorCritic(nn.Module):
    """Two towers of tanh layers."""

    hidden: tuple[int, ...]
    outputs: int
    discrete: bool

    def setup(self) -> None:
        """Create the layers."""
        self.actor = [Dense(units, kernel_init=ORTHOGONAL) for units in self.hidden]
        self.critic = [Dense(units, kernel_init=ORTHOGONAL) for units in self.hidden]
        self.actor_out = Dense(self.outputs, kernel_init=nn.initializers.orthogonal(0.01))
        self.critic_out = Dense(1, kernel_init=nn.initializers.orthogonal(1.0))
        if not self.discrete:
            self.log_std = self.param("log_std", nn.initializers.zeros, (self.outputs,), jnp.float32)

    def value(self, obs: jax.Array) -> jax.Array:
        """Return the value of observations [..., O], [...]."""
        for layer in self.critic:
            obs = nn.tanh(layer(obs))
        return self.critic_out(obs)[..., 0]

    def __call__(self, obs: jax.Array) -> tuple[Any, jax.Array]:
        """Return the distribution's parameters and the value for observations [..., O]."""
        value, x = self.value(obs), obs
        for layer in self.actor:
            x = nn.tanh(layer(x))
        out = self.actor_out(x)
        if self.discrete:
            return out, value
        return GaussianParams(out, jnp.broadcast_to(self.log_std, out.shape)), value


class Control(NamedTuple):
    """The static parts of a run."""

    env: Any
    network: ActorCritic
    distribution: Distribution
    optimizer: optax.GradientTransformation
    ppo: PPOConfig
    num_envs: int


class ControlState(NamedTuple):
    """The state of the learner, E environments."""

    params: Any
    opt_state: Any
    obs: jax.Array  # [E, O]
    env_state: Any  # leaves [E, ...]
    total: jax.Array  # [E] rewards of the running episode
    key: jax.Array


class Steps(NamedTuple):
    """A rollout."""

    obs: jax.Array  # [L, E, O]
    final: jax.Array  # [L, E, O] what the step led to, before any reset
    action: jax.Array  # [L, E] or [L, E, A]
    log_prob: jax.Array  # [L, E]
    value: jax.Array  # [L, E]
    reward: jax.Array  # [L, E]
    terminated: jax.Array  # [L, E]
    truncated: jax.Array  # [L, E]
    returned: jax.Array  # [L, E] total reward of an episode that ended here, else 0


def make_control(
    env: Any, env_params: Any, ppo: PPOConfig, num_envs: int, hidden: tuple[int, ...], updates: int
) -> Control:
    """Return the static parts; `env` is a gymnax environment with a flat observation."""
    space = env.action_space(env_params)
    discrete = hasattr(space, "n")
    network = ActorCritic(hidden, int(space.n) if discrete else int(space.shape[0]), discrete)
    distribution = CATEGORICAL if discrete else GAUSSIAN
    return Control(env, network, distribution, make_optimizer(ppo, updates), ppo, num_envs)


def init_control(control: Control, env_params: Any, seed: int) -> ControlState:
    """Return the state before the first update, its leaves as an update leaves them: strongly typed, none shared."""
    key_params, key_reset, key = jax.random.split(jax.random.key(seed), 3)
    obs, env_state = jax.vmap(control.env.reset_env, (0, None))(
        jax.random.split(key_reset, control.num_envs), env_params
    )
    params = control.network.init(key_params, obs)["params"]
    total = jnp.zeros(control.num_envs, jnp.float32)
    state = ControlState(params, control.optimizer.init(params), obs, env_state, total, key)
    return jax.tree.map(lambda leaf: jax.lax.convert_element_type(jnp.copy(leaf), leaf.dtype), state)


def collect(control: Control, state: ControlState, env_params: Any, key: jax.Array) -> tuple[ControlState, Steps]:
    """Walk L steps of every environment; those that end are reset in place."""
    env, variables = control.env, {"params": state.params}

    def step(carry: ControlState, key: jax.Array) -> tuple[ControlState, Steps]:
        key_action, key_env = jax.random.split(key)
        keys = jax.random.split(key_env, (2, control.num_envs))
        dist_params, value = control.network.apply(variables, carry.obs)
        action = control.distribution.sample(key_action, dist_params)
        log_prob = control.distribution.log_prob(dist_params, action)
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # not our code
            final, reached, reward, terminated, _ = jax.vmap(env.step_env, (0, 0, 0, None))(
                keys[0], carry.env_state, action, env_params
            )
            truncated = jax.vmap(env.is_truncated, (0, None))(reached, env_params)
            fresh = jax.vmap(env.reset_env, (0, None))(keys[1], env_params)
        ended = terminated | truncated
        obs, env_state = jax.tree.map(
            lambda new, old: where_lane(ended, new, old.astype(new.dtype)),
            fresh,
            (final, reached),
        )
        total, nothing = carry.total + reward, jnp.zeros_like(carry.total)
        after = carry._replace(obs=obs, env_state=env_state, total=jnp.where(ended, nothing, total))
        returned = jnp.where(ended, total, nothing)
        return after, Steps(carry.obs, final, action, log_prob, value, reward, terminated, truncated, returned)

    return jax.lax.scan(step, state, jax.random.split(key, control.ppo.rollout_length))


def estimate(control: Control, params: Any, steps: Steps) -> Batch:
    """Return the batch with advantages and targets; what was truncated is bootstrapped from where it got to."""
    value = partial(control.network.apply, {"params": params}, method="value")
    next_value = jax.lax.map(value, steps.final)  # step by step: one of all would not fit the cache
    ppo = control.ppo
    discount = ppo.gamma, ppo.gae_lambda
    advantage = gae(steps.reward, steps.value, next_value, steps.terminated, steps.truncated, discount)
    return Batch(steps.action, steps.log_prob, steps.value, advantage, advantage + steps.value)


def minibatch_gradient(params: Any, control: Control, obs: jax.Array, batch: Batch) -> tuple[Any, Metrics]:
    """Return the gradient of the loss of a minibatch, leaves [B, ...], in parts that fit a processor's cache."""

    def loss(params: Any, obs: jax.Array, batch: Batch) -> tuple[jax.Array, Metrics]:
        return ppo_loss(*control.network.apply({"params": params}, obs), batch, control.distribution, control.ppo)

    gradient = jax.grad(loss, has_aux=True)
    return mean_in_parts(lambda params, part: gradient(params, *part), params, (obs, normalize_advantages(batch)))


def update(control: Control, state: ControlState, env_params: Any) -> tuple[ControlState, Metrics]:
    """Do one update: collect, estimate, learn."""
    key, key_rollout, key_batches = jax.random.split(state.key, 3)
    after, steps = collect(control, state, env_params, key_rollout)
    batch = estimate(control, state.params, steps)
    ppo, length = control.ppo, control.ppo.rollout_length
    by_env = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (steps.obs, batch))  # [E, L, ...]
    keys = jax.random.bits(key_batches, (ppo.epochs, control.num_envs, length))
    order = jnp.argsort(keys, axis=-1).reshape(ppo.epochs, control.num_envs, ppo.minibatches, -1)
    minibatches = jnp.swapaxes(order, 1, 2).reshape(ppo.epochs * ppo.minibatches, control.num_envs, -1)

    def gradient(params: Any, index: jax.Array) -> tuple[Any, Metrics]:
        taken = jax.tree.map(lambda leaf: gather_rows(leaf, index), by_env)
        return minibatch_gradient(params, control, *jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), taken))

    start = state.params, state.opt_state
    params, opt_state, metrics = descend(control.optimizer, ppo, start, minibatches, gradient)
    ended = jnp.sum(steps.terminated | steps.truncated, dtype=jnp.float32)
    metrics |= {"episodes": ended, "episode_return": jnp.sum(steps.returned) / jnp.maximum(ended, 1)}
    return after._replace(params=params, opt_state=opt_state, key=key), metrics


def train_control(control: Control, state: ControlState, env_params: Any, updates: int) -> tuple[ControlState, Metrics]:
    """Do some updates in one program; figures have shape [updates]."""
    return jax.lax.scan(lambda each, _: update(control, each, env_params), state, None, length=updates)
