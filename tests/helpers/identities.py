"""The identities of docs/accounting.md as checks on recorded bars of many accounts; each raises AssertionError."""

from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxtrade.rules import Costs, observe
from tests.helpers.bar_by_hand import costs_of, everything, open_of, size_of, summed
from tests.helpers.rule_worlds import Array, Moment

CLOSE = 1e-11
DUST = 1e-6


def near(found: Array, wanted: Array, scale: Array, what: str) -> None:
    """Assert equality to rounding of the money in play."""
    error = np.abs(found - wanted) / scale
    assert np.all(error <= CLOSE), f"{what}: off by {np.max(error):.3g} of the money in play"


def check_cash_and_positions(moment: Moment) -> None:
    """What was traded, moved, paid and absorbed explains cash and positions, to the last unit."""
    at, record, scale = open_of(moment), moment.record, size_of(moment)
    marked = (at.position + record.fill_value) * (1 + moment.outcome.move)
    near(moment.account.position, marked + record.mark_value, scale[..., None], "position")
    traded = np.sum(record.fill_value + record.mark_value, axis=-1)
    near(moment.account.cash, at.cash - traded - everything(record.costs) + record.shortfall, scale, "cash")


def check_costs(moment: Moment) -> None:
    """Every kind of cost, from the values filled; a flip pays twice."""
    at, record, scale = open_of(moment), moment.record, size_of(moment)
    closed = costs_of(record.mark_value, moment.params)
    wanted = summed(costs_of(at.reduced, moment.params), costs_of(at.added, moment.params), closed)
    for kind in Costs._fields:
        near(getattr(record.costs, kind), getattr(wanted, kind), scale, kind)
    closing = summed(costs_of(at.reduced, moment.params), closed)
    near(record.closing_fees, closing.commission + closing.duty, scale, "closing fees")
    near(record.fees, wanted.commission + wanted.duty, scale, "fees")
    opened = costs_of(at.reduced, moment.params).fees + costs_of(at.added, moment.params).fees
    near(record.fill_fees, opened, scale[..., None], "fees of the fills, by symbol")
    near(record.mark_fees, closed.fees, scale[..., None], "fees of the liquidations, by symbol")


def check_profit(moment: Moment) -> None:
    """E = cash + sum(p), and E' - E = pnl = the returns of what was held, with all that was paid and received."""
    at, record, outcome, scale = open_of(moment), moment.record, moment.outcome, size_of(moment)
    held = moment.before.position
    gain = np.sum(held * outcome.gap + (at.position + record.fill_value) * outcome.move, axis=-1)
    received = np.sum(held * outcome.income, axis=-1)
    lost = np.sum(np.where(outcome.exit, held * (1 + outcome.gap), 0) * (1 - moment.params.recovery), axis=-1)
    near(record.income, received, scale, "income")
    near(record.exit_loss, lost, scale, "exit loss")
    borrow = outcome.years * np.sum(moment.params.borrow_rate * np.maximum(-at.position, 0), axis=-1)
    near(record.borrow, borrow, scale, "borrow fee")
    near(record.financing, moment.before.cash + received - at.cash + _recovered(moment), scale, "financing")
    spent = everything(record.costs) + record.financing + lost
    near(record.pnl, gain + received - spent + record.shortfall, scale, "pnl")
    near(record.equity, moment.account.cash + moment.account.position.sum(axis=-1), scale, "equity")
    near(record.equity_before, moment.before.cash + held.sum(axis=-1), scale, "equity before")
    near(record.equity - record.equity_before, record.pnl, scale, "change of equity")


def _recovered(moment: Moment) -> Array:
    gone = np.where(moment.outcome.exit, moment.before.position * (1 + moment.outcome.gap), 0)
    return np.sum(gone * moment.params.recovery, axis=-1)


def check_basis(moment: Moment) -> None:
    """The basis shrinks in proportion and grows by what was paid; nothing has a basis that has no position."""
    at, record, outcome = open_of(moment), moment.record, moment.outcome
    whole = np.where(at.position != 0, at.position, 1)
    left = np.where(outcome.exit, 0, moment.before.basis) * (1 + at.reduced / whole)
    added = costs_of(at.added, moment.params)
    basis = left + at.added + added.spread + added.slippage
    basis = np.where(record.mark_value != 0, 0, basis)
    near(moment.account.basis, basis, size_of(moment)[..., None], "basis")


def check_closed_is_zero(moment: Moment) -> None:
    """A close leaves exactly zero, in position, basis and lots alike; what is left is more than dust, or lots."""
    account = moment.account
    flat = account.position == 0
    assert np.all(account.basis[flat] == 0), "a basis without a position"
    assert np.all(account.lots[flat] == 0), "lots without a position"
    sold = (moment.record.fill_value * moment.before.position < 0) & (moment.params.lot_size == 0)
    rest = np.abs(account.position[sold])
    assert np.all((rest == 0) | (rest > 1e-13)), f"a residue of {rest[rest != 0].min():.3g}"


def check_leverage(moment: Moment) -> None:
    """Wherever a fill added to a position, all positions respect the leverage limit after all costs."""
    at = open_of(moment)
    grew = np.any(at.added != 0, axis=-1)
    gross = np.abs(at.position + moment.record.fill_value).sum(axis=-1)
    room = moment.params.max_leverage * (at.equity - everything(at.costs)) - gross
    slack = CLOSE * size_of(moment) + moment.book.lots * 2 * DUST * (1 + moment.params.max_leverage) * gross
    assert np.all((room >= -slack)[grew]), f"leverage exceeded by {-room[grew].min():.3g}"


def check_limits(moment: Moment) -> None:
    """No order adds more than max_trade, or reaches beyond max_position, of the equity at the close."""
    at, params = open_of(moment), moment.params
    added = np.abs(at.added / (1 + moment.outcome.gap))
    reach = np.abs(moment.before.position + (at.reduced + at.added) / (1 + moment.outcome.gap))
    equity = moment.record.equity_before[..., None]
    all_in = np.isinf(moment.action) if moment.env.action == "orders" else np.zeros(added.shape, bool)
    counts = (at.added != 0) & ~all_in  # all-in is sized at the fill, and only where these limits are wider
    slack = (1 + moment.book.lots * 2 * DUST) * equity
    assert np.all((added <= params.max_trade * slack + CLOSE)[counts]), "an order larger than max_trade"
    assert np.all((reach <= params.max_position * slack + CLOSE)[counts]), "a position larger than max_position"


def check_smallest(moment: Moment) -> None:
    """Nothing is traded that is dust or below the minimum notional, but for a full close."""
    at, least = open_of(moment), moment.params.min_notional / moment.params.capital[..., None]
    at_close, closes = np.abs(at.reduced / (1 + moment.outcome.gap)), moment.account.position * moment.before.position
    added, part = np.abs(at.added), (at.reduced != 0) & (closes > 0)
    equity = moment.record.equity_before[..., None]
    slack = 1 - 1e-9
    assert np.all((added >= least * slack)[at.added != 0]), "a purchase below the minimum notional"
    assert np.all((added > DUST * at.equity[..., None] * slack)[at.added != 0]), "a purchase of dust"
    assert np.all((at_close >= least * slack)[part]), "a sale below the minimum notional"
    assert np.all((at_close > DUST * equity * slack)[part]), "a sale of dust"


def check_lots(moment: Moment) -> None:
    """Lots are whole, and a position is its lots at the mark."""
    account, params = moment.account, moment.params
    by_lots = np.broadcast_to(params.lot_size > 0, account.position.shape)
    assert np.all(account.lots == np.round(account.lots)), "a broken lot"
    assert np.all(account.lots[~by_lots] == 0), "lots of a symbol that has none"
    mark = np.where(account.lots != 0, moment.outcome.mark, 0)
    value = account.lots * params.lot_size * mark / params.capital[..., None]
    error = np.abs(account.position - value)[by_lots]
    assert np.all(error <= 1e-14 * np.abs(account.position)[by_lots]), f"a position off its lots by {error.max():.3g}"
    gone = moment.record.exit_value != 0
    lots = np.where(gone, 0, moment.before.lots) + moment.record.filled_lots
    lots = np.where(moment.record.mark_value != 0, 0, lots)
    assert np.all(account.lots == lots), "lots that were not traded"


def check_never_short(moment: Moment) -> None:
    """Long only: no position is ever below zero."""
    if not moment.env.allow_short:
        worst = moment.account.position.min()
        assert worst >= 0, f"a holding of {worst}"
        assert np.all(moment.account.lots >= 0), "lots below zero"


def check_cash_is_not_borrowed(moment: Moment) -> None:
    """Unlevered and long only: cash stays above zero; to dust, with lots."""
    if not moment.env.allow_short and moment.env.max_leverage <= 1:
        slack = 2 * DUST * moment.account.peak_equity if moment.book.lots else 1e-14 * size_of(moment)
        assert np.all(moment.account.cash >= -slack), f"cash of {moment.account.cash.min()}"


def check_ruin(moment: Moment) -> None:
    """Ruin is found at the open and at the mark, leaves cash alone, at least the floor, and absorbs the rest."""
    at, record, account, params = open_of(moment), moment.record, moment.account, moment.params
    held = at.position + record.fill_value
    marked = held * (1 + moment.outcome.move)
    cash = at.cash - record.fill_value.sum(axis=-1) - everything(at.costs)
    cash = np.where(at.called, np.maximum(cash, params.ruin_floor), cash)
    equity, gross = cash + marked.sum(axis=-1), np.abs(marked).sum(axis=-1)
    ruined = at.called | (equity <= params.ruin_floor) | (equity < params.maintenance_margin * gross)
    assert np.all(record.called == at.called), "a margin call missed or invented"
    assert np.all(record.ruined == ruined), "a ruin missed or invented"
    assert np.all(account.position[record.ruined] == 0), "a ruined account holds something"
    assert np.all(account.cash[record.ruined] >= params.ruin_floor), "cash below the floor"
    assert np.all(record.equity > 0), "equity not above zero"
    assert np.all(record.shortfall >= 0), "a negative shortfall"
    assert np.all((record.shortfall == 0) | record.ruined), "a shortfall without ruin"


def check_finite(moment: Moment) -> None:
    """Whatever the action, no number of the account or of the record is NaN or infinite."""
    for path, leaf in jax.tree.leaves_with_path((moment.account, moment.record)):
        assert np.all(np.isfinite(leaf)), f"{jax.tree_util.keystr(path)} is not finite"


def check_bookkeeping(moment: Moment) -> None:
    """Idle bars, peak, turnover; what is rejected or cannot be filled is not traded."""
    before, record, account = moment.before, moment.record, moment.account
    np.testing.assert_array_equal(account.idle, np.where(record.fill_value != 0, 0, before.idle + 1), "idle")
    np.testing.assert_array_equal(account.peak_equity, np.maximum(before.peak_equity, record.equity), "peak")
    traded = np.sum(np.abs(record.fill_value) + np.abs(record.mark_value), axis=-1)
    near(record.turnover, traded / record.equity_before, size_of(moment) / record.equity_before, "turnover")
    filled = (record.fill_value != 0) & ~record.called[..., None]
    assert not np.any(filled & record.rejected), "a rejected order was filled"
    assert not np.any(filled & ~moment.outcome.can_fill), "a fill without a price"
    assert not np.any(record.blocked & moment.outcome.can_fill), "blocked at a valid open"
    action = moment.action[..., None] if moment.action.ndim < record.rejected.ndim else moment.action
    nonsense = np.isnan(action) if moment.env.action == "orders" else ~np.isfinite(action)
    assert np.all(record.rejected[np.broadcast_to(nonsense, record.rejected.shape)]), "nonsense was not rejected"


def check_observation_is_bounded(moment: Moment) -> None:
    """Every field of the account view is within [-1, 1] and is a number."""
    for field in observe(np, moment.book, moment.account, moment.known, moment.params):
        assert np.all(np.abs(field) <= 1), f"a field of {np.max(np.abs(field))}"


# Since the start of each account --------------------------------------------------------------------------------------


def check_profit_adds_up(moments: Sequence[Moment]) -> None:
    """Realised + unrealised + income - fees - financing + shortfall = equity - 1, since each account's start."""
    total, scale = np.zeros_like(moments[0].record.equity), np.zeros_like(moments[0].record.equity)
    for moment in moments:
        record, account = moment.record, moment.account
        total = total + record.realized + record.income - record.fees - record.financing + record.shortfall
        scale = scale + size_of(moment)
        unrealised = np.sum(account.position - account.basis, axis=-1)
        near(total + unrealised, record.equity - 1, scale, "realised + unrealised")
        total, scale = np.where(record.ruined, 0.0, total), np.where(record.ruined, 0.0, scale)


def check_log_rewards_telescope(moments: Sequence[Moment]) -> None:
    """Rewards of an account's life add up to the log of its last over its first equity (1)."""
    total, scale = np.zeros_like(moments[0].record.equity), np.zeros_like(moments[0].record.equity)
    for moment in moments:
        record = moment.record
        total, scale = total + record.reward, scale + size_of(moment) / record.equity
        near(total, np.log(record.equity), scale, "the summed log rewards")
        total, scale = np.where(record.ruined, 0.0, total), np.where(record.ruined, 0.0, scale)


Check = Callable[[Moment], None]
PER_BAR: tuple[Check, ...] = (
    check_finite,
    check_cash_and_positions,
    check_costs,
    check_profit,
    check_basis,
    check_closed_is_zero,
    check_leverage,
    check_limits,
    check_smallest,
    check_lots,
    check_never_short,
    check_cash_is_not_borrowed,
    check_ruin,
    check_bookkeeping,
    check_observation_is_bounded,
)
PER_LIFE: tuple[Callable[[Sequence[Moment]], None], ...] = (check_profit_adds_up, check_log_rewards_telescope)


def check_all(moments: Sequence[Moment]) -> None:
    """Hold every identity against every bar, and against the lives of the accounts."""
    for moment in moments:
        for check in PER_BAR:
            check(moment)
    for over in PER_LIFE:
        over(moments)
