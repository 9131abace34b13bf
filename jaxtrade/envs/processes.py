"""Made-up markets inside a compiled program: from a typed key to bars, for any process of prices.

A process gives increments, which are also what a bootstrap draws from real bars; `to_prices` turns increments into
bars. All numbers are float32. Keys and parameters are traced, so that `vmap` over either makes thousands of markets;
`bars` and `symbols` are static. Parameters are shared by the symbols, or `[N]`; units are per bar.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrade.market.process_kinds import GARCH, GBM, OU, Jumps, Process, Regimes, Shape

LEAST = -1 + 2**-24  # the smallest float32 above -1: a symmetric uniform number, of which `erf_inv` makes a normal one
MOST_JUMPS = 32  # in one night or day
LOG_LIMIT = 80.0  # prices stay within exp(-80) and exp(80), which float32 can hold


class Increments(NamedTuple):
    """Bars relative to the close before them; `T` bars, `N` symbols."""

    overnight: jax.Array  # [T, N] log of open over the close before
    intraday: jax.Array  # [T, N] log of close over open
    upper: jax.Array  # [T, N] log of high over the larger of open and close, >= 0
    lower: jax.Array  # [T, N] log of the smaller of open and close over low, >= 0
    volume: jax.Array  # [T, N] units traded; a level


class Prices(NamedTuple):
    """Bars on the device; leaves [T, N], complete."""

    open: jax.Array
    high: jax.Array
    low: jax.Array
    close: jax.Array
    volume: jax.Array


class Moves(NamedTuple):
    """What a process says of its bars."""

    overnight: jax.Array  # [T, N] log return from close to open
    intraday: jax.Array  # [T, N] log return from open to close
    variance: jax.Array  # [T, N] or broadcast: variance of the diffusion from open to close


def simulate(key: jax.Array, process: Process, shape: Shape, bars: int, symbols: int = 1) -> Increments:
    """Return increments of one market.

    Args:
        key: A typed key; the same key gives the same market.
        process: `GBM`, `OU`, `Regimes`, `GARCH` or `Jumps`, with numbers or traced arrays.
        shape: How a bar's return spreads over the bar, and its volume.
        bars: T, static.
        symbols: N, static.

    Returns:
        Increments [T, N]. Wicks are those of a Brownian bridge from open to close: with a its end, v its variance and
        U uniform, the maximum is distributed as (a + sqrt(a^2 - 2 v log U)) / 2 (the reflection principle; Karatzas &
        Shreve 1991, section 2.8). High and low are drawn independently of each other.
    """
    process, shape = _rows(process, symbols), _rows(shape, symbols)
    key_shocks, key_path = jax.random.split(key)
    drawn = jax.random.uniform(key_shocks, (5, bars + 1, symbols + 1), jnp.float32, minval=LEAST, maxval=1)
    normal = math.sqrt(2) * jax.lax.erf_inv(drawn[:3])
    shocks = jnp.sqrt(shape.correlation)[None] * normal[:2, :, :1]  # the first column is common to the symbols
    shocks += jnp.sqrt(1 - shape.correlation)[None] * normal[:2, :, 1:]
    moves = PATHS[type(process)](key_path, process, shape, shocks)
    upper, lower = _wicks(-jnp.log((1 - drawn[3:, 1:, 1:]) / 2), moves)
    volume = shape.volume * jnp.exp(shape.volume_spread * normal[2, 1:, 1:])
    return Increments(moves.overnight, moves.intraday, upper, lower, volume)


def to_prices(increments: Increments, price: float | jax.Array = 100.0) -> Prices:
    """Return the bars of increments; `price` is the close before the first bar, [] or [N].

    Every price is positive and finite, and low <= open, close <= high holds exactly.
    """
    step = increments.overnight + increments.intraday
    symbols = step.shape[1]
    log_close = jnp.cumsum(step, axis=0) + jnp.broadcast_to(jnp.log(jnp.asarray(price, jnp.float32)), (1, symbols))
    close, opening = _exp(log_close), _exp(log_close - increments.intraday)
    top, bottom = jnp.maximum(opening, close), jnp.minimum(opening, close)
    return Prices(
        open=opening,
        high=jnp.maximum(top, top * jnp.exp(jnp.minimum(increments.upper, 1.0))),
        low=jnp.minimum(bottom, bottom * jnp.exp(-jnp.minimum(increments.lower, 1.0))),
        close=close,
        volume=increments.volume,
    )


def bootstrap(key: jax.Array, source: Increments, block: float | jax.Array, bars: int) -> Increments:
    """Resample increments in blocks: the stationary bootstrap (Politis & Romano 1994, section 2).

    Args:
        key: A typed key.
        source: Complete increments of a market, leaves [T', N, ...].
        block: Mean length of a block in bars, at least 1; lengths are geometric.
        bars: T, static.

    Returns:
        Increments [T, N, ...]: blocks that start anywhere and run over the end into the beginning. All symbols share
        the blocks, so that what is correlated stays so.
    """
    rows = block_rows(key, jax.tree.leaves(source)[0].shape[0], block, bars)
    return jax.tree.map(lambda leaf: leaf[rows], source)


def block_rows(key: jax.Array, length: int, block: float | jax.Array, bars: int) -> jax.Array:
    """Return the rows, [T], of a source of `length` rows that the stationary bootstrap draws."""
    key_start, key_cut = jax.random.split(key)
    starts = jax.random.randint(key_start, (bars,), 0, length)
    cuts = jax.random.uniform(key_cut, (bars,), jnp.float32) < 1 / jnp.asarray(block, jnp.float32)
    bar = jnp.arange(bars)
    first = jax.lax.cummax(jnp.where(cuts, bar, 0))
    return (starts[first] + bar - first) % length


def _gbm(key: jax.Array, process: GBM, shape: Shape, shocks: jax.Array) -> Moves:
    """Geometric Brownian motion: log returns are normal, with mean drift - volatility^2 / 2."""
    del key
    return _split(process.drift - process.volatility**2 / 2, process.volatility**2, shape, shocks)


def _garch(key: jax.Array, process: GARCH, shape: Shape, shocks: jax.Array) -> Moves:
    """GARCH(1,1) (Bollerslev 1986): h[t+1] = omega + alpha e[t]^2 + beta h[t], e = sqrt(h) z, from its mean on."""
    del key
    level = process.volatility[0] ** 2
    omega = level * (1 - process.alpha[0] - process.beta[0])

    def step(variance: jax.Array, squared: jax.Array) -> tuple[jax.Array, jax.Array]:
        return omega + (process.alpha[0] * squared + process.beta[0]) * variance, variance

    whole = jnp.sqrt(shape.overnight) * shocks[0, 1:] + jnp.sqrt(1 - shape.overnight) * shocks[1, 1:]
    _, variance = jax.lax.scan(step, level, whole**2)
    return _split(process.drift, variance, shape, shocks)


def _regimes(key: jax.Array, process: Regimes, shape: Shape, shocks: jax.Array) -> Moves:
    """Regime switching (Hamilton 1989): a Markov chain, common to the symbols, sets drift and volatility."""
    state = regime_path(key, process.stay, shocks.shape[1] - 1)
    return _split(process.drift[state][:, None], process.volatility[state][:, None] ** 2, shape, shocks)


def regime_path(key: jax.Array, stay: jax.Array, bars: int) -> jax.Array:
    """Return the regimes, [T], of a chain that stays with probability `stay` [K] and else goes to any other regime.

    It starts from its stationary distribution, which is proportional to 1 / (1 - stay).
    """
    states = stay.shape[0]
    uniform = jax.random.uniform(key, (bars, 2), jnp.float32)
    share = jnp.cumsum(1 / (1 - stay))
    first = jnp.sum(uniform[0, 0] * share[-1] >= share[:-1])
    ahead = 1 + jnp.floor(uniform[:, 1] * (states - 1)).astype(jnp.int32)

    def step(state: jax.Array, drawn: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        state = jnp.where(drawn[0] < stay[state], state, (state + drawn[1]) % states)
        return state, state

    _, later = jax.lax.scan(step, first, (uniform[1:, 0], ahead[1:]))
    return jnp.concatenate([first[None], later])


def _jumps(key: jax.Array, process: Jumps, shape: Shape, shocks: jax.Array) -> Moves:
    """Jump diffusion (Merton 1976): a Brownian motion and normal jumps of the log price at Poisson times."""
    mean_jump = jnp.expm1(process.jump_mean + process.jump_volatility**2 / 2)
    mean = process.drift - process.volatility**2 / 2 - process.rate * mean_jump
    moves = _split(mean, process.volatility**2, shape, shocks)
    drawn = jax.random.uniform(key, (4, *moves.overnight.shape), jnp.float32, minval=LEAST, maxval=1)
    rates = process.rate[None] * jnp.stack([shape.overnight, 1 - shape.overnight])
    count = _poisson((1 + drawn[:2]) / 2, rates)
    size = process.jump_volatility[None] * jnp.sqrt(count) * math.sqrt(2) * jax.lax.erf_inv(drawn[2:])
    jumps = count * process.jump_mean[None] + size
    return moves._replace(overnight=moves.overnight + jumps[0], intraday=moves.intraday + jumps[1])


def _poisson(uniform: jax.Array, rate: jax.Array) -> jax.Array:
    """Return Poisson counts by inversion; for rates up to 10, beyond whose 32nd count float32 has no probability."""
    ratios = rate[..., None] / jnp.arange(1, MOST_JUMPS, dtype=jnp.float32).reshape(*(1,) * rate.ndim, -1)
    terms = jnp.concatenate([jnp.ones_like(rate)[..., None], jnp.cumprod(ratios, axis=-1)], axis=-1)
    below = jnp.exp(-rate)[..., None] * jnp.cumsum(terms, axis=-1)  # P(count <= k)
    return jnp.sum(uniform[..., None] > below, axis=-1).astype(jnp.float32)


def _ou(key: jax.Array, process: OU, shape: Shape, shocks: jax.Array) -> Moves:
    """Ornstein-Uhlenbeck log price around its start, by its exact transition over the night and over the day.

    Over a time s: x -> exp(-theta s) x + sqrt(volatility^2 (1 - exp(-2 theta s)) / (2 theta)) z. The first bar opens
    on the stationary distribution.
    """
    del key
    theta, share = process.theta[0], shape.overnight[0]
    level = process.volatility[0] / jnp.sqrt(2 * theta)

    def over(time: jax.Array, x: jax.Array, shock: jax.Array) -> jax.Array:
        return jnp.exp(-theta * time) * x + level * jnp.sqrt(-jnp.expm1(-2 * theta * time)) * shock

    def step(x: jax.Array, shock: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        opening = over(share, x, shock[0])
        close = over(1 - share, opening, shock[1])
        return close, (opening, close)

    _, (opening, close) = jax.lax.scan(step, level * shocks[0, 0], shocks[:, 1:].swapaxes(0, 1))
    before = jnp.concatenate([jnp.zeros_like(close[:1]), close[:-1]])
    return Moves(opening - before, close - opening, process.volatility**2 * (1 - shape.overnight))


PATHS = {GBM: _gbm, OU: _ou, Regimes: _regimes, GARCH: _garch, Jumps: _jumps}


def _split(mean: jax.Array, variance: jax.Array, shape: Shape, shocks: jax.Array) -> Moves:
    """Return normal moves, their mean and variance divided between night and day."""
    dark, light = shape.overnight, 1 - shape.overnight
    return Moves(
        overnight=dark * mean + jnp.sqrt(dark * variance) * shocks[0, 1:],
        intraday=light * mean + jnp.sqrt(light * variance) * shocks[1, 1:],
        variance=light * variance,
    )


def _wicks(drawn: jax.Array, moves: Moves) -> jax.Array:
    """Return how far a bridge goes beyond its ends, [2, T, N]; `drawn`, of that shape, is exponential."""
    reach = jnp.sqrt((moves.intraday**2)[None] + (2 * moves.variance)[None] * drawn)
    return jnp.maximum(reach - jnp.abs(moves.intraday)[None], 0) / 2


def _rows(params: Any, symbols: int) -> Any:
    """Return parameters as float32 rows [1, N]; those of the regimes as [K]."""
    if isinstance(params, Regimes):
        return Regimes(*(jnp.asarray(field, jnp.float32) for field in params))
    return jax.tree.map(lambda leaf: jnp.broadcast_to(jnp.asarray(leaf, jnp.float32), (1, symbols)), params)


def _exp(log_price: jax.Array) -> jax.Array:
    return jnp.exp(jnp.clip(log_price, -LOG_LIMIT, LOG_LIMIT))
