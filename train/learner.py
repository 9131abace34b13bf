"""One update of PPO: collect, estimate, learn, move the lanes."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxtrade.envs.lanes import next_lanes
from jaxtrade.envs.trading import EnvParams, EnvState
from train.config import PPOConfig
from train.episodes import EpisodeLog
from train.figures import Figures
from train.gae import gae
from train.health import Checks, all_well, by_name, first_bad, first_true, is_finite, keep, parameter_checks
from train.losses import Batch, normalize_advantages, ppo_loss
from train.networks import gather_rows
from train.normalize import scale_reward, update_reward_scale
from train.optimizer import apply_gradients
from train.parts import count_parts
from train.rollout import Rollout, collect, log_episodes, restart_broken, where_lane
from train.schedules import Hyper, Knobs, hyper_of, knobs_at
from train.state import Setup, TrainState, fresh_accounts

Metrics = dict[str, jax.Array]
CHUNK = 64  # most updates of one compiled call
LEARNED = ("params", "opt_state", "reward_scale")  # what a discarded update leaves as it was


def update(
    setup: Setup, state: TrainState, env_params: EnvParams, hyper: Hyper | None = None
) -> tuple[TrainState, Figures]:
    """Do one update and return the new state and its figures; it is discarded if any number in it is not finite.

    Args:
        setup: The static parts.
        state: Before the update.
        env_params: The market.
        hyper: Numbers that differ from those of the configuration.
    """
    key, key_rollout, key_batches, key_reset = jax.random.split(state.key, 4)
    ppo, hyper = setup.config.ppo, hyper or hyper_of(setup.config.ppo, setup.config.updates)
    knobs = knobs_at(ppo, hyper, state.update, state.reward_scale.mean.dtype)
    env_state, rollout = collect(setup, state, env_params, key_rollout)
    batch = estimate(setup, state, rollout)
    params, opt_state, descent = learn(setup, state, (knobs, hyper.epochs), (rollout, batch), key_batches)
    learned = state._replace(params=params, opt_state=opt_state)
    if ppo.normalize_reward:
        seen = rollout.reward, rollout.terminated
        learned = learned._replace(reward_scale=update_reward_scale(state.reward_scale, *seen, ppo.gamma))
    checks = parameter_checks(state.params) | rollout.checks | {"advantage": first_bad(batch.advantage)}
    checks |= descent.checks
    ok = all_well(checks)
    env_state = restart_broken(setup, ok, env_state, (env_params, jax.random.fold_in(key_reset, 1)))
    moved, episodes = move_lanes(setup, learned, env_state, (env_params, key_reset), rollout.episodes)
    scalars = {
        "explained_variance": 1 - jnp.var(batch.target - batch.value) / (jnp.var(batch.target) + 1e-12),
        "reward_std": jnp.std(rollout.reward),
        "discarded": 1 - ok.astype(rollout.reward.dtype),
    }
    scalars |= descent.scalars | knobs._asdict() | episodes.scalars
    kept = {name: keep(ok, getattr(moved, name), getattr(state, name)) for name in LEARNED}
    after = moved._replace(**kept, key=key, update=state.update + 1)
    return after, Figures(scalars, descent.gradients, checks, episodes.figures, episodes.rows)


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


def head_loss(
    params: Any, market: jax.Array, setup: Setup, knobs: Knobs, samples: Samples
) -> tuple[jax.Array, Metrics]:
    """Return the loss of samples whose steps are those of `market`, [G, n, N, 2H], and its parts."""
    seen = market[:, :, None], samples.assets, samples.account
    dist_params, value = setup.policy.apply({"params": params}, *seen, method="head")
    return ppo_loss(dist_params, value, samples.batch, setup.distribution, setup.config.ppo, knobs)


def minibatch_gradient(
    params: Any, setup: Setup, knobs: Knobs, samples: Samples, steps: jax.Array
) -> tuple[Any, Metrics]:
    """Return the gradient of the loss over some steps of every lane, and the loss's parts.

    The steps are encoded once. The head goes through their accounts in parts that fit a processor's cache.

    Args:
        params: Parameters to differentiate by.
        setup: The static parts.
        knobs: Clip range and entropy weight.
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
        (grads, dmarket), metrics = gradient(params, market, setup, knobs, these)
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


class Descent(NamedTuple):
    """What the minibatches of an update tell."""

    scalars: Metrics  # means over the minibatches, and their number
    gradients: Metrics  # mean norm of each parameter's gradient, before it is clipped
    checks: Checks  # first minibatch where the loss, a gradient or a parameter after the step is not finite


def learn(
    setup: Setup,
    state: TrainState,
    numbers: tuple[Knobs, jax.Array | None],
    seen: tuple[Rollout, Batch],
    key: jax.Array,
) -> tuple[Any, Any, Descent]:
    """Run the epochs, as many as the second of `numbers` says, over one rollout.

    Returns:
        Parameters, optimiser state and what the minibatches tell.
    """
    samples, (knobs, epochs) = make_samples(setup, *seen), numbers

    def gradient(params: Any, steps: jax.Array) -> tuple[Any, Metrics]:
        return minibatch_gradient(params, setup, knobs, samples, steps)

    start, minibatches = (state.params, state.opt_state), draw_minibatches(setup, key)
    return descend(setup.optimizer, setup.config.ppo, (knobs.learning_rate, epochs), start, minibatches, gradient)


def descend(
    optimizer: optax.GradientTransformation,
    ppo: PPOConfig,
    numbers: tuple[jax.Array, jax.Array | None],
    start: tuple[Any, optax.OptState],
    minibatches: Any,
    gradient: Callable[[Any, Any], tuple[Any, Metrics]],
) -> tuple[Any, optax.OptState, Descent]:
    """Take a step of the optimiser for each minibatch, until the divergence stops the epochs.

    Args:
        optimizer: The optimiser.
        ppo: For `target_kl`.
        numbers: Learning rate of this update, [], and epochs, [], None for all that there are minibatches for.
        start: Parameters, nested dictionaries, and the state of the optimiser.
        minibatches: Leaves [epochs * minibatches, ...].
        gradient: (parameters, minibatch) -> gradient, figures, `loss` and `approx_kl` among them.

    Returns:
        Parameters, state of the optimiser, and what the minibatches tell.
    """
    learning_rate, epochs = numbers

    def follow(params: Any, opt_state: Any, minibatch: Any) -> tuple[Any, Any, Descent]:
        grads, metrics = gradient(params, minibatch)
        norms = {name: jnp.sqrt(jnp.sum(leaf**2)) for name, leaf in by_name(grads).items()}
        params, opt_state = apply_gradients(optimizer, learning_rate, grads, opt_state, params)
        bad = {"loss": ~jnp.isfinite(metrics["loss"])}
        bad |= {f"gradient of {name}": ~jnp.isfinite(norm) for name, norm in norms.items()}
        bad |= {f"parameter {name} after the step": ~is_finite(leaf) for name, leaf in by_name(params).items()}
        return params, opt_state, Descent(metrics | {"grad_norm": optax.tree.norm(grads)}, norms, bad)

    def step(carry: tuple[Any, Any, jax.Array], now: tuple[jax.Array, Any]) -> tuple[tuple[Any, Any, jax.Array], Any]:
        (params, opt_state, stopped), (number, minibatch) = carry, now
        if ppo.target_kl == 0 and epochs is None:
            params, opt_state, told = follow(params, opt_state, minibatch)
            return (params, opt_state, stopped), (told, stopped)
        skipped = stopped if epochs is None else stopped | (number >= epochs * ppo.minibatches)
        idle = jax.tree.map(jnp.zeros_like, jax.eval_shape(follow, params, opt_state, minibatch)[2])
        params, opt_state, told = jax.lax.cond(
            skipped, lambda p, o, _: (p, o, idle), follow, params, opt_state, minibatch
        )
        if ppo.target_kl:
            stopped |= told.scalars["approx_kl"] > ppo.target_kl
        return (params, opt_state, stopped), (told, skipped)

    numbered = jnp.arange(len(jax.tree.leaves(minibatches)[0]), dtype=jnp.int32), minibatches
    (params, opt_state, _), (told, skipped) = jax.lax.scan(step, (*start, jnp.zeros((), bool)), numbered)
    count = jnp.sum(~skipped).astype(learning_rate.dtype)
    scalars, gradients = jax.tree.map(lambda each: jnp.sum(each) / count, told[:2])  # those skipped are zero
    checks = {name: first_true(bad) for name, bad in told.checks.items()}
    return params, opt_state, Descent(scalars | {"minibatches": count}, gradients, checks)


def move_lanes(
    setup: Setup, state: TrainState, env_state: EnvState, start: tuple[EnvParams, jax.Array], episodes: EpisodeLog
) -> tuple[TrainState, EpisodeLog]:
    """Carry the lanes on; a lane that jumps truncates its episodes and opens fresh accounts."""
    env_params, key = start
    lanes, jumped = next_lanes(setup.schedule, state.lanes, env_params.first_bar, env_params.last_bar)
    ended = jnp.broadcast_to(jumped[:, None], env_state.t.shape)

    def jump(_: None) -> tuple[EpisodeLog, EnvState]:
        log, fresh = log_episodes(episodes, env_state.stats, ended), fresh_accounts(setup, env_params, lanes.bar, key)
        return log, jax.tree.map(lambda new, old: where_lane(ended, new, old), fresh, env_state)

    episodes, env_state = jax.lax.cond(jnp.any(jumped), jump, lambda _: (episodes, env_state), None)
    discounted = jnp.where(ended, jnp.zeros_like(state.reward_scale.discounted), state.reward_scale.discounted)
    scale = state.reward_scale._replace(discounted=discounted)
    return state._replace(env_state=env_state, lanes=lanes, reward_scale=scale), episodes


def repeat(once: Callable[[Any, Any], tuple[Any, Figures]], state: Any, market: Any, count: jax.Array) -> Any:
    """Call `once(state, market) -> (state, figures)` `count` <= CHUNK times; figures are [CHUNK, ...], zero past it."""
    once = jax.jit(once, inline=True)  # traced once for both uses
    shapes = jax.eval_shape(once, state, market)[1]
    table = jax.tree.map(lambda leaf: jnp.zeros((CHUNK, *leaf.shape), leaf.dtype), shapes)

    def body(i: jax.Array, carry: tuple[Any, Figures]) -> tuple[Any, Figures]:
        state, table = carry
        state, figures = once(state, market)
        return state, jax.tree.map(lambda rows, row: rows.at[i].set(row), table, figures)

    return jax.lax.fori_loop(0, count, body, (state, table))


def run_chunk(setup: Setup, state: TrainState, env_params: EnvParams, count: jax.Array) -> tuple[TrainState, Figures]:
    """Do `count` <= CHUNK updates in one compiled call; figures have shape [CHUNK, ...], zero past `count`."""
    return repeat(lambda state, env_params: update(setup, state, env_params), state, env_params, count)


def compile_chunk(setup: Setup) -> Any:
    """Return the jitted `(state, env_params, count) -> (state, figures)`, which consumes (donates) the state."""
    return jax.jit(lambda state, env_params, count: run_chunk(setup, state, env_params, count), donate_argnums=0)
