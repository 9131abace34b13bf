"""What trades and holdings cost."""

from jaxtrade.rules.types import Account, Array, Costs, Namespace, RuleParams, money


def trade_costs(xp: Namespace, value: Array, params: RuleParams) -> Costs:
    """Return the costs of signed trades, by kind, [..., S].

    The commission is the rate of its side times |value|, at least the minimum commission of an order; a sale never
    costs more than it brings.

    Args:
        xp: The array namespace.
        value: [..., S] signed traded values at the market price; buys are positive, 0 costs nothing.
        params: The rules' numbers.
    """
    size, buys = xp.abs(value), value > 0
    spread, slippage = params.half_spread * size, params.slippage * size
    duty = xp.where(buys, params.duty_buy, params.duty_sell) * size
    commission = xp.maximum(
        xp.where(buys, params.buy_rate, params.sell_rate) * size,
        xp.where(size > 0, money(params, params.min_commission), xp.zeros_like(size)),
    )
    capped = xp.minimum(commission, xp.maximum(size - spread - slippage - duty, xp.zeros_like(size)))
    return Costs(xp.where(buys, commission, capped), duty, spread, slippage)


def total(xp: Namespace, costs: Costs) -> Costs:
    """Sum costs over symbols, [...]."""
    return Costs(*(xp.sum(kind, axis=-1) for kind in costs))


def affordable_value(xp: Namespace, budget: Array, params: RuleParams) -> Array:
    """Return the largest buy that a budget pays for, costs included, [..., S]; budget is [..., 1] or [..., S]."""
    impact = params.half_spread + params.slippage + params.duty_buy
    by_rate = budget / (1 + impact + params.buy_rate)
    by_minimum = (budget - money(params, params.min_commission)) / (1 + impact)
    value = xp.minimum(by_rate, by_minimum)
    return xp.maximum(value, xp.zeros_like(value))


def finance(xp: Namespace, account: Account, years: Array, params: RuleParams) -> tuple[Account, Array, Array]:
    """Charge the borrow fee on shorts and the interest on negative cash for the time between two marks.

    Args:
        xp: The array namespace.
        account: The account as it was held over the night.
        years: [...] time.
        params: The rules' numbers.

    Returns:
        The account, the borrow fee and the interest, [...].
    """
    short = xp.maximum(-account.position, xp.zeros_like(account.position))
    borrow = years * xp.sum(params.borrow_rate * short, axis=-1)
    interest = years * params.interest_rate * xp.maximum(-account.cash, xp.zeros_like(account.cash))
    return account._replace(cash=account.cash - (borrow + interest)), borrow, interest
