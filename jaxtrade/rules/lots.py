"""Whole lots: how amounts become them and what they are worth."""

from jaxtrade.rules.types import Account, Array, Namespace, RuleParams


def lot_value(xp: Namespace, price: Array, params: RuleParams) -> Array:
    """Return the value of one lot, [..., S], in multiples of the capital; 1 where there is no lot size or no price."""
    value = price * params.lot_size / params.capital[..., None]
    return xp.where(value > 0, value, xp.ones_like(value))


def whole_lots(xp: Namespace, amount: Array, unit: Array) -> Array:
    """Return the signed whole lots that an amount holds, [..., S].

    What lies within rounding below a whole number is that number, so that float32 and float64 agree on 9.9999999 lots.
    """
    lots = xp.abs(amount) / unit
    slack = xp.minimum(1e-6 * lots, 0.25 * xp.ones_like(lots))
    return xp.sign(amount) * xp.floor(lots + slack)


def anchor(xp: Namespace, account: Account, mark: Array, params: RuleParams) -> Account:
    """Value whole lots at their price, so that rounding does not pile up over bars."""
    unit = lot_value(xp, mark, params)
    return account._replace(position=xp.where(account.lots != 0, account.lots * unit, account.position))
