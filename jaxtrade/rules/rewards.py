"""Rewards: functions of the record alone, the same in both engines."""

from jaxtrade.rules.types import Array, Namespace, Record


def log_return(xp: Namespace, record: Record) -> Array:
    """Return log(E' / E), [...]; the sum over an episode is the log of its final over its first equity."""
    return xp.log1p(record.pnl / record.equity_before)


def fast_profit(xp: Namespace, record: Record) -> Array:
    """Return tanh(profit / (0.1 * starting capital)), [...]."""
    return xp.tanh(record.pnl / 0.1)
