"""Decoders: what an action orders. Sized on what is known at the close of t; the same object serves every engine.

Actions, weights and thresholds are rounded to float32 before they are compared (strictly), so that a float32 and a
float64 engine take the same decision. What is not a number holds and is counted as rejected. docs/actions.md has the
table.
"""

from collections.abc import Callable

from jaxtrade.rules.costs import affordable_value
from jaxtrade.rules.lots import lot_value
from jaxtrade.rules.types import Account, Array, Known, Namespace, Orders, RuleParams, equity_of

Decoder = Callable[[Namespace, Array, Account, Known, RuleParams], Orders]


def _number(xp: Namespace, action: Array, low: float, high: float) -> tuple[Array, Array]:
    """Return the action clipped and rounded to float32, 0 where it is not finite, and where it is finite."""
    finite = xp.isfinite(action)
    return xp.astype(xp.clip(xp.where(finite, action, xp.zeros_like(action)), low, high), xp.float32), finite


def _choice(xp: Namespace, action: Array, count: int) -> tuple[Array, Array]:
    """Return a whole number of 0..count-1 as float32, [..., 1], 0 where it is none, and where it is one."""
    number = xp.astype(xp.clip(action, -1, count), xp.float32)[..., None]
    valid = (number >= 0) & (number <= count - 1) & (number == xp.floor(number))
    return xp.where(valid, number, xp.zeros_like(number)), valid


def _outside(xp: Namespace, number: Array, params: RuleParams) -> Array:
    return xp.abs(xp.astype(number, xp.float32)) > xp.astype(params.dead_band, xp.float32)


def _cash(xp: Namespace, account: Account) -> Array:
    return xp.maximum(account.cash, xp.zeros_like(account.cash))[..., None]


def decode_continuous(xp: Namespace, action: Array, account: Account, known: Known, params: RuleParams) -> Orders:
    """Trade `action * trade_limit * equity` in each symbol, outside the dead band.

    Args:
        xp: The array namespace.
        action: [..., S], clipped to [-1, 1].
        account: The account at the close of t.
        known: The market at the close of t.
        params: The rules' numbers.
    """
    number, finite = _number(xp, action, -1.0, 1.0)
    wanted = _outside(xp, number, params)
    size = xp.astype(number, account.cash.dtype) * params.trade_limit * equity_of(xp, account)[..., None]
    value = xp.where(wanted & known.tradable, size, xp.zeros_like(size))
    return Orders(value, close_out=xp.zeros_like(finite), rejected=~finite | (wanted & ~known.tradable))


def decode_proportional(xp: Namespace, action: Array, account: Account, known: Known, params: RuleParams) -> Orders:
    """Buy for a share of the cash, costs included, or sell a share of the holding; -1 sells all of it.

    Args:
        xp: The array namespace.
        action: [..., 1], clipped to [-1, 1]; for one symbol.
        account: The account at the close of t.
        known: The market at the close of t.
        params: The rules' numbers.
    """
    number, finite = _number(xp, action, -1.0, 1.0)
    wanted = _outside(xp, number, params)
    share = xp.astype(number, account.cash.dtype)
    buy = affordable_value(xp, xp.maximum(share, xp.zeros_like(share)) * _cash(xp, account), params)
    value = xp.where(share > 0, buy, share * account.position)
    value = xp.where(wanted & known.tradable, value, xp.zeros_like(value))
    close_out = (number == -1) & wanted & known.tradable & (account.position > 0)
    return Orders(value, close_out, rejected=~finite | (wanted & ~known.tradable))


def decode_discrete9(xp: Namespace, action: Array, account: Account, known: Known, params: RuleParams) -> Orders:
    """Hold (0), buy for 25, 50, 75, 100 % of cash, costs included (1-4), sell 25, 50, 75, 100 % (5-8).

    Args:
        xp: The array namespace.
        action: [...] whole numbers; for one symbol.
        account: The account at the close of t.
        known: The market at the close of t.
        params: The rules' numbers.
    """
    number, valid = _choice(xp, action, 9)
    buy, sell = (number >= 1) & (number <= 4), number >= 5
    quarter = xp.astype(xp.where(sell, number - 4, number), account.cash.dtype) * 0.25
    value = xp.where(buy, affordable_value(xp, quarter * _cash(xp, account), params), -quarter * account.position)
    value = xp.where((buy | sell) & known.tradable, value, xp.zeros_like(value))
    close_out = (number == 8) & known.tradable & (account.position > 0)
    return Orders(value, close_out, rejected=~valid | ((buy | sell) & ~known.tradable))


def decode_target_weight(allow_short: bool) -> Decoder:
    """Return the decoder that trades to weights of equity, [..., S]; 0 closes.

    Weights are clipped to [0, max_leverage], or [-max_leverage, max_leverage] where shorts are allowed; if their
    absolute sum exceeds max_leverage they are scaled down to it. The rest is cash.
    """

    def decoder(xp: Namespace, action: Array, account: Account, known: Known, params: RuleParams) -> Orders:
        number, finite = _number(xp, action, -1e6 if allow_short else 0.0, 1e6)
        most = params.max_leverage[..., None]
        weight = xp.maximum(xp.minimum(xp.astype(number, account.cash.dtype), most), -most)
        return _to_weights(xp, weight, finite, account, known, params)

    return decoder


def _to_weights(
    xp: Namespace, weight: Array, valid: Array, account: Account, known: Known, params: RuleParams
) -> Orders:
    equity, most = equity_of(xp, account)[..., None], params.max_leverage[..., None]
    asked = valid & ((weight != 0) | (account.position != 0))
    rejected = ~valid | (asked & ~known.tradable)
    counted = xp.sum(xp.where(rejected, xp.zeros_like(weight), xp.abs(weight)), axis=-1, keepdims=True)
    one = xp.ones_like(counted)
    weight = weight * xp.where(counted > most, most / xp.where(counted > 0, counted, one), one)
    close_out = valid & known.tradable & (weight == 0) & (account.position != 0)
    wanted = ~rejected & (close_out | _outside(xp, weight - account.position / equity, params))
    value = xp.where(wanted, weight * equity - account.position, xp.zeros_like(weight))
    return Orders(value, close_out, rejected)


def decode_positions(exposures: tuple[float, ...]) -> Decoder:
    """Return the decoder that trades one symbol to one of a list of exposures (weights of equity), by its number."""

    def decoder(xp: Namespace, action: Array, account: Account, known: Known, params: RuleParams) -> Orders:
        number, valid = _choice(xp, action, len(exposures))
        weight = xp.zeros_like(account.position)
        for index, exposure in enumerate(exposures):
            weight = xp.where(number == index, weight + exposure, weight)
        return _to_weights(xp, weight, valid, account, known, params)

    return decoder


def decode_orders(xp: Namespace, action: Array, account: Account, known: Known, params: RuleParams) -> Orders:
    """Order signed lots (units where there is no lot size); plus or minus infinity is all-in.

    Args:
        xp: The array namespace.
        action: [..., S].
        account: The account at the close of t.
        known: The market at the close of t, with prices.
        params: The rules' numbers.
    """
    valid = ~xp.isnan(action)
    finite = xp.isfinite(action)
    number = xp.astype(xp.clip(xp.where(finite, action, xp.sign(action)), -1e15, 1e15), xp.float32)
    wanted = number != 0
    one = params._replace(lot_size=xp.where(params.lot_size > 0, params.lot_size, xp.ones_like(params.lot_size)))
    value = xp.astype(number, account.cash.dtype) * lot_value(xp, known.close, one)
    go = valid & wanted & known.tradable
    value = xp.where(go, value, xp.zeros_like(value))
    return Orders(
        value,
        close_out=xp.zeros_like(go),
        rejected=~valid | (wanted & ~known.tradable),
        all_in=go & ~finite,
    )
