"""Decoders: what an action orders. Sized on what is known at the close of t; the same object serves every engine.

Actions and thresholds are rounded to float32 before they are compared (strictly), so that a float32 and a float64
engine take the same decision. NaN, infinity and unknown action numbers hold, and are counted as rejected.
"""

from jaxtrade.rules.types import Account, Array, Known, Namespace, Orders, RuleParams, equity_of


def decode_continuous(xp: Namespace, action: Array, account: Account, known: Known, params: RuleParams) -> Orders:
    """Trade `action * trade_limit * equity` in each symbol, outside the dead band.

    Args:
        xp: The array namespace.
        action: [..., S], clipped to [-1, 1].
        account: The account at the close of t.
        known: The market at the close of t.
        params: The rules' numbers.
    """
    finite = xp.isfinite(action)
    action = xp.astype(xp.clip(xp.where(finite, action, xp.zeros_like(action)), -1.0, 1.0), xp.float32)
    wanted = xp.abs(action) > xp.astype(params.dead_band, xp.float32)
    size = xp.astype(action, account.cash.dtype) * params.trade_limit * equity_of(xp, account)[..., None]
    value = xp.where(wanted & known.tradable, size, xp.zeros_like(size))
    rejected = ~finite | (wanted & ~known.tradable)
    return Orders(value=value, close_out=xp.zeros_like(rejected), rejected=rejected)


def decode_discrete9(xp: Namespace, action: Array, account: Account, known: Known, params: RuleParams) -> Orders:
    """Hold (0), buy for 25, 50, 75, 100 % of cash, costs included (1-4), sell 25, 50, 75, 100 % (5-8).

    Args:
        xp: The array namespace.
        action: [...] whole numbers; for one symbol.
        account: The account at the close of t.
        known: The market at the close of t.
        params: The rules' numbers.
    """
    number = xp.astype(xp.clip(action, -1, 9), xp.float32)[..., None]
    valid = (number >= 0) & (number <= 8) & (number == xp.floor(number))
    number = xp.where(valid, number, xp.zeros_like(number))
    buy = (number >= 1) & (number <= 4)
    sell = number >= 5
    quarter = xp.astype(xp.where(sell, number - 4, number), account.cash.dtype) * 0.25
    cash = xp.maximum(account.cash, xp.zeros_like(account.cash))[..., None]
    zero = xp.zeros_like(account.position)
    value = xp.where(buy, quarter * cash / (1 + params.buy_rate), zero)
    value = xp.where(sell, -quarter * account.position, value)
    value = xp.where(known.tradable, value, zero)
    rejected = ~valid | ((buy | sell) & ~known.tradable)
    close_out = (number == 8) & known.tradable & (account.position > 0)
    return Orders(value=value, close_out=close_out, rejected=rejected)
