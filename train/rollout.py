"""Collect experience: every lane walks L bars, its accounts act on each of them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrade.envs.stats import EpisodeStats, summarize
from jaxtrade.envs.trading import EnvParams, EnvState, Obs
from jaxtrade.rules import Known, Outcome
from train.episodes import EpisodeLog, append, empty_log
from train.health import Checks, bad_steps, first_bad, first_true, is_finite
from train.state import Setup, TrainState, fresh_accounts


class Rollout(NamedTuple):
    """L steps of G x A accounts. No observation of the market is stored: `rows` holds each bar of a lane once."""

    rows: jax.Array  # [G, W-1+L+1, N, F] features, W the reach of the encoder
    origin: jax.Array  # [G] the bar of each lane's first row
    assets: jax.Array  # [L, G, A, N, 4]
    account: jax.Array  # [L, G, A, 3 + M]
    action: jax.Array  # [L, G, A] or [L, G, A, N]
    log_prob: jax.Array  # [L, G, A]
    value: jax.Array  # [L, G, A]
    reward: jax.Array  # [L, G, A] as the rules give it
    terminated: jax.Array  # [L, G, A]
    last_value: jax.Array  # [G, A] of the state after the last step
    episodes: EpisodeLog  # that ended in ruin
    checks: Checks  # of all of the above, and of the market's rows that were used


def lane_bars(setup: Setup, state: TrainState) -> jax.Array:
    """Return the bars of the coming rollout and the one after it, [G, L+1]."""
    return state.lanes.bar[:, None] + jnp.arange(setup.schedule.length + 1, dtype=jnp.int32)[None, :]


def lane_rows(setup: Setup, state: TrainState, env_params: EnvParams) -> jax.Array:
    """Return the feature rows that the coming rollout needs, [G, W-1+L+1, N, F]."""
    reach = setup.policy.config.reach
    offsets = jnp.arange(1 - reach, setup.schedule.length + 1, dtype=jnp.int32)
    rows = env_params.features[state.lanes.bar[:, None] + offsets[None, :]]
    return rows.astype(env_params.outcome.gap.dtype)


def where_lane(mask: jax.Array, yes: jax.Array, no: jax.Array) -> jax.Array:
    """Select by a mask over the leading axes."""
    return jnp.where(mask.reshape(mask.shape + (1,) * (yes.ndim - mask.ndim)), yes, no)


def start_log(stats: EpisodeStats) -> EpisodeLog:
    """Return a log for episodes with such statistics, leaves [G, A], in which none is."""
    return empty_log(summarize(stats), stats.length.size)


def log_episodes(log: EpisodeLog, stats: EpisodeStats, ended: jax.Array) -> EpisodeLog:
    """Add the episodes that ended, [G, A]; one without a step is none."""
    figures = {name: value.ravel() for name, value in summarize(stats).items()}
    return append(log, figures, (ended & (stats.length > 0)).ravel())


def observe_all(setup: Setup, env_state: EnvState, known: object, env_params: EnvParams) -> Obs:
    """Observe G x A accounts, the known rows having leaves [G, N]."""
    return jax.vmap(jax.vmap(setup.core.view, (0, None, None)), (0, 0, None))(env_state, known, env_params)


def collect(setup: Setup, state: TrainState, env_params: EnvParams, key: jax.Array) -> tuple[EnvState, Rollout]:
    """Walk one rollout. Return the environments after it and what was seen."""
    rows, bars = lane_rows(setup, state, env_params), lane_bars(setup, state)
    market = encode_lanes(setup, state, rows)
    known, outcome = jax.tree.map(lambda leaf: leaf[bars.T], (env_params.known, env_params.outcome))  # [L+1, G, N]
    transition = jax.vmap(jax.vmap(setup.core.transition, (0, 0, None, None, None)), (0, 0, 0, 0, None))

    def act(env_state: EnvState, market_row: jax.Array, known_row: Known) -> tuple[Obs, Any, jax.Array]:
        obs = observe_all(setup, env_state, known_row, env_params)
        variables = {"params": state.params}
        return obs, *setup.policy.apply(variables, market_row[:, None], obs.assets, obs.account, method="head")

    def step(carry: tuple[EnvState, EpisodeLog], now: tuple) -> tuple[tuple[EnvState, EpisodeLog], tuple]:
        env_state, episodes = carry
        market_row, known_row, outcome_row, key_step = now
        key_action, key_reset = jax.random.split(key_step)
        obs, dist_params, value = act(env_state, market_row, known_row)
        action = setup.distribution.sample(key_action, dist_params)
        log_prob = setup.distribution.log_prob(dist_params, action)
        given = setup.distribution.to_env(action)
        env_state, reward, record = transition(env_state, given, known_row, outcome_row, env_params)
        episodes, env_state = reset_ruined(setup, env_state, record.ruined, episodes, (env_params, key_reset))
        return (env_state, episodes), (obs.assets, obs.account, action, log_prob, value, reward, record.ruined)

    before, last = (jax.tree.map(lambda leaf, at=at: leaf[at], (market, known, outcome)) for at in (slice(-1), -1))
    keys = jax.random.split(key, setup.schedule.length)
    start = state.env_state, start_log(state.env_state.stats)
    (env_state, episodes), steps = jax.lax.scan(step, start, (*before, keys))
    last_obs, _, last_value = act(env_state, *last[:2])
    rollout = Rollout(rows, state.lanes.bar - (setup.policy.config.reach - 1), *steps, last_value, episodes, {})
    return env_state, rollout._replace(checks=check_rollout(setup, rollout, last_obs, before[1:]))


def encode_lanes(setup: Setup, state: TrainState, rows: jax.Array) -> jax.Array:
    """Return the head's rows of the coming rollout and the bar after it, [L+1, G, N, 2H]."""
    reach, (lanes, length) = setup.policy.config.reach, setup.schedule[:2]
    at = jnp.broadcast_to(jnp.arange(reach - 1, reach + length, dtype=jnp.int32)[None, :], (lanes, length + 1))
    origin = state.lanes.bar - (reach - 1)
    return jnp.swapaxes(setup.policy.apply({"params": state.params}, rows, at, origin, method="market"), 0, 1)


def check_rollout(setup: Setup, rollout: Rollout, last_obs: Obs, market: tuple[Known, Outcome]) -> Checks:
    """Return the first step at which each tensor is not finite; L is the observation after the last step.

    A feature counts at the first step whose window holds it.
    """
    row = first_bad(jnp.swapaxes(rollout.rows, 0, 1))
    seen = bad_steps(rollout.assets) | bad_steps(rollout.account)
    last_seen = bad_steps(last_obs.assets[None]) | bad_steps(last_obs.account[None])
    values = bad_steps(rollout.value), bad_steps(rollout.last_value[None])
    return {
        "price": first_bad_price(*market),
        "feature": jnp.where(row < 0, row, jnp.maximum(row - (setup.policy.config.reach - 1), 0)),
        "observation": first_true(jnp.concatenate([seen, last_seen])),
        "log_prob": first_bad(rollout.log_prob),
        "value": first_true(jnp.concatenate(values)),
        "reward": first_bad(rollout.reward),
    }


def first_bad_price(known: Known, outcome: Outcome) -> jax.Array:
    """Return the first step, leaves [L, G, N], at which a number that the rules need is not finite, or -1.

    A symbol has no mark before its first bar, and no price where it cannot be filled: there NaN is as it should be.
    """
    traded = known.tradable | outcome.can_fill
    needed = (
        (known.close, known.tradable),
        (outcome.fill_price, outcome.can_fill),
        (outcome.mark, traded),
        *((leaf, jnp.ones_like(traded)) for leaf in (outcome.gap, outcome.move, outcome.income)),
    )
    bad = [jnp.any(where & ~jnp.isfinite(leaf), axis=(1, 2)) for leaf, where in needed if leaf is not None]
    return first_true(jnp.any(jnp.stack([bad_steps(outcome.years), *bad]), axis=0))


def anywhere(setup: Setup, mask: jax.Array) -> jax.Array:
    """Return whether a mask is true anywhere, [], in any of the candidates that train side by side.

    What is asked of all of them is the same for all, so that a `cond` on it stays a branch under `vmap`.
    """
    found = jnp.any(mask)
    return found if setup.axis is None else jax.lax.pmax(found.astype(jnp.int32), setup.axis) > 0


def reset_ruined(
    setup: Setup,
    env_state: EnvState,
    ruined: jax.Array,
    episodes: EpisodeLog,
    start: tuple[EnvParams, jax.Array],
) -> tuple[EpisodeLog, EnvState]:
    """Give ruined accounts a fresh start on the bar they have reached, and log their episodes."""
    env_params, key = start

    def reset(_: None) -> tuple[EpisodeLog, EnvState]:
        fresh = fresh_accounts(setup, env_params, env_state.t[:, 0], key)
        log = log_episodes(episodes, env_state.stats, ruined)
        return log, jax.tree.map(lambda new, old: where_lane(ruined, new, old), fresh, env_state)

    return jax.lax.cond(anywhere(setup, ruined), reset, lambda _: (episodes, env_state), None)


def restart_broken(setup: Setup, ok: jax.Array, env_state: EnvState, start: tuple[EnvParams, jax.Array]) -> EnvState:
    """Unless all is well, [], give accounts that hold a number that is not finite a fresh start where they are."""
    env_params, key = start

    def restart(_: None) -> EnvState:
        finite = jax.vmap(jax.vmap(is_finite))(env_state)
        fresh = fresh_accounts(setup, env_params, env_state.t[:, 0], key)
        return jax.tree.map(lambda new, old: where_lane(finite, old, new), fresh, env_state)

    return jax.lax.cond(anywhere(setup, ~ok), restart, lambda _: env_state, None)
