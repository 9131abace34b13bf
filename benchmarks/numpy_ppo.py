"""The peer of training: a NumPy environment on the host and a compiled learner, as one would write PPO around it.

The policy network, the loss, the advantages and the optimiser are jaxtrade's own; what differs is that every step
crosses between host and device, and that every sample carries its market row through the encoder. Two liberties make
it cheaper than ours: an episode that is truncated is not bootstrapped, and rewards are not normalised.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.numpy_env import NumpyEnv, market_of, rules_of
from jaxtrade.market.table import MarketTable
from train.config import PPOConfig, TrainConfig
from train.distributions import Distribution
from train.gae import gae
from train.losses import Batch, normalize_advantages, ppo_loss
from train.networks import Policy, init_params, make_policy
from train.optimizer import apply_gradients, make_optimizer
from train.parts import mean_in_parts
from train.schedules import Knobs, hyper_of, knobs_at


class Trajectory(NamedTuple):
    """`L` steps of `E` accounts, as arrays of the host."""

    observation: Any  # [L, E, S * F + 4 * S + 3]
    action: Any  # [L, E, S]
    log_prob: Any  # [L, E]
    value: Any  # [L, E]
    reward: Any  # [L, E]
    ended: Any  # [L, E]


class Brain(NamedTuple):
    """The static parts of the learner."""

    policy: Policy
    distribution: Distribution
    optimizer: Any
    ppo: PPOConfig
    symbols: int
    features: int

    def decide(self, params: Any, seen: jax.Array) -> tuple[Any, jax.Array]:
        """Return the distribution's parameters and the value of observations, [B, ...]."""
        width = self.symbols * self.features
        rows = seen[:, :width].reshape(-1, 1, self.symbols, self.features)
        assets = seen[:, width:-3].reshape(-1, self.symbols, 4)
        return self.policy.apply({"params": params}, rows, assets, seen[:, -3:])


def act(brain: Brain, params: Any, seen: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return actions, their log probabilities and values."""
    dist_params, value = brain.decide(params, seen)
    action = brain.distribution.sample(key, dist_params)
    return action, brain.distribution.log_prob(dist_params, action), value


def learn(
    brain: Brain, params: Any, opt_state: Any, seen: Trajectory, last: jax.Array, knobs: Knobs, key: jax.Array
) -> tuple[Any, Any, jax.Array]:
    """Run the epochs over one trajectory; minibatches are random samples. Return parameters, optimiser state, loss."""
    ppo, count = brain.ppo, seen.reward.size
    last_value = brain.decide(params, last)[1]
    next_value = jnp.concatenate([seen.value[1:], last_value[None]])
    never = jnp.zeros_like(seen.ended)
    advantage = gae(seen.reward, seen.value, next_value, seen.ended, never, (ppo.gamma, ppo.gae_lambda))
    batch = Batch(seen.action, seen.log_prob, seen.value, advantage, advantage + seen.value)
    flat = jax.tree.map(lambda leaf: leaf.reshape(count, *leaf.shape[2:]), (seen.observation, batch))

    def loss_of(params: Any, part: tuple[jax.Array, Batch]) -> jax.Array:
        return ppo_loss(*brain.decide(params, part[0]), part[1], brain.distribution, ppo, knobs)[0]

    def step(carry: tuple[Any, Any], which: jax.Array) -> tuple[tuple[Any, Any], jax.Array]:
        params, opt_state = carry
        observation, batch = jax.tree.map(lambda leaf: leaf[which], flat)
        loss, grads = mean_in_parts(jax.value_and_grad(loss_of), params, (observation, normalize_advantages(batch)))
        return apply_gradients(brain.optimizer, knobs.learning_rate, grads, opt_state, params), loss

    orders = jax.vmap(lambda each: jax.random.permutation(each, count))(jax.random.split(key, ppo.epochs))
    orders = orders.reshape(ppo.epochs * ppo.minibatches, -1)
    (params, opt_state), losses = jax.lax.scan(step, (params, opt_state), orders)
    return params, opt_state, jnp.mean(losses)


class NumpyPPO:
    """The loop: `update` collects a rollout on the host and learns from it on the device."""

    def __init__(self, table: MarketTable, config: TrainConfig) -> None:
        policy, distribution = make_policy(config.network, config.env, len(table.symbols))
        symbols, features = table.features.shape[1:]
        optimizer = make_optimizer(config.ppo)
        self.brain = brain = Brain(policy, distribution, optimizer, config.ppo, symbols, features)
        self.length, self.samples = config.ppo.rollout_length, config.samples
        hyper = hyper_of(config.ppo, config.updates)
        self.knobs: Callable = jax.jit(lambda update: knobs_at(config.ppo, hyper, update, jnp.float32))
        self.done = 0
        self.env = NumpyEnv(market_of(table, table.ranges["train"]), rules_of(config.env), config.num_envs)
        self.key, key_params = jax.random.split(jax.random.key(config.seed))
        self.params = init_params(policy, key_params, symbols, features)
        self.opt_state = optimizer.init(self.params)
        self.act: Callable = jax.jit(lambda *arguments: act(brain, *arguments))
        self.learn: Callable = jax.jit(lambda *arguments: learn(brain, *arguments), donate_argnums=(0, 1))
        self.seen = self.env.reset()

    def collect(self, key: jax.Array) -> Trajectory:
        """Walk one rollout on the host."""
        steps = []
        for each in jax.random.split(key, self.length):
            action, log_prob, value = map(np.asarray, self.act(self.params, self.seen, each))
            result = self.env.step(np.asarray(self.brain.distribution.to_env(action)))
            reward, ended = result.reward.astype(np.float32), result.terminated | result.truncated
            steps.append((self.seen, action, log_prob, value, reward, ended))
            self.seen = result.observation
        return Trajectory(*(np.stack(leaf) for leaf in zip(*steps, strict=True)))

    def update(self) -> float:
        """Do one update and return its mean loss."""
        self.key, key_rollout, key_learn = jax.random.split(self.key, 3)
        seen = self.collect(key_rollout)
        knobs = self.knobs(jnp.int32(self.done))
        self.params, self.opt_state, loss = self.learn(self.params, self.opt_state, seen, self.seen, knobs, key_learn)
        self.done += 1
        return float(loss)
