"""Validation by the environment itself: one deterministic account walks a whole range, compiled."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxtrade.envs.stats import summarize
from jaxtrade.envs.trading import EnvParams, EnvState
from jaxtrade.rules.types import equity_of
from train.state import Setup

BARS_AT_ONCE = 512  # bars encoded together


def market_table(setup: Setup, params: Any, env_params: EnvParams, decisions: int) -> jax.Array:
    """Encode every decision bar of a range, in parts that bound the memory, [decisions, N, 2H].

    Past the end of the range its last decision is repeated.
    """
    size = min(BARS_AT_ONCE, decisions)
    parts = -(-decisions // size)
    bars = env_params.first_bar + jnp.arange(parts * size, dtype=jnp.int32)
    bars = jnp.minimum(bars, env_params.last_bar - 1).reshape(parts, 1, -1)
    rows = env_params.features.astype(env_params.outcome.gap.dtype)[None]

    def encode(bars: jax.Array) -> jax.Array:
        return setup.policy.apply({"params": params}, rows, bars, jnp.zeros(1, jnp.int32), method="market")[0]

    table = jax.lax.map(encode, bars)
    return table.reshape(parts * size, *table.shape[2:])[:decisions]


def walk(
    setup: Setup, params: Any, env_params: EnvParams, decisions: int, draw: jax.Array | None = None
) -> tuple[EnvState, dict[str, jax.Array]]:
    """Walk the range with the most likely actions; where `draw`, [], is true, with actions drawn from seed 0.

    Args:
        setup: The static parts.
        params: Of the policy.
        env_params: The market and its range.
        decisions: K, at least those of the range: ranges of several lengths share one program.
        draw: Whether to draw.

    Returns:
        The last state and, per step, `action` [K, ...] as the environment is given it, and `equity` [K]. After ruin
        and past the end of the range the account stays as it is.
    """
    market = market_table(setup, params, env_params, decisions)
    core = setup.core

    def step(state: EnvState, market_row: jax.Array) -> tuple[EnvState, dict[str, jax.Array]]:
        known, outcome = jax.tree.map(lambda leaf: leaf[state.t], (env_params.known, env_params.outcome))
        obs = core.view(state, known, env_params)
        dist_params, _ = setup.policy.apply({"params": params}, market_row, obs.assets, obs.account, method="head")
        action = setup.distribution.mode(dist_params)
        if draw is not None:
            drawn = setup.distribution.sample(jax.random.fold_in(jax.random.key(0), state.t), dist_params)
            action = jnp.where(draw, drawn.astype(action.dtype), action)
        action = setup.distribution.to_env(action)
        over = (state.stats.ruins > 0) | (state.t >= env_params.last_bar)
        after, _, _ = core.transition(state, action, known, outcome, env_params)
        state = jax.tree.map(
            lambda new, old: jnp.where(over, old, new), after, state.replace(time=after.time, t=after.t)
        )
        return state, {"action": action, "equity": equity_of(jnp, state.account)}

    return jax.lax.scan(step, core.fresh(env_params, env_params.first_bar), market)


def compile_evaluation(setup: Setup, decisions: int) -> Any:
    """Return the jitted `(params, env_params) -> figures` over a range of a fixed number of decisions."""

    def evaluate(params: Any, env_params: EnvParams) -> dict[str, jax.Array]:
        state, _ = walk(setup, params, env_params, decisions)
        figures = summarize(state.stats)
        return figures | {"log_growth": state.stats.log_growth}

    return jax.jit(evaluate)
