"""One update of PPO: collect, estimate, learn, move the lanes."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxtrade.envs.lanes import next_lanes
from jaxtrade.envs.trading import EnvParams, EnvState
from train.gae import gae
from train.losses import Batch, ppo_loss
from train.normalize import scale_reward, update_reward_scale
from train.optimizer import apply_gradients
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


def minibatch_loss(
    params: Any, setup: Setup, rollout: Rollout, batch: Batch, steps: jax.Array
) -> tuple[jax.Array, Metrics]:
    """Return the loss over some bars of every lane: only those bars are encoded, and the gradient reaches the encoder.

    Args:
        params: Parameters to differentiate by.
        setup: The static parts.
        rollout: The rollout with its leaves as [G, L, A, ...].
        batch: The batch with its leaves as [G, L, A, ...].
        steps: [G, n] steps of each lane's rollout.
    """
    variables = {"params": params}
    bars = steps + setup.policy.config.reach - 1
    market = setup.policy.apply(variables, rollout.rows, bars, method="market")  # [G, n, N, 2H]
    take = jax.vmap(lambda lane, at: lane[at])
    assets, account, batch = jax.tree.map(lambda leaf: take(leaf, steps), (rollout.assets, rollout.account, batch))
    dist_params, value = setup.policy.apply(variables, market[:, :, None], assets, account, method="head")
    return ppo_loss(dist_params, value, batch, setup.distribution, setup.config.ppo)


def by_lane(rollout: Rollout, batch: Batch) -> tuple[Rollout, Batch]:
    """Put the lane axis first: leaves [L, G, A, ...] -> [G, L, A, ...]."""
    swap = partial(jnp.swapaxes, axis1=0, axis2=1)
    return rollout._replace(assets=swap(rollout.assets), account=swap(rollout.account)), jax.tree.map(swap, batch)


def draw_minibatches(setup: Setup, key: jax.Array) -> jax.Array:
    """Return the steps of each minibatch, [epochs * minibatches, G, n]: time is permuted inside each lane."""
    ppo, (lanes, length) = setup.config.ppo, setup.schedule[:2]
    keys = jax.random.split(key, (ppo.epochs, lanes))
    steps = jnp.arange(length, dtype=jnp.int32)
    order = jax.vmap(jax.vmap(lambda each: jax.random.permutation(each, steps)))(keys)  # [epochs, G, L]
    parts = order.reshape(ppo.epochs, lanes, ppo.minibatches, length // ppo.minibatches)
    return jnp.swapaxes(parts, 1, 2).reshape(ppo.epochs * ppo.minibatches, lanes, -1)


def learn(setup: Setup, state: TrainState, rollout: Rollout, batch: Batch, key: jax.Array) -> tuple[Any, Any, Metrics]:
    """Run the epochs over one rollout. Return parameters, optimiser state and mean figures of the minibatches."""
    rollout, batch = by_lane(rollout, batch)
    target_kl = setup.config.ppo.target_kl

    def descend(params: Any, opt_state: Any, steps: jax.Array) -> tuple[Any, Any, Metrics]:
        grads, metrics = jax.grad(minibatch_loss, has_aux=True)(params, setup, rollout, batch, steps)
        metrics["grad_norm"] = optax.tree.norm(grads)
        return *apply_gradients(setup.optimizer, grads, opt_state, params), metrics

    def step(carry: tuple[Any, Any, jax.Array], steps: jax.Array) -> tuple[tuple[Any, Any, jax.Array], Metrics]:
        params, opt_state, stopped = carry
        if target_kl == 0:
            params, opt_state, metrics = descend(params, opt_state, steps)
            return (params, opt_state, stopped), metrics | {"weight": jnp.ones_like(metrics["loss"])}
        idle = jax.tree.map(jnp.zeros_like, jax.eval_shape(descend, params, opt_state, steps)[2])
        params, opt_state, metrics = jax.lax.cond(
            stopped, lambda p, o, _: (p, o, idle), descend, params, opt_state, steps
        )
        metrics["weight"] = 1 - stopped.astype(metrics["loss"].dtype)
        return (params, opt_state, stopped | (metrics["approx_kl"] > target_kl)), metrics

    start = (state.params, state.opt_state, jnp.zeros((), bool))
    (params, opt_state, _), metrics = jax.lax.scan(step, start, draw_minibatches(setup, key))
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
    shapes = jax.eval_shape(lambda s, p: update(setup, s, p)[1], state, env_params)
    table = {name: jnp.zeros((CHUNK, *leaf.shape), leaf.dtype) for name, leaf in shapes.items()}

    def body(i: jax.Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
        state, table = carry
        state, metrics = update(setup, state, env_params)
        return state, {name: table[name].at[i].set(metrics[name]) for name in table}

    return jax.lax.fori_loop(0, count, body, (state, table))


def compile_chunk(setup: Setup) -> Any:
    """Return the jitted `(state, env_params, count) -> (state, figures)`, which consumes (donates) the state."""
    return jax.jit(lambda state, env_params, count: run_chunk(setup, state, env_params, count), donate_argnums=0)
