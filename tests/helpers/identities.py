"""The identities of docs/accounting.md as checks on a recorded episode of many accounts; each raises AssertionError."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from jaxtrade.rules import Account, Known, Outcome, Record, RuleParams, advance, make_rule_book, observe, open_account
from jaxtrade.rules.book import REWARDS
from tests.helpers.ledger_episodes import Case, random_bars, restart, rule_params

CLOSE = 1e-11


class Moment(NamedTuple):
    """One bar of an episode, leaves [lanes, S] or [lanes]."""

    before: Account
    known: Known
    outcome: Outcome
    account: Account
    record: Record
    params: RuleParams


def trade(case: Case, reward: str = "log_return") -> list[Moment]:
    """Trade a case through the rule book; a ruined account starts afresh."""
    random = np.random.default_rng(case.seed)
    book = make_rule_book(case.params.action_kind, reward, case.params.allow_short)
    params = rule_params(case.params)
    fresh = account = open_account(np, np.zeros((*case.batch, case.symbols)))
    moments = []
    for bar in random_bars(case, random):
        action = bar.action if case.params.action_kind == "continuous" else bar.action[..., 0]
        known, outcome = Known(bar.tradable), Outcome(bar.gap, bar.move, bar.can_fill)
        after, record = advance(np, book, params, account, action, known, outcome)
        moments.append(Moment(account, known, outcome, after, record, params))
        account = restart(after, fresh, record.ruined)
    return moments


def size_of(moment: Moment) -> np.ndarray:
    """Return all the money in play, [lanes], the scale of rounding."""
    before, record = moment.before, moment.record
    parts = [before.position, before.basis, record.fill_value, record.mark_value, moment.account.position]
    return 1 + np.abs(before.cash) + sum(np.abs(part).sum(axis=-1) for part in parts)


def near(found: np.ndarray, wanted: np.ndarray, scale: np.ndarray, what: str) -> None:
    """Assert equality to rounding of the money in play."""
    error = np.abs(found - wanted) / scale
    assert np.all(error <= CLOSE), f"{what}: off by {np.max(error):.3g} of the money in play"


def check_conservation(moments: list[Moment]) -> None:
    """What was traded and what moved explains cash, positions, profit and equity."""
    for before, _, outcome, account, record, params in moments:
        scale = size_of(Moment(before, _, outcome, account, record, params))
        at_open = before.position * (1 + outcome.gap)
        filled = at_open + record.fill_value
        marked = filled * (1 + outcome.move)
        gain = np.sum(before.position * outcome.gap + filled * outcome.move, axis=-1)
        near(account.position, marked + record.mark_value, scale[:, None], "position")
        traded = np.sum(record.fill_value + record.mark_value, axis=-1)
        near(account.cash, before.cash - traded - record.fees + record.shortfall, scale, "cash")
        near(record.pnl, gain - record.fees + record.shortfall, scale, "pnl")
        near(record.equity, account.cash + account.position.sum(axis=-1), scale, "equity")
        near(record.equity - record.equity_before, record.pnl, scale, "change of equity")
        near(record.fees, fees_of(record, params), scale, "fees")


def fees_of(record: Record, params: RuleParams) -> np.ndarray:
    """Return the fees of all that was traded, by hand, [lanes]."""
    values = np.concatenate([record.fill_value, record.mark_value], axis=-1)
    rates = np.where(values > 0, params.buy_rate, params.sell_rate)
    return np.sum(np.abs(values) * rates, axis=-1)


def check_profit_adds_up(moments: list[Moment]) -> None:
    """Realised + unrealised - fees + shortfall = equity - capital, since each account's start."""
    total = np.zeros(moments[0].record.equity.shape)
    for moment in moments:
        record, account = moment.record, moment.account
        total = total + record.realized - record.fees + record.shortfall
        unrealised = np.sum(account.position - account.basis, axis=-1)
        near(total + unrealised, record.equity - 1, 50 * size_of(moment), "realised + unrealised")
        total = np.where(record.ruined, 0.0, total)


def check_leverage(moments: list[Moment]) -> None:
    """Wherever a fill added to a position, the positions respect the leverage limit after all costs."""
    for moment in moments:
        before, record, outcome = moment.before, moment.record, moment.outcome
        at_open = before.position * (1 + outcome.gap)
        held = at_open + record.fill_value
        added = np.any(np.abs(held) > np.abs(at_open) + 1e-15, axis=-1) & ~record.ruined
        rates = np.where(record.fill_value > 0, moment.params.buy_rate, moment.params.sell_rate)
        equity = before.cash + at_open.sum(axis=-1) - np.sum(np.abs(record.fill_value) * rates, axis=-1)
        room = moment.params.max_leverage * equity - np.abs(held).sum(axis=-1)
        assert np.all(room[added] >= -CLOSE * size_of(moment)[added]), f"leverage exceeded by {-room[added].min():.3g}"


def check_never_short(moments: list[Moment]) -> None:
    """Long only: no position is ever below zero."""
    worst = min(moment.account.position.min() for moment in moments)
    assert worst >= 0, f"a holding of {worst}"


def check_cash_is_not_borrowed(moments: list[Moment]) -> None:
    """Unlevered and long only: cash stays above zero, to rounding. (Covering a short that lost may cost more.)"""
    worst = min(np.min(moment.account.cash / size_of(moment)) for moment in moments)
    assert worst >= -1e-14, f"cash of {worst}"


def check_log_rewards_telescope(moments: list[Moment]) -> None:
    """Log rewards of an account's life add up to the log of its last over its first equity."""
    reward = REWARDS["log_return"]
    total = np.zeros(moments[0].record.equity.shape)
    for moment in moments:
        total = total + reward(np, moment.record)
        near(np.exp(total), moment.record.equity, size_of(moment), "exp of the summed log rewards")
        total = np.where(moment.record.ruined, 0.0, total)


def check_closed_is_zero(moments: list[Moment]) -> None:
    """A position is zero or clearly something: a close leaves no residue, in position and basis alike."""
    for moment in moments:
        position, basis = moment.account.position, moment.account.basis
        sold = (moment.record.fill_value < 0) & (moment.before.position > 0)
        rest = position[sold]
        assert np.all((rest == 0) | (np.abs(rest) > 1e-12)), f"a residue of {rest[rest != 0].min():.3g}"
        assert np.all((position != 0) | (basis == 0)), "a basis without a position"


def check_ruin_is_final(moments: list[Moment]) -> None:
    """Ruin leaves cash alone, at least the floor; equity stays positive and every reward finite."""
    for moment in moments:
        record, account = moment.record, moment.account
        assert np.all(account.position[record.ruined] == 0), "a ruined account holds something"
        assert np.all(account.basis[record.ruined] == 0), "a ruined account has a basis"
        assert np.all(account.cash[record.ruined] >= moment.params.ruin_floor), "cash below the floor"
        assert np.all(record.equity > 0), "equity not above zero"
        assert np.all(record.shortfall >= 0), "a negative shortfall"
        assert np.all((record.shortfall == 0) | record.ruined), "a shortfall without ruin"
        for reward in REWARDS.values():
            assert np.all(np.isfinite(reward(np, record))), "a reward is not finite"


def check_observation_is_bounded(moments: list[Moment]) -> None:
    """Every field of the account view is within [-1, 1] and is a number."""
    for moment in moments:
        for field in observe(np, moment.account, moment.known, moment.params):
            assert np.all(np.abs(field) <= 1), f"a field of {np.max(np.abs(field))}"


Check = Callable[[list[Moment]], None]
EVERYWHERE: tuple[Check, ...] = (
    check_conservation,
    check_profit_adds_up,
    check_leverage,
    check_log_rewards_telescope,
    check_ruin_is_final,
    check_observation_is_bounded,
)
LONG_ONLY: tuple[Check, ...] = (check_never_short, check_closed_is_zero)
UNLEVERED: tuple[Check, ...] = (check_cash_is_not_borrowed,)
