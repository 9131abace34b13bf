"""Rewards: functions of the record and of a few accumulators, the same in both engines.

Every reward is scale-free: r = pnl / equity before. The accumulators belong to the account, and the policy sees them
(squashed), so that the reward is a function of what it can know.
"""

from collections.abc import Callable
from typing import NamedTuple

from jaxtrade.rules.types import Array, Namespace, Record, RewardParams

Memory = tuple[Array, ...]  # accumulators, [...] each
Step = Callable[[Namespace, Memory, Record, RewardParams], tuple[Memory, Array]]

WARM_UP = 20  # bars before a differential ratio pays
FLOOR = 1e-4  # smallest deviation per bar that a ratio divides by
BOUND = 10.0  # largest differential ratio of one bar
DEEPEST = 0.05  # smallest drawdown that calmar divides by


class Reward(NamedTuple):
    """A reward: `step(xp, memory, record, params) -> (memory, reward)`."""

    step: Step
    start: tuple[float, ...] = ()  # first value of each accumulator
    scale: tuple[float, ...] = ()  # of each accumulator, for the observation tanh(scale * memory)


def stateless(function: Callable[[Namespace, Record], Array]) -> Reward:
    """Return the reward of a plain function (xp, record) -> [...]."""
    return Reward(lambda xp, memory, record, params: (memory, function(xp, record)))


def log_return(xp: Namespace, record: Record) -> Array:
    """Return log(E' / E), [...]; the sum over an episode is the log of its final over its first equity.

    Small returns are taken from the profit, which is exact for them; where most is lost the ratio of equities is.
    """
    r = record.pnl / record.equity_before
    half = -0.5 * xp.ones_like(r)
    return xp.where(r > half, xp.log1p(xp.maximum(r, half)), xp.log(record.equity / record.equity_before))


def fast_profit(xp: Namespace, record: Record) -> Array:
    """Return tanh(profit / (0.1 * starting capital)), [...]."""
    return xp.tanh(record.pnl / 0.1)


def simple_momentum(xp: Namespace, record: Record) -> Array:
    """Return tanh(100 r), [...]: one percent of equity is 0.76."""
    return xp.tanh(100 * record.pnl / record.equity_before)


def profit(xp: Namespace, record: Record) -> Array:
    """Return r = pnl / equity before, [...]."""
    del xp
    return record.pnl / record.equity_before


def realized_profit(xp: Namespace, memory: Memory, record: Record, params: RewardParams) -> tuple[Memory, Array]:
    """Pay for closing with a profit, charge for closing with a loss, for idling and for trading.

    (w+ R+ - w- R-) / E - decay * mean(idle / (idle + 20)) - penalty * traded, R the realised profit less the fees of
    the closing trades. Open losses cost nothing: this reward teaches the disposition effect (Shefrin and Statman 1985).
    """
    net = record.realized - record.closing_fees
    zero = xp.zeros_like(net)
    gains, losses = xp.maximum(net, zero), xp.maximum(-net, zero)
    paid = (params.gain_weight * gains - params.loss_weight * losses) / record.equity_before
    idling = xp.mean(record.idle / (record.idle + 20), axis=-1)
    traded = xp.astype(record.turnover > 0, net.dtype)
    return memory, paid - params.idle_decay * idling - params.trade_penalty * traded


def _rate(xp: Namespace, count: Array, params: RewardParams) -> Array:
    """Return the weight of the newest bar: plain averages at first, then exponential ones."""
    return xp.maximum(1 / (count + 1), params.adaptation + xp.zeros_like(count))


def _bounded(xp: Namespace, value: Array, count: Array) -> Array:
    """Clip a differential ratio, and pay nothing during the warm-up."""
    return xp.where(count >= WARM_UP, xp.clip(value, -BOUND, BOUND), xp.zeros_like(value))


def differential_sharpe(xp: Namespace, memory: Memory, record: Record, params: RewardParams) -> tuple[Memory, Array]:
    """Return what the bar adds to a moving Sharpe ratio, per unit of the moving average's rate.

    Moody and Saffell (1998), eq. 9, in centred moments: with A and V the moving mean and variance of r before the bar
    and z = (r - A) / sqrt(V), the ratio S = A / sqrt(V) changes by D = z + S (1 - z^2) / 2. V is updated centred,
    V' = (1 - e)(V + e (r - A)^2), which cannot turn negative. Below a floor the ratio is A / floor, so D = z: standing
    still pays nothing. D is clipped, and the first bars pay 0.
    """
    r = record.pnl / record.equity_before
    mean, variance, count = memory
    deviation = xp.sqrt(xp.maximum(variance, FLOOR**2 + xp.zeros_like(variance)))
    z, ratio = (r - mean) / deviation, mean / deviation
    bends = xp.where(variance > FLOOR**2, 0.5 * ratio * (1 - z * z), xp.zeros_like(z))
    reward = _bounded(xp, z + bends, count)
    rate = _rate(xp, count, params)
    error = r - mean
    variance = (1 - rate) * (variance + rate * error * error)
    return (mean + rate * error, variance, count + 1), reward


def differential_sortino(xp: Namespace, memory: Memory, record: Record, params: RewardParams) -> tuple[Memory, Array]:
    """Return what the bar adds to a moving downside deviation ratio, per unit of the moving average's rate.

    Moody and Saffell (2001), eq. 12-13: with A the moving mean of r and D2 that of min(r, 0)^2 before the bar, the
    ratio A / sqrt(D2) changes by u - a/2 - a d^2 / 2, u = r / sqrt(D2), a = A / sqrt(D2), d = min(r, 0) / sqrt(D2).
    Below a floor of D2 the change is (r - A) / floor; the result is clipped, and the first bars pay 0.
    """
    r = record.pnl / record.equity_before
    mean, downside, count = memory
    deviation = xp.sqrt(xp.maximum(downside, FLOOR**2 + xp.zeros_like(downside)))
    loss = xp.minimum(r, xp.zeros_like(r))
    d, ratio = loss / deviation, mean / deviation
    bends = xp.where(downside > FLOOR**2, 0.5 * ratio * (1 - d * d), xp.zeros_like(d))
    reward = _bounded(xp, (r - mean) / deviation + bends, count)
    rate = _rate(xp, count, params)
    return (mean + rate * (r - mean), downside + rate * (loss * loss - downside), count + 1), reward


def calmar(xp: Namespace, memory: Memory, record: Record, params: RewardParams) -> tuple[Memory, Array]:
    """Return the change of log(E' / E_start) / max(deepest drawdown so far, 5 %), [...]; telescopes to the last one.

    The Calmar ratio (Young 1991) of the episode so far, without annualisation.
    """
    del params
    growth, peak, deepest = memory
    floor = DEEPEST + xp.zeros_like(deepest)
    before = growth / xp.maximum(deepest, floor)
    growth = growth + log_return(xp, record)
    peak = xp.maximum(peak, growth)
    deepest = xp.maximum(deepest, 1 - xp.exp(growth - peak))
    return (growth, peak, deepest), growth / xp.maximum(deepest, floor) - before


RATIO_SCALE = (100.0, 1e4, 0.05)  # a mean of 1 %, a squared deviation of 1 %, 20 bars
REWARDS: dict[str, Reward] = {
    "log_return": stateless(log_return),
    "fast_profit": stateless(fast_profit),
    "simple_momentum": stateless(simple_momentum),
    "profit": stateless(profit),
    "realized_profit": Reward(realized_profit),
    "differential_sharpe": Reward(differential_sharpe, (0.0, 0.0, 0.0), RATIO_SCALE),
    "differential_sortino": Reward(differential_sortino, (0.0, 0.0, 0.0), RATIO_SCALE),
    "calmar": Reward(calmar, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def combine(parts: tuple[Reward, ...]) -> Reward:
    """Return the sum of rewards, weighted by `RewardParams.weights`, [..., R]; each keeps its own accumulators."""

    def step(xp: Namespace, memory: Memory, record: Record, params: RewardParams) -> tuple[Memory, Array]:
        total = xp.zeros_like(record.pnl)
        after: Memory = ()
        for number, part in enumerate(parts):
            own = memory[len(after) : len(after) + len(part.start)]
            own, reward = part.step(xp, own, record, params)
            after += own
            total = total + params.weights[..., number] * reward
        return after, total

    start, scale = (tuple(x for part in parts for x in getattr(part, name)) for name in ("start", "scale"))
    return Reward(step, start, scale)
