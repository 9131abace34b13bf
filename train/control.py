"""The learner on any environment of gymnax: the outside proof of the one that trades.

What is shared with trading: advantages, loss, schedules, optimiser, epochs, distributions, reward scale, health checks,
and for an mlp minibatches that take some steps of every environment, by an independent permutation of time in each.
What differs: observations are stored, and can be normalised; an lstm carries its state through time, and its
minibatches hold whole environments.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from train.control_moments import update_moments
from train.control_network import Memory
from train.control_rollout import Control, ControlState, Steps, collect, restart, seen
from train.episodes import append, empty_log
from train.figures import Figures
from train.gae import gae
from train.health import Checks, all_well, first_bad, first_true, parameter_checks
from train.learner import Descent, descend, repeat
from train.losses import Batch, normalize_advantages, ppo_loss
from train.networks import gather_rows
from train.normalize import scale_reward, update_reward_scale
from train.parts import mean_in_parts
from train.schedules import Knobs, hyper_of, knobs_at


class Samples(NamedTuple):
    """A rollout as the loss reads it."""

    obs: jax.Array  # [L, E, O] normalised
    starts: jax.Array  # [L, E] whether an episode ended before the step; one before the first is in the memory already
    batch: Batch  # leaves [L, E, ...]


def estimate(control: Control, state: ControlState, steps: Steps) -> Batch:
    """Return the batch with advantages and targets; what was truncated is bootstrapped from where it got to."""
    ppo = control.config.ppo
    reward = scale_reward(state.reward_scale, steps.reward) if ppo.normalize_reward else steps.reward
    ends = steps.terminated, steps.truncated
    advantage = gae(reward, steps.value, steps.next_value, *ends, (ppo.gamma, ppo.gae_lambda))
    return Batch(steps.action, steps.log_prob, steps.value, advantage, advantage + steps.value)


def make_samples(control: Control, state: ControlState, steps: Steps, batch: Batch) -> Samples:
    """Return what the loss reads of a rollout that began in a state."""
    starts = jnp.concatenate([jnp.zeros_like(steps.ended[:1]), steps.ended[:-1]])
    return Samples(seen(control, state.moments, steps.obs), starts, batch)


def minibatch_loss(
    params: Any, control: Control, memory: Memory, samples: Samples, knobs: Knobs
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Return the loss of samples, leaves [l, n, ...], their advantages normalised, and its parts."""
    _, dist_params, value = control.network.apply({"params": params}, memory, samples.obs, samples.starts)
    return ppo_loss(dist_params, value, samples.batch, control.world.distribution, control.config.ppo, knobs)


def minibatch_gradient(
    params: Any, control: Control, memory: Memory, samples: Samples, knobs: Knobs
) -> tuple[Any, dict[str, jax.Array]]:
    """Return the gradient of the loss, and its parts; an mlp's steps are taken in parts that fit the cache."""
    samples = samples._replace(batch=normalize_advantages(samples.batch))
    gradient = jax.grad(minibatch_loss, has_aux=True)
    if control.config.network.kind == "lstm":
        return gradient(params, control, memory, samples, knobs)
    return mean_in_parts(lambda params, part: gradient(params, control, memory, part, knobs), params, samples)


def draw_minibatches(control: Control, key: jax.Array) -> jax.Array:
    """Return what each minibatch holds: of an mlp steps of every environment, of an lstm environments.

    The first is [epochs * minibatches, E, L / minibatches], time permuted in each environment by itself; the second
    [epochs * minibatches, E / minibatches].
    """
    config, ppo = control.config, control.config.ppo
    rows = (config.num_envs, ppo.rollout_length) if config.network.kind == "mlp" else (1, config.num_envs)
    order = jnp.argsort(jax.random.bits(key, (ppo.epochs, *rows)), axis=-1)
    parts = jnp.swapaxes(order.reshape(ppo.epochs, rows[0], ppo.minibatches, -1), 1, 2)
    parts = parts.reshape(ppo.epochs * ppo.minibatches, rows[0], -1)
    return parts if config.network.kind == "mlp" else parts[:, 0]


def learn(
    control: Control, state: ControlState, samples: Samples, knobs: Knobs, key: jax.Array
) -> tuple[Any, optax.OptState, Descent]:
    """Run the epochs over one rollout."""
    by_env = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), samples)  # [E, L, ...]

    def of_steps(params: Any, index: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        taken = jax.tree.map(lambda leaf: gather_rows(leaf, index).reshape(-1, 1, *leaf.shape[2:]), by_env)
        return minibatch_gradient(params, control, state.memory, taken, knobs)

    def of_environments(params: Any, index: jax.Array) -> tuple[Any, dict[str, jax.Array]]:
        memory, taken = jax.tree.map(lambda leaf: leaf[index], (state.memory, by_env))
        taken = jax.tree.map(lambda leaf: jnp.swapaxes(leaf, 0, 1), taken)
        return minibatch_gradient(params, control, memory, taken, knobs)

    gradient = of_steps if control.config.network.kind == "mlp" else of_environments
    minibatches = draw_minibatches(control, key)
    start = state.params, state.opt_state
    return descend(control.optimizer, control.config.ppo, (knobs.learning_rate, None), start, minibatches, gradient)


def update(control: Control, state: ControlState, env_params: Any) -> tuple[ControlState, Figures]:
    """Do one update: collect, estimate, learn. Nothing is learned where a number is not finite."""
    ppo = control.config.ppo
    key, key_rollout, key_batches, key_mend = jax.random.split(state.key, 4)
    knobs = knobs_at(ppo, hyper_of(ppo, control.config.updates), state.update, state.obs.dtype)
    after, steps = collect(control, state, env_params, key_rollout)
    batch = estimate(control, state, steps)
    samples = make_samples(control, state, steps, batch)
    params, opt_state, descent = learn(control, state, samples, knobs, key_batches)
    learned = after._replace(
        params=params,
        opt_state=opt_state,
        moments=update_moments(state.moments, steps.obs),
        reward_scale=update_reward_scale(state.reward_scale, steps.reward, steps.ended, ppo.gamma),
    )
    checks = parameter_checks(state.params) | rollout_checks(steps, batch) | descent.checks
    ok = all_well(checks)
    after = jax.lax.cond(ok, lambda: learned, lambda: mend(control, after, (env_params, key_mend)))
    figures = figures_of(steps, batch, knobs, descent, checks)
    return after._replace(key=key, update=state.update + 1), figures


def rollout_checks(steps: Steps, batch: Batch) -> Checks:
    """Return the first step at which each tensor of a rollout is not finite, or -1; of an observation, either end."""
    finite = jnp.all(jnp.isfinite(steps.obs), axis=(1, 2)) & jnp.all(steps.reached, axis=1)
    read = {"log_prob": steps.log_prob, "value": steps.value, "reward": steps.reward, "advantage": batch.advantage}
    return {"observation": first_true(~finite)} | {name: first_bad(values) for name, values in read.items()}


def mend(control: Control, state: ControlState, start: tuple[Any, jax.Array]) -> ControlState:
    """Open fresh episodes where an environment, its observation or its memory holds a number that is not finite."""
    held = jax.tree.leaves((state.obs, state.env_state, state.memory, state.total))
    floats = [leaf for leaf in held if jnp.issubdtype(leaf.dtype, jnp.floating)]
    bad = [~jnp.all(jnp.isfinite(leaf), axis=tuple(range(1, leaf.ndim))) for leaf in floats]
    return restart(control, state, jnp.any(jnp.stack(bad), axis=0), start)


def figures_of(steps: Steps, batch: Batch, knobs: Knobs, descent: Descent, checks: Checks) -> Figures:
    """Return what an update tells the host."""
    dtype = steps.value.dtype
    rows = {"return": steps.total.ravel(), "length": steps.length.ravel().astype(dtype)}
    log = append(empty_log(rows, -(-steps.ended.size // 2)), rows, steps.ended.ravel())
    scalars = {
        **descent.scalars,
        "explained_variance": 1 - jnp.var(batch.target - batch.value) / (jnp.var(batch.target) + 1e-12),
        "reward_std": jnp.std(steps.reward),
        **knobs._asdict(),
        "discarded": 1 - all_well(checks).astype(dtype),
        **log.scalars,
    }
    return Figures(scalars, descent.gradients, checks, log.figures, log.rows)


def train_control(control: Control, state: ControlState, env_params: Any, updates: int) -> tuple[ControlState, Figures]:
    """Do some updates in one program; leaves of the figures are [updates, ...]."""
    return jax.lax.scan(lambda each, _: update(control, each, env_params), state, None, length=updates)


def run_chunk(control: Control, state: ControlState, env_params: Any, count: jax.Array) -> tuple[ControlState, Figures]:
    """Do `count` <= CHUNK updates in one compiled call; figures have shape [CHUNK, ...], zero past `count`."""
    return repeat(lambda state, env_params: update(control, state, env_params), state, env_params, count)
