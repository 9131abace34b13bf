"""Policies: an encoder of market rows and a head on the account.

The market does not hear us, so it is encoded once per parameter update: `market` maps feature rows to one row per bar
that already contains the market's share of the head's first dense layer; `head` adds the account's share and finishes.
Encoders are tied over symbols and the head pools over them, so the policy is equivariant under permutation of symbols.

Parameter names are the bundle's names: `eval_bridge/policy.py` is the same forward pass in NumPy.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from eval_bridge.spec import NetworkConfig
from train.distributions import CATEGORICAL, GAUSSIAN, Distribution, GaussianParams

ORTHOGONAL = nn.initializers.orthogonal(2**0.5)


def gather_rows(rows: jax.Array, index: jax.Array) -> jax.Array:
    """Gather along each lane's own time axis: rows [G, R, ...], index [G, n] -> [G, n, ...]."""
    return jax.vmap(lambda lane, at: lane[at])(rows, index)


class MLPEncoder(nn.Module):
    """Two dense layers on the features of one bar."""

    hidden: int

    @nn.compact
    def __call__(self, rows: jax.Array, bars: jax.Array) -> jax.Array:
        """Encode bars: rows [G, R, N, F], bars [G, n] indices into R -> [G, n, N, hidden]."""
        x = gather_rows(rows, bars)
        for number in range(2):
            x = nn.tanh(nn.Dense(self.hidden, kernel_init=ORTHOGONAL, name=f"dense_{number}")(x))
        return x


class LSTMBranch(nn.Module):
    """The last hidden state of an LSTM over the last `length` bars, from a zero state. Gates: i, f, g, o."""

    hidden: int
    length: int

    @nn.compact
    def __call__(self, rows: jax.Array, bars: jax.Array) -> jax.Array:
        """Encode windows: rows [G, R, N, F], bars [G, n] indices of their last rows -> [G, n, N, hidden]."""
        hidden, features = self.hidden, rows.shape[-1]
        kernel_x = self.param("kernel_x", nn.initializers.lecun_normal(), (features, 4 * hidden), jnp.float32)
        kernel_h = self.param("kernel_h", nn.initializers.orthogonal(), (hidden, 4 * hidden), jnp.float32)
        bias = self.param("bias", _forget_bias, (4 * hidden,))
        kernel = jnp.concatenate([kernel_x, kernel_h])  # one matrix product a cell
        zero = jnp.zeros((*bars.shape, rows.shape[2], hidden), rows.dtype)
        bias = jnp.broadcast_to(bias, (1, 1, 1, 4 * hidden))

        def cell(carry: tuple[jax.Array, jax.Array], back: jax.Array) -> tuple[tuple[jax.Array, jax.Array], None]:
            memory, output = carry
            x = jnp.concatenate([gather_rows(rows, bars - back), output], axis=-1)
            i, f, g, o = jnp.split(x @ kernel + bias, 4, axis=-1)
            memory = nn.sigmoid(f) * memory + nn.sigmoid(i) * nn.tanh(g)
            return (memory, nn.sigmoid(o) * nn.tanh(memory)), None

        (_, output), _ = jax.lax.scan(cell, (zero, zero), jnp.arange(self.length - 1, -1, -1, dtype=jnp.int32))
        return output


def _forget_bias(key: jax.Array, shape: tuple[int], dtype: Any = jnp.float32) -> jax.Array:
    """Zeros, with ones for the forget gate, so that memory lasts from the start (Jozefowicz et al. 2015)."""
    del key
    hidden = shape[0] // 4
    return jnp.zeros(shape, dtype).at[hidden : 2 * hidden].set(1.0)


class MultiScaleLSTM(nn.Module):
    """One LSTM branch per time scale, concatenated."""

    hidden: int
    branches: tuple[int, ...]

    @nn.compact
    def __call__(self, rows: jax.Array, bars: jax.Array) -> jax.Array:
        """Encode windows: rows [G, R, N, F], bars [G, n] -> [G, n, N, branches * hidden]."""
        outputs = [LSTMBranch(self.hidden, length, name=f"lstm_{length}")(rows, bars) for length in self.branches]
        return jnp.concatenate(outputs, axis=-1)


class Policy(nn.Module):
    """Encoder and separate actor and critic heads."""

    config: NetworkConfig
    choices: int | None  # discrete actions; None: one number per symbol

    @property
    def discrete(self) -> bool:
        """True if the policy chooses among numbered actions."""
        return self.choices is not None

    def setup(self) -> None:
        """Create the layers."""
        if self.config.kind == "mlp":
            self.encoder = MLPEncoder(self.config.hidden)
        else:
            self.encoder = MultiScaleLSTM(self.config.hidden, self.config.branches)
        width = self.config.head
        self.from_symbol = nn.Dense(2 * width, kernel_init=ORTHOGONAL)  # actor and critic, one product
        self.from_panel = nn.Dense(2 * width, kernel_init=ORTHOGONAL, use_bias=False)
        self.from_assets = nn.Dense(2 * width, kernel_init=ORTHOGONAL, use_bias=False)
        self.from_account = nn.Dense(2 * width, kernel_init=ORTHOGONAL, use_bias=False)
        self.actor_hidden = nn.Dense(width, kernel_init=ORTHOGONAL)
        self.critic_hidden = nn.Dense(width, kernel_init=ORTHOGONAL)
        self.actor_out = nn.Dense(self.choices or 1, kernel_init=nn.initializers.orthogonal(0.01))
        self.critic_out = nn.Dense(1, kernel_init=nn.initializers.orthogonal(1.0))
        if not self.discrete:
            self.log_std = self.param("log_std", nn.initializers.constant(self.config.log_std), (), jnp.float32)

    def market(self, rows: jax.Array, bars: jax.Array) -> jax.Array:
        """Return the embedding table, multiplied into the head's first layer.

        Args:
            rows: [G, R, N, F] features of each lane.
            bars: [G, n] indices into R of the bars to encode; each needs its window of rows before it.

        Returns:
            [G, n, N, 2 * head].
        """
        symbol = self.encoder(rows, bars)
        panel = jnp.mean(symbol, axis=-2, keepdims=True)
        return self.from_symbol(symbol) + self.from_panel(panel)

    def head(self, market: jax.Array, assets: jax.Array, account: jax.Array) -> tuple[Any, jax.Array]:
        """Return the distribution's parameters and the value, [...].

        Args:
            market: [..., N, 2 * head] rows of the table.
            assets: [..., N, 4] account part per symbol.
            account: [..., 3 + M] account part.
        """
        first = nn.tanh(market + self.from_assets(assets) + self.from_account(account)[..., None, :])
        actor, critic = jnp.split(first, 2, axis=-1)
        actor = self.actor_out(nn.tanh(self.actor_hidden(actor)))
        critic = self.critic_out(jnp.mean(nn.tanh(self.critic_hidden(critic)), axis=-2))[..., 0]
        if self.discrete:
            return actor[..., 0, :], critic
        mean = actor[..., 0]
        return GaussianParams(mean, jnp.broadcast_to(self.log_std, mean.shape)), critic

    def __call__(
        self, rows: jax.Array, bars: jax.Array, assets: jax.Array, account: jax.Array
    ) -> tuple[Any, jax.Array]:
        """Encode and decide at once, one account per bar: for initialisation and for windows from outside."""
        return self.head(self.market(rows, bars), assets, account)


def make_policy(config: NetworkConfig, choices: int | None) -> tuple[Policy, Distribution]:
    """Return the network and the distribution of its actions: one of `choices`, or one number per symbol."""
    return Policy(config, choices), GAUSSIAN if choices is None else CATEGORICAL


def init_params(policy: Policy, key: jax.Array, symbols: int, features: int, memory: int = 0) -> Any:
    """Return fresh parameters for `symbols` x `features` inputs and `memory` accumulators of the reward."""
    reach = policy.config.reach
    rows, assets, account = (
        jnp.zeros(shape, jnp.float32)
        for shape in ((1, reach, symbols, features), (1, 1, symbols, 4), (1, 1, 3 + memory))
    )
    return policy.init(key, rows, jnp.full((1, 1), reach - 1, jnp.int32), assets, account)["params"]
