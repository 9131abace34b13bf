"""Actor and critic for flat observations: tanh layers, behind an LSTM where the task needs a memory."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from train.control_config import ControlNetwork
from train.distributions import GaussianParams, bounded_log_std
from train.lstm import Kernels
from train.networks import LSTM, ORTHOGONAL, Dense

Cells = tuple[jax.Array, jax.Array] | tuple[()]  # cell and hidden state of an LSTM, [E, H] each; nothing for an mlp


class Memory(NamedTuple):
    """What a policy remembers."""

    actor: Cells
    critic: Cells


def no_memory(config: ControlNetwork, environments: int, dtype: Any) -> Memory:
    """Return the memory at the start of an episode, for E environments."""
    if config.kind == "mlp":
        return Memory((), ())
    zeros = jnp.zeros((environments, config.hidden), dtype)
    return Memory((zeros, zeros), (zeros, zeros))


def forget(memory: Any, starts: jax.Array) -> Any:
    """Return the memory, zero in those environments [E] where an episode starts."""
    return jax.tree.map(lambda leaf: jnp.where(starts[:, None], jnp.zeros_like(leaf), leaf), memory)


def carry(kernels: Kernels, cells: Cells, inputs: jax.Array, starts: jax.Array) -> tuple[Cells, jax.Array]:
    """Carry an LSTM through L steps of E environments.

    h = o * tanh(c), c = f * c + i * g (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

    Args:
        kernels: Parameters.
        cells: The state before the first step.
        inputs: [L, E, F].
        starts: [L, E] whether an episode ended before the step, so that its state begins at zero.

    Returns:
        The state after the last step, and the hidden states, [L, E, H].
    """
    rows = inputs @ kernels.x + kernels.bias[None, None]

    def cell(cells: Cells, now: tuple[jax.Array, jax.Array]) -> tuple[Cells, jax.Array]:
        row, start = now
        c, h = forget(cells, start)
        i, f, g, o = jnp.split(row + h @ kernels.h, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (c, h), h

    return jax.lax.scan(cell, cells, (rows, starts))


class Tower(nn.Module):
    """An LSTM, if any, tanh layers and a linear one."""

    config: ControlNetwork
    outputs: int
    scale: float  # of the last layer's initial parameters

    @nn.compact
    def __call__(self, cells: Cells, obs: jax.Array, starts: jax.Array) -> tuple[Cells, jax.Array]:
        """Map [L, E, O] to [L, E, outputs], with the memory after the last step."""
        if self.config.kind == "lstm":
            cells, obs = carry(self._kernels(obs.shape[-1]), cells, obs, starts)
        for number, units in enumerate(self.config.layers):
            obs = nn.tanh(Dense(units, kernel_init=ORTHOGONAL, name=f"dense_{number}")(obs))
        return cells, Dense(self.outputs, kernel_init=nn.initializers.orthogonal(self.scale), name="out")(obs)

    def _kernels(self, features: int) -> Kernels:
        return LSTM(self.config.hidden, self.config.reach, name="lstm")(features)


class ActorCritic(nn.Module):
    """Two towers that share nothing."""

    config: ControlNetwork
    outputs: int
    continuous: bool

    def setup(self) -> None:
        """Create the towers."""
        own = self.continuous and self.config.std == "state"
        self.actor = Tower(self.config, self.outputs * (2 if own else 1), 0.01)
        self.critic = Tower(self.config, 1, 1.0)
        if self.continuous and not own:
            initial = nn.initializers.constant(self.config.log_std)
            self.log_std = self.param("log_std", initial, (self.outputs,), jnp.float32)

    def __call__(self, memory: Memory, obs: jax.Array, starts: jax.Array) -> tuple[Memory, Any, jax.Array]:
        """Go through L steps of E environments.

        Args:
            memory: Before the first step.
            obs: [L, E, O].
            starts: [L, E] whether an episode ended before the step.

        Returns:
            The memory after the last step, parameters of the distribution, leaves [L, E, ...], and values, [L, E].
        """
        actor, out = self.actor(memory.actor, obs, starts)
        critic, value = self.critic(memory.critic, obs, starts)
        return Memory(actor, critic), self._parameters(out), value[..., 0]

    def value(self, memory: Memory, obs: jax.Array) -> jax.Array:
        """Return the value, [E], of observations [E, O] that were reached with a memory."""
        never = jnp.zeros((1, obs.shape[0]), bool)
        return self.critic(memory.critic, obs[None], never)[1][0, :, 0]

    def _parameters(self, out: jax.Array) -> Any:
        if not self.continuous:
            return out
        if self.config.std == "free":
            return GaussianParams(out, jnp.broadcast_to(self.log_std, out.shape))
        mean, raw = jnp.split(out, 2, axis=-1)
        return GaussianParams(mean, bounded_log_std(raw, self.config.log_std))
