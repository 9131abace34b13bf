"""A bar reckoned by hand from the account before it, the market and the values filled; no rule is called."""

from typing import NamedTuple

import numpy as np

from jaxtrade.rules import Costs, RuleParams
from tests.helpers.rule_worlds import Array, Moment


class Open(NamedTuple):
    """The account at the open, before the fills, and what was filled."""

    cash: Array  # [...]
    position: Array  # [..., S]
    equity: Array  # [...]
    reduced: Array  # [..., S] the part of the fill towards zero
    added: Array  # [..., S] the part away from zero
    costs: Costs  # [...] of the fill
    called: Array  # [...]


def size_of(moment: Moment) -> Array:
    """Return all the money in play, [...], the scale of rounding."""
    before, record = moment.before, moment.record
    parts = [before.position, before.basis, record.fill_value, record.mark_value, moment.account.position]
    return 1 + np.abs(before.cash) + sum(np.abs(part).sum(axis=-1) for part in parts)


def split(held: Array, traded: Array) -> tuple[Array, Array]:
    """Split trades at zero: the parts that reduce and that add to what is held, [..., S]."""
    reduced = np.where(held * traded < 0, np.sign(traded) * np.minimum(np.abs(traded), np.abs(held)), 0)
    added = traded - reduced
    return reduced, np.where(np.abs(added) <= 1e-13 * np.abs(traded), 0, added)


def costs_of(value: Array, params: RuleParams) -> Costs:
    """Return what trades cost by the table of docs/accounting.md, [..., S]."""
    size, buys = np.abs(value), value > 0
    spread, slippage = params.half_spread * size, params.slippage * size
    duty = np.where(buys, params.duty_buy, params.duty_sell) * size
    rate, least = np.where(buys, params.buy_rate, params.sell_rate), params.min_commission / params.capital[..., None]
    commission = np.where(size > 0, np.maximum(rate * size, least), 0)
    rest = np.maximum(size - spread - slippage - duty, 0)
    return Costs(np.where(buys, commission, np.minimum(commission, rest)), duty, spread, slippage)


def summed(*costs: Costs) -> Costs:
    """Return costs summed over symbols, by kind, [...]."""
    return Costs(*(sum(kind.sum(axis=-1) for kind in kinds) for kinds in zip(*costs, strict=True)))


def everything(costs: Costs) -> Array:
    """Return the sum of all kinds."""
    return costs.commission + costs.duty + costs.spread + costs.slippage


def open_of(moment: Moment) -> Open:
    """Carry an account to the open by hand, then read what was filled."""
    before, outcome, params = moment.before, moment.outcome, moment.params
    at_gap = before.position * (1 + outcome.gap)
    position = np.where(outcome.exit, 0, at_gap)
    cash = before.cash + np.sum(before.position * outcome.income, axis=-1)
    cash = cash + np.sum(np.where(outcome.exit, at_gap, 0) * params.recovery, axis=-1)
    borrow = outcome.years * np.sum(params.borrow_rate * np.maximum(-position, 0), axis=-1)
    cash = cash - borrow - outcome.years * params.interest_rate * np.maximum(-cash, 0)
    equity = cash + position.sum(axis=-1)
    called = (equity <= params.ruin_floor) | (equity < params.maintenance_margin * np.abs(position).sum(axis=-1))
    reduced, added = split(position, moment.record.fill_value)
    costs = summed(costs_of(reduced, params), costs_of(added, params))
    return Open(cash, position, equity, reduced, added, costs, called)
