"""What a fill costs."""

from jaxtrade.rules.types import Array, Namespace, RuleParams


def commission(xp: Namespace, value: Array, params: RuleParams) -> Array:
    """Return the commission of signed trades, [...]: |value| times the rate of its side, summed over symbols.

    Args:
        xp: The array namespace.
        value: [..., S] signed traded values; buys are positive.
        params: The rules' numbers.
    """
    zero = xp.zeros_like(value)
    bought, sold = xp.maximum(value, zero), xp.maximum(-value, zero)
    return xp.sum(bought * params.buy_rate + sold * params.sell_rate, axis=-1)
