"""Each identity of the account can fail: a fault is put into the rules, and the check must notice it."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

from jaxtrade.rules import Costs
from jaxtrade.rules.rewards import REWARDS
from tests.helpers import identities as known
from tests.helpers.rule_worlds import WORLDS, trade

# The rules import each other by name: a fault is put where a function is used.
accounting, actions, advance, book, limits, observing = (
    import_module(f"jaxtrade.rules.{name}")
    for name in ("accounting", "actions", "advance", "book", "limits", "observe")
)

Function = Callable[..., Any]
Fault = Callable[[pytest.MonkeyPatch], None]


def wrap(module: Any, name: str) -> Callable[[Callable[..., Any]], Fault]:
    """Make a fault of `wrong(real, *args, **kwargs)`, in place of a function of a module."""

    def decorate(wrong: Function) -> Fault:
        def plant(patch: pytest.MonkeyPatch) -> None:
            real = getattr(module, name)
            patch.setattr(module, name, lambda *args, **kwargs: wrong(real, *args, **kwargs))

        return plant

    return decorate


@wrap(accounting, "trade_costs")
def half_commission(real: Function, *args: Any) -> Any:
    costs = real(*args)
    return costs._replace(commission=0.5 * costs.commission)


@wrap(accounting, "trade_costs")
def sale_below_zero(real: Function, xp: Any, value: Any, params: Any) -> Any:
    least = np.where(value != 0, params.min_commission / params.capital[..., None], 0)
    costs = real(xp, value, params)
    return costs._replace(commission=np.maximum(costs.commission, least))


@wrap(accounting, "trade_costs")
def duty_as_a_gain(real: Function, *args: Any) -> Any:
    costs = real(*args)
    return costs._replace(duty=-costs.duty)


@wrap(accounting, "total")
def spread_not_booked(real: Function, *args: Any) -> Any:
    costs: Costs = real(*args)
    return costs._replace(spread=np.zeros_like(costs.spread))


@wrap(advance, "absorb")
def shortfall_forgotten(real: Function, *args: Any) -> Any:
    account, added = real(*args)
    return account, np.zeros_like(added)


@wrap(advance, "absorb")
def no_floor(real: Function, xp: Any, account: Any, *args: Any) -> Any:
    return account, real(xp, account, *args)[1] * 0


@wrap(accounting, "reduce_positions")
def basis_kept(real: Function, xp: Any, account: Any, *args: Any) -> Any:
    done = real(xp, account, *args)
    return done._replace(account=done.account._replace(basis=account.basis))


@wrap(accounting, "reduce_positions")
def gross_profit(real: Function, *args: Any) -> Any:
    done = real(*args)
    return done._replace(realized=done.realized + done.costs.impact)


@wrap(accounting, "reduce_positions")
def residue_kept(real: Function, xp: Any, account: Any, reducing: Any, closes: Any, *args: Any) -> Any:
    return real(xp, account, reducing * (1 - 1e-15), closes & False, *args)


@wrap(accounting, "affordable")
def credit_for_all(real: Function, xp: Any, account: Any, *args: Any) -> Any:
    return np.ones_like(account.cash)


@wrap(limits, "_cut")
def shorts_for_all(real: Function, xp: Any, asked: Any, left: Any, equity: Any, params: Any, short: bool) -> Any:
    return real(xp, asked, left, equity, params, True)


@wrap(limits, "_cut")
def any_trade(real: Function, xp: Any, asked: Any, left: Any, equity: Any, params: Any, short: bool) -> Any:
    return real(xp, asked, left, equity, params._replace(max_trade=np.array([np.inf])), short)


@wrap(limits, "_cut")
def any_position(real: Function, xp: Any, asked: Any, left: Any, equity: Any, params: Any, short: bool) -> Any:
    return real(xp, asked, 0 * left, equity, params, short)


def simple_returns(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(REWARDS, "log_return", REWARDS["profit"])


@wrap(observing, "equity_of")
def unbounded_view(real: Function, *args: Any) -> Any:
    return 5 * real(*args)


@wrap(advance, "finance")
def shorts_for_free(real: Function, xp: Any, account: Any, years: Any, params: Any) -> Any:
    return real(xp, account, years, params._replace(borrow_rate=0 * params.borrow_rate))


@wrap(advance, "finance")
def financing_not_paid(real: Function, xp: Any, account: Any, *args: Any) -> Any:
    _, borrow, interest = real(xp, account, *args)
    return account, borrow, interest


@wrap(advance, "receive")
def dividends_of_longs(real: Function, xp: Any, account: Any, income: Any) -> Any:
    return real(xp, account, np.where(account.position > 0, income, 0))


@wrap(advance, "delist")
def delisted_in_full(real: Function, xp: Any, account: Any, leaves: Any, params: Any) -> Any:
    return real(xp, account, leaves, params._replace(recovery=np.array([1.0])))


@wrap(accounting, "whole_lots")
def broken_lots(real: Function, xp: Any, amount: Any, unit: Any) -> Any:
    return amount / unit


@wrap(advance, "anchor")
def off_the_mark(real: Function, xp: Any, account: Any, mark: Any, params: Any) -> Any:
    return real(xp, account, mark * (1 + 1e-13), params)


@wrap(accounting, "worth")
def any_purchase(real: Function, xp: Any, value: Any, dust: Any, smallest: Any) -> Any:
    return real(xp, value, dust, 0 * smallest)


@wrap(accounting, "worth")
def any_dust(real: Function, xp: Any, value: Any, dust: Any, smallest: Any) -> Any:
    return real(xp, value, 0 * dust, smallest)


@wrap(limits, "worth")
def any_sale(real: Function, xp: Any, value: Any, dust: Any, smallest: Any) -> Any:
    return real(xp, value, dust, 0 * smallest)


@wrap(advance, "is_ruined")
def no_margin(real: Function, xp: Any, account: Any, params: Any) -> Any:
    return real(xp, account, params._replace(maintenance_margin=np.array(0.0)))


@wrap(actions, "_number")
def not_a_number(real: Function, xp: Any, action: Any, *args: Any) -> Any:
    number, finite = real(xp, action, *args)
    return np.where(np.isnan(action), np.nan, number).astype(np.float32), finite | True


def nan_for_a_number(patch: pytest.MonkeyPatch) -> None:
    """All guards are taken away: what is no number is read, passes the dead band, and is no dust."""
    not_a_number(patch)
    patch.setattr(actions, "_outside", lambda xp, number, params: ~(np.abs(number) <= params.dead_band))
    for module in (limits, accounting):
        patch.setattr(module, "worth", lambda xp, value, dust, smallest: ~(np.abs(value) <= dust))


@wrap(advance, "fill")
def never_idle(real: Function, xp: Any, account: Any, *args: Any) -> Any:
    done = real(xp, account, *args)
    return done._replace(account=done.account._replace(idle=0 * account.idle))


@wrap(advance, "fill")
def fills_anywhere(real: Function, xp: Any, account: Any, tickets: Any, called: Any, outcome: Any, *args: Any) -> Any:
    return real(xp, account, tickets, called, outcome._replace(can_fill=outcome.can_fill | True), *args)


@wrap(book, "decode_continuous")
def trades_the_untradable(real: Function, xp: Any, action: Any, account: Any, known: Any, params: Any) -> Any:
    rejected = real(xp, action, account, known, params).rejected
    return real(xp, action, account, known._replace(tradable=known.tradable | True), params)._replace(rejected=rejected)


@wrap(advance, "revalue")
def moves_too_far(real: Function, xp: Any, account: Any, change: Any) -> Any:
    return real(xp, account, change * 1.000001)


FAULTS: tuple[tuple[Fault, str, Function, str], ...] = (
    (half_commission, "continuous", known.check_costs, "^commission: "),
    (sale_below_zero, "orders", known.check_costs, "^commission: "),
    (duty_as_a_gain, "weights", known.check_costs, "^duty: "),
    (spread_not_booked, "weights", known.check_costs, "^spread: "),
    (shortfall_forgotten, "continuous, short", known.check_cash_and_positions, "^cash: "),
    (moves_too_far, "positions", known.check_cash_and_positions, "^position: "),
    (no_floor, "continuous, short", known.check_ruin, "^cash below the floor"),
    (no_margin, "continuous, short", known.check_ruin, "^a ruin missed"),
    (basis_kept, "weights", known.check_basis, "^basis: "),
    (gross_profit, "weights", known.check_profit_adds_up, "^realised"),
    (residue_kept, "weights", known.check_closed_is_zero, "^a residue"),
    (credit_for_all, "continuous", known.check_leverage, "^leverage exceeded"),
    (credit_for_all, "orders, long", known.check_cash_is_not_borrowed, "^cash of -"),
    (shorts_for_all, "continuous", known.check_never_short, "^a holding of -"),
    (any_trade, "weights, short", known.check_limits, "^an order larger"),
    (any_position, "weights, short", known.check_limits, "^a position larger"),
    (any_purchase, "continuous, lots", known.check_smallest, "^a purchase below"),
    (any_dust, "free", known.check_smallest, "^a purchase of dust"),
    (any_sale, "continuous, lots", known.check_smallest, "^a sale below"),
    (broken_lots, "proportional", known.check_lots, "^a broken lot"),
    (off_the_mark, "proportional", known.check_lots, "^a position off its lots"),
    (simple_returns, "discrete9", known.check_log_rewards_telescope, "^the summed log"),
    (unbounded_view, "orders", known.check_observation_is_bounded, "^a field of"),
    (shorts_for_free, "positions", known.check_profit, "^borrow fee: "),
    (financing_not_paid, "positions", known.check_profit, "^change of equity: "),
    (dividends_of_longs, "weights, short", known.check_profit, "^income: "),
    (delisted_in_full, "weights, short", known.check_profit, "^exit loss: "),
    (nan_for_a_number, "continuous", known.check_finite, "is not finite"),
    (not_a_number, "continuous", known.check_bookkeeping, "^nonsense was not rejected"),
    (never_idle, "orders", known.check_bookkeeping, "idle"),
    (fills_anywhere, "continuous", known.check_bookkeeping, "^a fill without a price"),
    (trades_the_untradable, "continuous", known.check_bookkeeping, "^a rejected order"),
)


@pytest.mark.filterwarnings("ignore:invalid value|divide by zero:RuntimeWarning")
@pytest.mark.parametrize("number", range(len(FAULTS)), ids=lambda n: f"{n}-{FAULTS[n][2].__name__}")
def test_each_identity_can_fail(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, world, check, complaint = FAULTS[number]
    plant(monkeypatch)
    moments = trade(WORLDS[world])
    stories = [moments] if check in known.PER_LIFE else moments
    with pytest.raises(AssertionError, match=complaint):
        for story in stories:
            check(story)


def test_every_identity_is_shown_failing() -> None:
    assert {*known.PER_BAR, *known.PER_LIFE} == {check for _, _, check, _ in FAULTS}
