"""The Decimal ledger catches faults: each one here is planted in the rule book, and the comparison must complain.

Rules import each other by name, so a fault replaces the name in the module that uses it.
"""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import count
from typing import Any

import pytest

from jaxtrade.rules.types import Account, Array, Namespace, Orders, RuleParams, equity_of, gross_of
from tests.helpers.decimal_ledger import LedgerParams
from tests.helpers.ledger_episodes import Case, run_case

accounting = import_module("jaxtrade.rules.accounting")
limits = import_module("jaxtrade.rules.limits")
advancing = import_module("jaxtrade.rules.advance")  # the package's own name `advance` is the function

Fault = Callable[[pytest.MonkeyPatch], None]

LONG = Case(
    symbols=3, params=LedgerParams(buy_rate=0.001, sell_rate=0.002, ruin_floor=0.05, trade_limit=0.9), seed=1, steps=60
)
SHORT = replace(
    LONG,
    params=replace(LONG.params, allow_short=True, max_leverage=3.0, maintenance_margin=0.2, trade_limit=1.5),
    crash_rate=0.05,
)


def commission_once(patch: pytest.MonkeyPatch) -> None:
    """The fee is charged once per round trip, at the buy."""
    real = accounting.commission
    patch.setattr(
        accounting, "commission", lambda xp, value, params: real(xp, xp.maximum(value, xp.zeros_like(value)), params)
    )


def commission_on_the_wrong_side(patch: pytest.MonkeyPatch) -> None:
    """Sells pay the buy rate and buys the sell rate."""
    real = accounting.commission
    patch.setattr(accounting, "commission", lambda xp, value, params: real(xp, -value, params))


def buying_power_without_fee(patch: pytest.MonkeyPatch) -> None:
    """The common share is sized as if buying were free."""

    def affordable(xp: Namespace, account: Account, increasing: Array, params: RuleParams) -> Array:
        room = params.max_leverage * equity_of(xp, account) - gross_of(xp, account)
        need = xp.sum(xp.abs(increasing), axis=-1)
        share = room / xp.where(need > 0, need, xp.ones_like(need))
        return xp.clip(xp.where(need > 0, share, xp.ones_like(share)), 0.0, 1.0)

    patch.setattr(accounting, "affordable", affordable)


def buys_before_sells(patch: pytest.MonkeyPatch) -> None:
    """Buys are sized before the sells have freed any cash."""
    real = advancing.fill

    def fill(xp: Namespace, account: Account, orders: Orders, can_fill: Array, params: RuleParams) -> Any:
        buys = xp.maximum(orders.value, xp.zeros_like(orders.value))
        first = real(xp, account, orders._replace(value=buys, close_out=orders.close_out & False), can_fill, params)
        then = real(xp, first.account, orders._replace(value=orders.value - buys), can_fill, params)
        idle = xp.minimum(first.account.idle, account.idle + (then.value == 0))
        return then._replace(
            account=then.account._replace(idle=idle),
            value=first.value + then.value,
            fees=first.fees + then.fees,
            realized=first.realized + then.realized,
        )

    patch.setattr(advancing, "fill", fill)


def basis_kept_on_sale(patch: pytest.MonkeyPatch) -> None:
    """A sale leaves the basis as it was."""
    real = accounting.reduce_positions

    def reduce_positions(xp: Namespace, account: Account, reducing: Array) -> tuple[Account, Array]:
        reduced, realized = real(xp, account, reducing)
        return reduced._replace(basis=account.basis), realized

    patch.setattr(accounting, "reduce_positions", reduce_positions)


def gap_left_out_of_the_order(patch: pytest.MonkeyPatch) -> None:
    """An order fills at its value of the close before, as if the market had not gapped."""
    real_revalue, real_fill, gaps = advancing.revalue, advancing.fill, []

    def revalue(xp: Namespace, account: Account, change: Array) -> tuple[Account, Array]:
        gaps.append(change)
        return real_revalue(xp, account, change)

    def fill(xp: Namespace, account: Account, orders: Orders, can_fill: Array, params: RuleParams) -> Any:
        return real_fill(xp, account, orders._replace(value=orders.value / (1 + gaps[-1])), can_fill, params)

    patch.setattr(advancing, "revalue", revalue)
    patch.setattr(advancing, "fill", fill)


def no_ruin_check_at_the_open(patch: pytest.MonkeyPatch) -> None:
    """An account is checked for ruin at the mark only."""
    real, calls = advancing.liquidate_if_ruined, count()

    def liquidate_if_ruined(xp: Namespace, account: Account, params: RuleParams) -> Any:
        if next(calls) % 2 == 0:
            params = params._replace(ruin_floor=params.ruin_floor - 1e9, maintenance_margin=-1e9)
        return real(xp, account, params)

    patch.setattr(advancing, "liquidate_if_ruined", liquidate_if_ruined)


def close_leaves_residue(patch: pytest.MonkeyPatch) -> None:
    """A full close leaves what rounding left of the position."""
    real = accounting.reduce_positions

    def reduce_positions(xp: Namespace, account: Account, reducing: Array) -> tuple[Account, Array]:
        reduced, realized = real(xp, account, reducing)
        residue = xp.where(reducing == -account.position, account.position * 1e-16, reduced.position)
        return reduced._replace(position=residue), realized

    patch.setattr(accounting, "reduce_positions", reduce_positions)


def rounding_trades(patch: pytest.MonkeyPatch) -> None:
    """Amounts that only rounding leaves count as trades."""
    patch.setattr(accounting, "DUST", 0.0)
    patch.setattr(limits, "DUST", 0.0)


def missing_open_fills(patch: pytest.MonkeyPatch) -> None:
    """An order fills although its symbol has no open."""
    real = advancing.fill
    patch.setattr(
        advancing,
        "fill",
        lambda xp, account, orders, can_fill, params: real(xp, account, orders, can_fill | True, params),
    )


def liquidation_without_shortfall(patch: pytest.MonkeyPatch) -> None:
    """The loss beyond the ruin floor is absorbed and reported nowhere."""
    real = advancing.liquidate_if_ruined

    def liquidate_if_ruined(xp: Namespace, account: Account, params: RuleParams) -> Any:
        done = real(xp, account, params)
        return done._replace(shortfall=xp.zeros_like(done.shortfall))

    patch.setattr(advancing, "liquidate_if_ruined", liquidate_if_ruined)


FAULTS: dict[str, tuple[Fault, Case, str]] = {  # and what the comparison names first
    "fee once per round trip": (commission_once, LONG, "^equity:"),
    "fee on the wrong side": (commission_on_the_wrong_side, LONG, "^equity:"),
    "buying power without the fee": (buying_power_without_fee, LONG, "^equity:"),
    "buys before sells": (buys_before_sells, LONG, "^equity:"),
    "basis kept on sale": (basis_kept_on_sale, LONG, "^basis:"),
    "gap left out of the order": (gap_left_out_of_the_order, LONG, "^equity:"),
    "no ruin check at the open": (no_ruin_check_at_the_open, SHORT, "^(fees|equity|ruined)"),
    "close leaves a residue": (close_leaves_residue, LONG, "^a closed position left"),
    "rounding trades": (rounding_trades, LONG, "filled|idle"),
    "missing open fills": (missing_open_fills, LONG, "^equity:"),
    "shortfall not reported": (liquidation_without_shortfall, SHORT, "^(pnl|shortfall):"),
}


@pytest.mark.parametrize("case", [LONG, SHORT], ids=["long", "short"])
def test_sound_rules_pass(case: Case) -> None:
    assert run_case(case)["fills"] > 100


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant, case, complaint = FAULTS[name]
    plant(monkeypatch)
    with pytest.raises(AssertionError, match=complaint):
        run_case(case)
