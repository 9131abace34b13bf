"""Policies: an encoder of market rows and a head on the account.

The market does not hear us, so it is encoded once per parameter update: `market` maps feature rows to one row per bar
that already contains the market's share of the head's first dense layer; `head` adds the account's share and finishes.
Encoders are tied over symbols and the head pools over them, so the policy is equivariant under permutation of symbols.

Parameter names are the bundle's names: `eval_bridge/policy.py` is the same forward pass in NumPy.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from eval_bridge.spec import NetworkConfig
from jaxtrade.config import EnvConfig
from train.distributions import (
    CATEGORICAL,
    GAUSSIAN,
    Distribution,
    GaussianParams,
    bounded_log_std,
    squashed_gaussian,
)
from train.lstm import Form, Kernels, Windows, lstm

ORTHOGONAL = nn.initializers.orthogonal(2**0.5)


def gather_rows(rows: jax.Array, index: jax.Array) -> jax.Array:
    """Gather along each lane's own time axis: rows [G, R, ...], index [G, n] -> [G, n, ...]."""
    return jax.vmap(lambda lane, at: lane[at])(rows, index)


class Dense(nn.Dense):
    """A dense layer on one flat batch: over several leading axes XLA forms the kernel's gradient ten times slower."""

    def __call__(self, x: jax.Array) -> jax.Array:
        """Map [..., K] to [..., features]."""
        return super().__call__(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], self.features)


class MLPEncoder(nn.Module):
    """Two dense layers on the features of one bar."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, rows: jax.Array, bars: jax.Array, origin: jax.Array) -> jax.Array:
        """Encode bars: rows [G, R, N, F], bars [G, n] indices into R -> [G, n, N, hidden]."""
        del origin
        x = gather_rows(rows, bars)
        for number in range(2):
            x = nn.tanh(Dense(self.config.hidden, kernel_init=ORTHOGONAL, name=f"dense_{number}")(x))
        return x


class LSTM(nn.Module):
    """The parameters of an LSTM; gates in the order i, f, g, o."""

    hidden: int
    length: int = 20  # bars that its memory shall span from the start

    @nn.compact
    def __call__(self, features: int) -> Kernels:
        """Return the kernels for rows of `features` numbers."""
        shape = (features, 4 * self.hidden)
        kernel_x = self.param("kernel_x", nn.initializers.lecun_normal(), shape, jnp.float32)
        kernel_h = self.param("kernel_h", nn.initializers.orthogonal(), (self.hidden, 4 * self.hidden), jnp.float32)
        return Kernels(kernel_x, kernel_h, self.param("bias", partial(_chrono_bias, self.length), (4 * self.hidden,)))


def _chrono_bias(length: int, key: jax.Array, shape: tuple[int], dtype: Any = jnp.float32) -> jax.Array:
    """Biases for memories of 1 to `length` bars (Tallec and Ollivier 2018): b_f = log U(1, length - 1), b_i = -b_f.

    With the usual forget bias of one, a bar is forgotten within a few: no gradient comes from the far end of a branch.
    """
    hidden = shape[0] // 4
    forget = jnp.log(jax.random.uniform(key, (hidden,), dtype, minval=1.0, maxval=max(length - 1.0, 1.0)))
    return jnp.zeros(shape, dtype).at[:hidden].set(-forget).at[hidden : 2 * hidden].set(forget)


def lane_windows(rows: jax.Array, starts: jax.Array) -> Windows:
    """Return the sequences that start at given bars of each lane, one for each symbol; B = G * n * N.

    Args:
        rows: [G, R, N, F] features of each lane.
        starts: [G, n] indices into R of the sequences' first bars.
    """
    lanes, bars, symbols, features = rows.shape
    lane = jnp.arange(lanes, dtype=jnp.int32)[:, None, None] * (bars * symbols)
    symbol = jnp.arange(symbols, dtype=jnp.int32)[None, None, :]
    first = lane + starts[:, :, None] * symbols + symbol
    last = jnp.broadcast_to(lane + (bars - 1) * symbols + symbol, first.shape)
    return Windows(rows.reshape(-1, features), first.ravel(), last.ravel())


class MultiScaleLSTM(nn.Module):
    """One LSTM per time scale, each over the last so many bars from a zero state; last hidden states concatenated."""

    config: NetworkConfig

    @nn.compact
    def __call__(self, rows: jax.Array, bars: jax.Array, origin: jax.Array) -> jax.Array:
        """Encode windows: rows [G, R, N, F], bars [G, n] -> [G, n, N, branches * hidden]."""
        del origin
        outputs = []
        for length in self.config.branches:
            kernels = LSTM(self.config.hidden, length, name=f"lstm_{length}")(rows.shape[-1])
            form = Form(length, stride=rows.shape[2], precision=self.config.precision)
            outputs.append(lstm(kernels, lane_windows(rows, bars - (length - 1)), form))
        return jnp.concatenate(outputs, axis=-1).reshape(*bars.shape, rows.shape[2], -1)


class CarriedLSTM(nn.Module):
    """One LSTM whose state is carried from bar to bar.

    Bars are cut into chunks by their number in the data. The state of a bar is carried from `burn_in` bars before its
    chunk, out of zero, so that all chunks are encoded side by side, and a bar's state is the same wherever it is asked.
    """

    config: NetworkConfig

    @nn.compact
    def __call__(self, rows: jax.Array, bars: jax.Array, origin: jax.Array) -> jax.Array:
        """Encode bars: rows [G, R, N, F], bars [G, n], origin [G] the number of each first row -> [G, n, N, hidden]."""
        chunk, burn_in, (lanes, length, symbols, features) = self.config.chunk, self.config.burn_in, rows.shape
        kernels = LSTM(self.config.hidden, self.config.burn_in, name="lstm")(features)
        count = (length - self.config.reach + chunk - 1) // chunk + 1  # chunks that the lane's decisions may touch
        first = (origin + self.config.reach - 1) // chunk  # [G] the first of them
        number = first[:, None] + jnp.arange(count, dtype=jnp.int32)[None, :]
        starts = number * chunk - burn_in - origin[:, None]
        form = Form(burn_in + chunk, stride=symbols, every=True, precision=self.config.precision)
        states = lstm(kernels, lane_windows(rows, starts), form)[burn_in:]  # [chunk, G * count * N, H]
        states = states.reshape(chunk, lanes, count, symbols, -1).transpose(1, 2, 0, 3, 4)
        offset = origin[:, None] + bars - first[:, None] * chunk
        return gather_rows(states.reshape(lanes, count * chunk, symbols, -1), offset)


class FlatFeatures(nn.Module):
    """The features of one bar, of all symbols in one vector; the head's first layer is the first of the network."""

    config: NetworkConfig

    def __call__(self, rows: jax.Array, bars: jax.Array, origin: jax.Array) -> jax.Array:
        """Gather bars: rows [G, R, N, F], bars [G, n] -> [G, n, 1, N * F]."""
        del origin
        return gather_rows(rows, bars).reshape(*bars.shape, 1, -1)


ENCODERS: dict[str, type[nn.Module]] = {
    "mlp": MLPEncoder,
    "flat_mlp": FlatFeatures,
    "lstm": CarriedLSTM,
    "multiscale_lstm": MultiScaleLSTM,
}


class Policy(nn.Module):
    """Encoder and separate actor and critic heads."""

    config: NetworkConfig
    choices: int | None  # discrete actions; None: one number per symbol
    symbols: int | None = None  # of a flat_mlp, which is tied to their number

    @property
    def discrete(self) -> bool:
        """True if the policy chooses among numbered actions."""
        return self.choices is not None

    def setup(self) -> None:
        """Create the layers."""
        self.encoder = ENCODERS[self.config.kind](self.config)
        width = self.config.head
        self.from_symbol = Dense(2 * width, kernel_init=ORTHOGONAL)  # actor and critic, one product
        if self.symbols is None:
            self.from_panel = Dense(2 * width, kernel_init=ORTHOGONAL, use_bias=False)
        self.from_assets = Dense(2 * width, kernel_init=ORTHOGONAL, use_bias=False)
        self.from_account = Dense(2 * width, kernel_init=ORTHOGONAL, use_bias=False)
        self.actor_hidden = Dense(width, kernel_init=ORTHOGONAL)
        self.critic_hidden = Dense(width, kernel_init=ORTHOGONAL)
        outputs = self.choices or (self.symbols or 1) * (2 if self.config.std == "state" else 1)
        self.actor_out = Dense(outputs, kernel_init=nn.initializers.orthogonal(0.01))
        self.critic_out = Dense(1, kernel_init=nn.initializers.orthogonal(1.0))
        if not self.discrete and self.config.std == "free":
            self.log_std = self.param("log_std", nn.initializers.constant(self.config.log_std), (), jnp.float32)

    def market(self, rows: jax.Array, bars: jax.Array, origin: jax.Array) -> jax.Array:
        """Return the embedding table, multiplied into the head's first layer.

        Args:
            rows: [G, R, N, F] features of each lane.
            bars: [G, n] indices into R of the bars to encode; each needs its window of rows before it.
            origin: [G] the number of each lane's first row in the data.

        Returns:
            [G, n, N, 2 * head]; of a flat_mlp [G, n, 1, 2 * head].
        """
        symbol = self.encoder(rows, bars, origin)
        if self.symbols is not None:
            return self.from_symbol(symbol)
        panel = jnp.mean(symbol, axis=-2, keepdims=True)
        return self.from_symbol(symbol) + self.from_panel(panel)

    def head(self, market: jax.Array, assets: jax.Array, account: jax.Array) -> tuple[Any, jax.Array]:
        """Return the distribution's parameters and the value, [...].

        Args:
            market: [..., N, 2 * head] rows of the table.
            assets: [..., N, 4] account part per symbol.
            account: [..., 3 + M] account part.
        """
        if self.symbols is not None:
            assets = assets.reshape(*assets.shape[:-2], 1, -1)
        first = nn.tanh(market + self.from_assets(assets) + self.from_account(account)[..., None, :])
        actor, critic = jnp.split(first, 2, axis=-1)
        actor = self.actor_out(nn.tanh(self.actor_hidden(actor)))
        critic = self.critic_out(jnp.mean(nn.tanh(self.critic_hidden(critic)), axis=-2))[..., 0]
        if self.discrete:
            return actor[..., 0, :], critic
        return self.gaussian(actor), critic

    def gaussian(self, actor: jax.Array) -> GaussianParams:
        """Return the symbols' actions, leaves [..., N], of the last layer, [..., N, 1] or of a flat_mlp [..., 1, N].

        With `std: state` the last layer is twice as wide: the means, then the deviations.
        """
        state = self.config.std == "state"
        parts = jnp.split(actor, 2, axis=-1) if state else [actor]
        mean, *raw = (part.reshape(*part.shape[:-2], -1) for part in parts)
        log_std = bounded_log_std(*raw, self.config.log_std) if state else jnp.broadcast_to(self.log_std, mean.shape)
        return GaussianParams(mean, log_std)

    def __call__(self, rows: jax.Array, assets: jax.Array, account: jax.Array) -> tuple[Any, jax.Array]:
        """Encode the first bar that can be and decide at once, rows [G, reach, N, F], the rest [G, ...]."""
        lanes = rows.shape[0]
        bars = jnp.full((lanes, 1), self.config.reach - 1, jnp.int32)
        market = self.market(rows, bars, jnp.zeros(lanes, jnp.int32))
        return self.head(market[:, 0], assets, account)


def make_policy(config: NetworkConfig, env: EnvConfig, symbols: int) -> tuple[Policy, Distribution]:
    """Return the network and the distribution of its actions.

    One of the choices of `env`, where `std` and `squash` of the network have no effect; or one number per symbol, which
    the rules clip, or which is squashed between the bounds that they clip to.
    """
    policy = Policy(config, env.choices, symbols if config.kind == "flat_mlp" else None)
    if policy.discrete:
        return policy, CATEGORICAL
    return policy, squashed_gaussian(*env.bounds) if config.squash == "tanh" else GAUSSIAN


def init_params(policy: Policy, key: jax.Array, symbols: int, features: int, memory: int = 0) -> Any:
    """Return fresh parameters for `symbols` x `features` inputs and `memory` accumulators of the reward."""
    shapes = ((1, policy.config.reach, symbols, features), (1, symbols, 4), (1, 3 + memory))
    return policy.init(key, *(jnp.zeros(shape, jnp.float32) for shape in shapes))["params"]
