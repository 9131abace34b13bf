"""One update of PPO: collect, estimate, learn, move the lanes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxtrade.envs.lanes import next_lanes
from jaxtrade.envs.trading import EnvParams, EnvState
from train.config import PPOConfig
from train.gae import gae
from train.losses import Batch, normalize_advantages, ppo_loss
from train.networks import gather_rows
from train.normalize import scale_reward, update_reward_scale
from train.optimizer import apply_gradients
from train.parts import count_parts
from train.rollout import Rollout, collect, episode_sums, where_lane
from train.state import Setup, TrainState, fresh_accounts

Metrics = dict[str, jax.Array]
CHUNK = 64  # most updates of one compiled call


def update(setup: Setup, state: TrainState, env_params: EnvParams) -> tuple[TrainState, Metrics]:
    """Do one update and return the new state and its figures (scalars)."""
    key, key_rollout, key_batches, key_reset = jax.random.split(state.key, 4)
    env_state, rollout = collect(setup, state, env_params, key_rollout)
    batch = estimate(setup, state, rollout)
    params, opt_state, metrics = learn(setup, state, rollout, batch, key_batches)
    reward_scale = state.reward_scale
    if setup.config.ppo.normalize_reward:
        reward_scale = update_reward_scale(reward_scale, rollout.reward, rollout.terminated, setup.config.ppo.gamma)
    state, episodes = move_lanes(setup, state, env_state, (env_params, key_reset), rollout.episodes)
    metrics |= {
        "explained_variance": 1 - jnp.var(batch.target - batch.value) / (jnp.var(batch.target) + 1e-12),
        "reward_std": jnp.std(rollout.reward),
        **{f"episode_{name}": total for name, total in episodes.items()},
    }
    state = state._replace(
        params=params, opt_state=opt_state, reward_scale=reward_scale, key=key, update=state.update + 1
    )
    return state, metrics


def estimate(setup: Setup, state: TrainState, rollout: Rollout) -> Batch:
    """Return the batch with advantages and targets, leaves [L, G, A, ...].

    Inside a rollout the state after step l is the observed state l+1, except after ruin, which is not bootstrapped; the
    end of the rollout, whether its lane goes on or jumps, is bootstrapped from the state that was truly reached.
    """
    next_value = jnp.concatenate([rollout.value[1:], rollout.last_value[None]])
    reward = scale_reward(state.reward_scale, rollout.reward)
    never = jnp.zeros_like(rollout.terminated)
    ppo = setup.config.ppo
    advantage = gae(reward, rollout.value, next_value, rollout.terminated, never, (ppo.gamma, ppo.gae_lambda))
    return Batch(rollout.action, rollout.log_prob, rollout.value, advantage, advantage + rollout.value)


class Samples(NamedTuple):
    """A rollout as the epochs read it, lanes first; K steps of a lane, L of them in a rollout."""

    rows: jax.Array  # [G, R, N, F] features
    origin: jax.Array  # [G] the number of each lane's first row in the data
    at: jax.Array  # [G, K] the row of each step's bar
    assets: jax.Array  # [G, K, A, N, 4]
    account: jax.Array  # [G, K, A, 3 + M]
    batch: Batch  # leaves [G, K, A, ...]


def make_samples(setup: Setup, rollout: Rollout, batch: Batch) -> Samples:
    """Put the lanes first; where minibatches are cut from the steps of all lanes, these become one lane, G = 1."""
    (lanes, length), rows = setup.schedule[:2], rollout.rows
    at = jnp.arange(length, dtype=jnp.int32) + (setup.policy.config.reach - 1)
    first = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), (rollout.assets, rollout.account, batch))
    samples = Samples(rows, rollout.origin, jnp.broadcast_to(at[None], (lanes, length)), *first)
    if setup.config.ppo.cut == "lanes":
        return samples
    ahead = jnp.arange(lanes, dtype=jnp.int32)[:, None] * rows.shape[1]  # rows of the lanes before
    return jax.tree.map(
        lambda leaf: leaf.reshape(1, -1, *leaf.shape[2:]), samples._replace(at=samples.at + ahead, origin=at[None, :1])
    )


def take_steps(leaves: Any, steps: jax.Array) -> Any:
    """Take steps [G, n] of each lane, leaves [G, K, ...] -> [G, n, ...]."""
    return jax.tree.map(lambda leaf: gather_rows(leaf, steps), leaves)


def encode(params: Any, setup: Setup, samples: Samples, steps: jax.Array) -> jax.Array:
    """Return the head's rows of some steps, [G, n, N, 2H]; no other bar is encoded."""
    bars = take_steps(samples.at, steps)
    return setup.policy.apply({"params": params}, samples.rows, bars, samples.origin, method="market")


def head_loss(params: Any, market: jax.Array, setup: Setup, samples: Samples) -> tuple[jax.Array, Metrics]:
    """Return the loss of samples whose steps are those of `market`, [G, n, N, 2H], and its parts."""
    seen = market[:, :, None], samples.assets, samples.account
    dist_params, value = setup.policy.apply({"params": params}, *seen, method="head")
    return ppo_loss(dist_params, value, samples.batch, setup.distribution, setup.config.ppo)


def minibatch_gradient(params: Any, setup: Setup, samples: Samples, steps: jax.Array) -> tuple[Any, Metrics]:
    """Return the gradient of the loss over some steps of every lane, and the loss's parts.

    The steps are encoded once. The head goes through their accounts in parts that fit a processor's cache.

    Args:
        params: Parameters to differentiate by.
        setup: The static parts.
        samples: The rollout.
        steps: [G, n].
    """
    market, to_params = jax.vjp(lambda each: encode(each, setup, samples, steps), params)
    batch = normalize_advantages(take_steps(samples.batch, steps))
    parts = count_parts(steps.shape[1], samples.assets[:, 0, ..., 0].size)

    def split(leaf: jax.Array) -> jax.Array:
        """[G, n, ...] -> [parts, G, n / parts, ...]."""
        return jnp.swapaxes(leaf.reshape(leaf.shape[0], parts, -1, *leaf.shape[2:]), 0, 1)

    def part(total: Any, now: tuple[jax.Array, jax.Array, Batch]) -> tuple[Any, tuple[jax.Array, Metrics]]:
        market, steps, batch = now
        assets, account = take_steps((samples.assets, samples.account), steps)
        these = samples._replace(assets=assets, account=account, batch=batch)
        gradient = jax.grad(head_loss, argnums=(0, 1), has_aux=True)
        (grads, dmarket), metrics = gradient(params, market, setup, these)
        return jax.tree.map(jnp.add, total, grads), (dmarket, metrics)

    nothing = jax.tree.map(jnp.zeros_like, params)
    total, (dmarket, metrics) = jax.lax.scan(part, nothing, jax.tree.map(split, (market, steps, batch)))
    through = to_params(jnp.swapaxes(dmarket, 0, 1).reshape(market.shape))[0]
    grads = jax.tree.map(lambda head, encoder: (head + encoder) / parts, total, through)
    return grads, jax.tree.map(jnp.mean, metrics)


def draw_minibatches(setup: Setup, key: jax.Array) -> jax.Array:
    """Return the steps of each minibatch, [epochs * minibatches, G, n]: time is permuted inside each lane."""
    ppo, (lanes, length) = setup.config.ppo, setup.schedule[:2]
    if ppo.cut == "samples":
        lanes, length = 1, lanes * length
    keys = jax.random.split(key, (ppo.epochs, lanes))
    steps = jnp.arange(length, dtype=jnp.int32)
    order = jax.vmap(jax.vmap(lambda each: jax.random.permutation(each, steps)))(keys)  # [epochs, G, K]
    parts = order.reshape(ppo.epochs, lanes, ppo.minibatches, length // ppo.minibatches)
    return jnp.swapaxes(parts, 1, 2).reshape(ppo.epochs * ppo.minibatches, lanes, -1)


def learn(setup: Setup, state: TrainState, rollout: Rollout, batch: Batch, key: jax.Array) -> tuple[Any, Any, Metrics]:
    """Run the epochs over one rollout. Return parameters, optimiser state and mean figures of the minibatches."""
    samples = make_samples(setup, rollout, batch)

    def gradient(params: Any, steps: jax.Array) -> tuple[Any, Metrics]:
        return minibatch_gradient(params, setup, samples, steps)

    return descend(
        setup.optimizer, setup.config.ppo, (state.params, state.opt_state), draw_minibatches(setup, key), gradient
    )


def descend(
    optimizer: optax.GradientTransformation,
    ppo: PPOConfig,
    start: tuple[Any, optax.OptState],
    minibatches: Any,
    gradient: Callable[[Any, Any], tuple[Any, Metrics]],
) -> tuple[Any, optax.OptState, Metrics]:
    """Take a step of the optimiser for each minibatch, until the divergence stops the epochs.

    Args:
        optimizer: The optimiser.
        ppo: For `target_kl`.
        start: Parameters and the state of the optimiser.
        minibatches: Leaves [epochs * minibatches, ...].
        gradient: (parameters, minibatch) -> gradient, figures.

    Returns:
        Parameters, state of the optimiser and mean figures.
    """

    def follow(params: Any, opt_state: Any, minibatch: Any) -> tuple[Any, Any, Metrics]:
        grads, metrics = gradient(params, minibatch)
        metrics["grad_norm"] = optax.tree.norm(grads)
        return *apply_gradients(optimizer, grads, opt_state, params), metrics

    def step(carry: tuple[Any, Any, jax.Array], minibatch: Any) -> tuple[tuple[Any, Any, jax.Array], Metrics]:
        params, opt_state, stopped = carry
        if ppo.target_kl == 0:
            params, opt_state, metrics = follow(params, opt_state, minibatch)
            return (params, opt_state, stopped), metrics | {"weight": jnp.ones_like(metrics["loss"])}
        idle = jax.tree.map(jnp.zeros_like, jax.eval_shape(follow, params, opt_state, minibatch)[2])
        params, opt_state, metrics = jax.lax.cond(
            stopped, lambda p, o, _: (p, o, idle), follow, params, opt_state, minibatch
        )
        metrics["weight"] = 1 - stopped.astype(metrics["loss"].dtype)
        return (params, opt_state, stopped | (metrics["approx_kl"] > ppo.target_kl)), metrics

    (params, opt_state, _), metrics = jax.lax.scan(step, (*start, jnp.zeros((), bool)), minibatches)
    weight = metrics.pop("weight")
    means = {name: jnp.sum(value * weight) / jnp.sum(weight) for name, value in metrics.items()}
    return params, opt_state, means | {"minibatches": jnp.sum(weight)}


def move_lanes(
    setup: Setup, state: TrainState, env_state: EnvState, start: tuple[EnvParams, jax.Array], episodes: Metrics
) -> tuple[TrainState, Metrics]:
    """Carry the lanes on; a lane that jumps truncates its episodes and opens fresh accounts."""
    env_params, key = start
    lanes, jumped = next_lanes(setup.schedule, state.lanes, env_params.first_bar, env_params.last_bar)
    ended = jnp.broadcast_to(jumped[:, None], env_state.t.shape)
    episodes = jax.tree.map(jnp.add, episodes, episode_sums(env_state.stats, ended))
    fresh = fresh_accounts(setup, env_params, lanes.bar, key)
    env_state = jax.tree.map(lambda new, old: where_lane(ended, new, old), fresh, env_state)
    discounted = jnp.where(ended, jnp.zeros_like(state.reward_scale.discounted), state.reward_scale.discounted)
    scale = state.reward_scale._replace(discounted=discounted)
    return state._replace(env_state=env_state, lanes=lanes, reward_scale=scale), episodes


def run_chunk(setup: Setup, state: TrainState, env_params: EnvParams, count: jax.Array) -> tuple[TrainState, Metrics]:
    """Do `count` <= CHUNK updates in one compiled call; figures have shape [CHUNK], rows past `count` are zero."""
    once = jax.jit(lambda state, env_params: update(setup, state, env_params), inline=True)  # traced once for both uses
    shapes = jax.eval_shape(once, state, env_params)[1]
    table = {name: jnp.zeros((CHUNK, *leaf.shape), leaf.dtype) for name, leaf in shapes.items()}

    def body(i: jax.Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
        state, table = carry
        state, metrics = once(state, env_params)
        return state, {name: table[name].at[i].set(metrics[name]) for name in table}

    return jax.lax.fori_loop(0, count, body, (state, table))


def compile_chunk(setup: Setup) -> Any:
    """Return the jitted `(state, env_params, count) -> (state, figures)`, which consumes (donates) the state."""
    return jax.jit(lambda state, env_params, count: run_chunk(setup, state, env_params, count), donate_argnums=0)
