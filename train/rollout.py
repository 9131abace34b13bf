"""Collect experience: every lane walks L bars, its accounts act on each of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxtrade.envs.stats import EpisodeStats, summarize
from jaxtrade.envs.trading import EnvParams, EnvState, Obs
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
    episodes: dict[str, jax.Array]  # sums over the episodes that ended in ruin


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


def episode_sums(stats: EpisodeStats, ended: jax.Array) -> dict[str, jax.Array]:
    """Return the number of ended episodes and the sums of their figures; stats leaves and `ended` are [G, A]."""
    figures = summarize(stats)
    sums = {name: jnp.sum(jnp.where(ended, value, jnp.zeros_like(value))) for name, value in figures.items()}
    return {"count": jnp.sum(ended.astype(stats.length.dtype)), **sums}


def observe_all(setup: Setup, env_state: EnvState, known: object, env_params: EnvParams) -> Obs:
    """Observe G x A accounts, the known rows having leaves [G, N]."""
    return jax.vmap(jax.vmap(setup.core.view, (0, None, None)), (0, 0, None))(env_state, known, env_params)


def collect(setup: Setup, state: TrainState, env_params: EnvParams, key: jax.Array) -> tuple[EnvState, Rollout]:
    """Walk one rollout. Return the environments after it and what was seen."""
    rows = lane_rows(setup, state, env_params)
    bars = lane_bars(setup, state)
    reach, length = setup.policy.config.reach, setup.schedule.length
    at = jnp.broadcast_to(jnp.arange(reach - 1, reach + length, dtype=jnp.int32)[None, :], bars.shape)
    origin = state.lanes.bar - (reach - 1)
    market = setup.policy.apply({"params": state.params}, rows, at, origin, method="market")  # [G, L+1, N, 2H]
    market_by_bar = jnp.swapaxes(market, 0, 1)
    known, outcome = jax.tree.map(lambda leaf: leaf[bars.T], (env_params.known, env_params.outcome))  # [L+1, G, N]
    transition = jax.vmap(jax.vmap(setup.core.transition, (0, 0, None, None, None)), (0, 0, 0, 0, None))

    def act(env_state: EnvState, market_row: jax.Array, known_row: object) -> tuple[Obs, object, jax.Array]:
        obs = observe_all(setup, env_state, known_row, env_params)
        variables = {"params": state.params}
        return obs, *setup.policy.apply(variables, market_row[:, None], obs.assets, obs.account, method="head")

    def step(carry: tuple[EnvState, dict], now: tuple) -> tuple[tuple[EnvState, dict], tuple]:
        env_state, episodes = carry
        market_row, known_row, outcome_row, key_step = now
        key_action, key_reset = jax.random.split(key_step)
        obs, dist_params, value = act(env_state, market_row, known_row)
        action = setup.distribution.sample(key_action, dist_params)
        log_prob = setup.distribution.log_prob(dist_params, action)
        env_state, reward, record = transition(env_state, action, known_row, outcome_row, env_params)
        episodes, env_state = reset_ruined(setup, env_state, record.ruined, episodes, (env_params, key_reset))
        return (env_state, episodes), (obs.assets, obs.account, action, log_prob, value, reward, record.ruined)

    none_ended = episode_sums(state.env_state.stats, jnp.zeros_like(state.env_state.t, dtype=bool))
    head_rows = jax.tree.map(lambda leaf: leaf[:-1], (market_by_bar, known, outcome))
    (env_state, episodes), steps = jax.lax.scan(
        step, (state.env_state, none_ended), (*head_rows, jax.random.split(key, length))
    )
    _, _, last_value = act(env_state, market_by_bar[-1], jax.tree.map(lambda leaf: leaf[-1], known))
    return env_state, Rollout(rows, origin, *steps, last_value=last_value, episodes=episodes)


def reset_ruined(
    setup: Setup,
    env_state: EnvState,
    ruined: jax.Array,
    episodes: dict[str, jax.Array],
    start: tuple[EnvParams, jax.Array],
) -> tuple[dict[str, jax.Array], EnvState]:
    """Give ruined accounts a fresh start on the bar they have reached, and count their episodes."""
    env_params, key = start

    def reset(_: None) -> tuple[dict[str, jax.Array], EnvState]:
        fresh = fresh_accounts(setup, env_params, env_state.t[:, 0], key)
        sums = jax.tree.map(jnp.add, episodes, episode_sums(env_state.stats, ruined))
        return sums, jax.tree.map(lambda new, old: where_lane(ruined, new, old), fresh, env_state)

    return jax.lax.cond(jnp.any(ruined), reset, lambda _: (episodes, env_state), None)
