"""Generalised advantage estimation (Schulman et al. 2016), with truncation told apart from termination."""

import jax
import jax.numpy as jnp


def gae(
    rewards: jax.Array,
    values: jax.Array,
    next_values: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array,
    discount: tuple[float, float],
) -> jax.Array:
    """Return the advantages, [L, ...].

    delta[l] = r[l] + gamma (1 - terminated[l]) V(s[l+1]) - V(s[l]);
    A[l] = delta[l] + gamma lambda (1 - terminated[l] or truncated[l]) A[l+1].

    Args:
        rewards: [L, ...].
        values: [L, ...] V(s[l]).
        next_values: [L, ...] V of the state that step l truly led to, before any reset.
        terminated: [L, ...] bool: nothing follows; no bootstrap.
        truncated: [L, ...] bool: we stopped looking; bootstrap, but the sum ends.
        discount: gamma and lambda.
    """
    gamma, lam = discount
    alive = 1 - terminated.astype(values.dtype)
    goes_on = 1 - (terminated | truncated).astype(values.dtype)
    deltas = rewards + gamma * alive * next_values - values

    def back(advantage: jax.Array, step: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        delta, more = step
        advantage = delta + gamma * lam * more * advantage
        return advantage, advantage

    _, advantages = jax.lax.scan(back, jnp.zeros_like(values[0]), (deltas, goes_on), reverse=True)
    return advantages
