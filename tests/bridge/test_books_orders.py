"""The order log: each constraint alone, by hand; and over random backtests, against what the rules recorded."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from eval_bridge.backtester import Backtest, replay_actor, run_backtest
from eval_bridge.books import constraints
from eval_bridge.books.constraints import CONSTRAINTS, moments_of, trade
from eval_bridge.books.orders import COLUMNS, constraint_counts, orders_table
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from tests.helpers.books import flat, market, ordered, played

FLAT = flat(*[10.0] * 6)
NAN = float("nan")
NO_OPEN = [[10, 10, 10, 10], [NAN, 10, 10, 10], [10] * 4, [10] * 4]
NO_CLOSE = [[10, 10, 10, NAN], [10] * 4, [10] * 4, [10] * 4]
GAP_UP = [[10] * 4, [20, 20, 20, 20], [20] * 4, [20] * 4]
ALONE: dict[str, tuple[str, list[Any], list[float], dict[str, Any], tuple[float, ...], str]] = {
    # constraint, bars, units, rules; asked, allowed, filled money of the first row, its status
    "nothing binds": ("", FLAT, [30, 0], {}, (300, 300, 300), "filled"),
    "short": ("no_short", FLAT, [-30, 0], {}, (-300, 0, 0), "not_traded"),
    "largest trade": ("max_trade", FLAT, [60, 0], {"max_trade_percent": 25.0}, (600, 250, 250), "partly"),
    "largest position": ("max_position", FLAT, [60, 0], {"max_position_percent": 40.0}, (600, 400, 400), "partly"),
    "lots": ("lot_size", FLAT, [2.5, 0], {"lot_size": 10.0}, (250, 200, 200), "partly"),
    "smallest order": ("min_notional", FLAT, [3, 0], {"min_notional": 50.0}, (30, 0, 0), "not_traded"),
    "funds": ("funds", FLAT, [150, 0], {}, (1500, 1500, 1000), "partly"),
    "funds after a gap": ("funds", GAP_UP, [80, 0], {}, (800, 800, 1000), "partly"),
    "no open": ("no_open", NO_OPEN, [30, 0], {}, (300, 300, 0), "blocked"),
    "no close": ("not_tradable", NO_CLOSE, [30, 0], {}, (300, 0, 0), "rejected"),
    "no number": ("not_a_number", FLAT, [NAN, 0], {}, (NAN, 0, 0), "rejected"),
    "equal limits": (
        "max_trade,max_position",
        FLAT,
        [60, 0],
        {"max_trade_percent": 25.0, "max_position_percent": 25.0},
        (600, 250, 250),
        "partly",
    ),
    "all-in": ("", FLAT, [np.inf, 0], {"costs": {"buy_percent": 1.0}}, (1000, 1000, 1000 / 1.01), "filled"),
    "all-in, cut": ("max_position", FLAT, [np.inf, 0], {"max_position_percent": 40.0}, (1000, 400, 400), "partly"),
}


@pytest.mark.parametrize("name", ALONE)
def test_each_constraint_alone(name: str) -> None:
    wanted, bars, units, rules, money, status = ALONE[name]
    result = ordered(market(bars), units, initial_cash=1000.0, **rules)
    table = orders_table(result)
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 1
    row = table.iloc[0]
    np.testing.assert_allclose([row["asked"], row["allowed"], row["filled"]], money, rtol=1e-9)
    assert (row["status"], row["constraints"]) == (status, wanted)
    assert row["decided"] == result.table.time[0]
    assert pd.isna(row["filled_at"]) if not row["filled"] else row["filled_at"] == result.table.time[1]
    assert row["side"] == ("" if np.isnan(money[0]) else "buy" if money[0] > 0 else "sell")
    assert {name for name, count in constraint_counts(table).items() if count} == set(wanted.split(",")) - {""}
    assert tuple(constraint_counts(table)) == CONSTRAINTS


def test_an_order_that_is_filled_by_hand() -> None:
    costs = {"buy_percent": 1.0, "sell_percent": 2.0, "half_spread_bps": 100.0, "slippage_bps": 50.0}
    result = ordered(market(flat(10, 10, 20, 20)), [30, -10, 0], initial_cash=1000.0, costs=costs)
    bought, sold = orders_table(result).to_dict("records")
    assert (bought["quantity"], bought["price"], bought["reference_price"]) == pytest.approx((30, 10.15, 10))
    assert (bought["fees"], bought["slippage"], bought["side"]) == (pytest.approx(3), pytest.approx(4.5), "buy")
    assert (sold["quantity"], sold["price"], sold["reference_price"]) == pytest.approx((10, 19.7, 20))
    assert (sold["asked"], sold["allowed"], sold["filled"]) == pytest.approx((-100, -100, -200))
    assert (sold["fees"], sold["slippage"], sold["status"]) == (pytest.approx(4), pytest.approx(3), "filled")


def test_two_symbols_share_the_funds() -> None:
    result = ordered(market([[[10] * 4, [20] * 4]] * 3), [[80, 30], [0, 0]], initial_cash=1000.0)
    table = orders_table(result)
    assert table["constraints"].tolist() == ["funds", "funds"]
    np.testing.assert_allclose(table["filled"], [800 / 1.4, 600 / 1.4])


def test_a_liquidation_and_a_delisting_are_orders_of_nobody() -> None:
    rules = {"allow_short": True, "max_leverage": 3.0, "initial_cash": 1000.0}
    squeeze = ordered(market(flat(10, 10, 14, 14)), [-300, 5, 5], **rules)
    rows = orders_table(squeeze).to_dict("records")
    assert [row["status"] for row in rows] == ["filled", "not_traded", "liquidation"]
    assert (rows[2]["side"], rows[2]["quantity"], rows[2]["price"]) == ("buy", 300.0, 14.0)
    assert rows[1]["decided"] == rows[2]["decided"] == squeeze.table.time[1]
    nothing = [[NAN] * 4] * 6
    gone = np.stack([[*flat(10, 10, 8), *nothing], flat(*[10.0] * 9)], axis=1)
    left = ordered(market(gone), [[10, 0]] + [[0, 0]] * 6, delisting_recovery_percent=50.0, initial_cash=1000.0)
    bought, delisted = orders_table(left).to_dict("records")
    assert (delisted["status"], delisted["side"], delisted["symbol"]) == ("delisting", "sell", "A")
    assert (delisted["price"], delisted["reference_price"], delisted["filled"]) == (4.0, 8.0, -80.0)
    assert (delisted["fees"], delisted["slippage"], delisted["constraints"]) == (0.0, 0.0, "")
    assert bought["decided"] < delisted["decided"] < delisted["filled_at"]


@pytest.mark.parametrize("action", ["proportional", "discrete9", "target_weight", "continuous", "positions"])
def test_every_kind_of_action_is_logged(action: str) -> None:
    """A full buy and a full sale, once each kind is told in its own words."""
    said = {"discrete9": [4, 8], "positions": [1, 0], "continuous": [[1.0], [-1.0]]}.get(action, [[1.0], [-1.0]])
    said = [[1.0], [0.0]] if action == "target_weight" else said
    config = EnvConfig.model_validate({"action": action, "window": 1, "trade_limit_percent": 100.0})
    result = run_backtest(market(FLAT), Range(0, 2), config, replay_actor(np.array(said), 0))
    table = orders_table(result)
    assert table["side"].tolist() == ["buy", "sell"]
    assert table["asked"].iloc[1] == pytest.approx(-result.accounts.position[0, 0] * 10_000, rel=2e-3)
    assert result.accounts.position[1, 0] == 0


CASES = ("continuous, all costs", "target_weight, lots", "orders, short, lots", "proportional", "discrete9, lots")


def assert_cut_orders_have_a_reason(table: pd.DataFrame, result: Backtest) -> None:
    """Those of a bar at whose open the account was called apart, which nobody cut."""
    called = result.time[:-1][result.records.called]
    forced = table["status"].isin(["liquidation", "delisting"]) | table["decided"].isin(called)
    wanted = table["asked"].abs() > 1.01 * table["allowed"].abs()
    assert (table.loc[wanted & ~forced, "constraints"] != "").all(), "every order that is cut says by what"
    cut = table["status"].isin(["partly", "not_traded"]) & ~forced
    assert (table.loc[cut, "constraints"] != "").all(), "every order that is cut says by what"


@pytest.mark.parametrize("name", CASES)
def test_the_log_is_what_the_rules_recorded(name: str) -> None:
    result = played(name)
    table = orders_table(result)
    record, money = result.records, result.capital
    status = table["status"].value_counts()
    assert status.get("blocked", 0) == record.blocked.sum()
    assert status.get("rejected", 0) == record.rejected.sum()
    traded = table[table["filled"] != 0]
    assert len(traded) == len(result.ledger.orders)
    assert traded["filled"].abs().sum() == pytest.approx(
        np.sum(np.abs(record.fill_value) + np.abs(record.mark_value) + np.abs(record.exit_value)) * money, rel=1e-9
    )
    assert traded["fees"].sum() == pytest.approx(np.sum(record.fees) * money, rel=1e-9)
    assert (table["decided"].is_monotonic_increasing) and (traded["filled_at"] > traded["decided"]).all()
    assert_cut_orders_have_a_reason(table, result)
    assert (table.loc[table["status"] == "filled", "constraints"] == "").all()
    whole = table[table["status"] == "filled"]
    np.testing.assert_allclose(whole["asked"], whole["allowed"], rtol=1e-6, atol=1e-6 * result.equity.max())


@pytest.mark.parametrize("name", CASES)
def test_the_rules_called_again_fill_the_same(name: str) -> None:
    """All decisions at once, to the last bit: what is attributed is what happened."""
    result = played(name)
    with np.errstate(all="ignore"):
        _, filled = trade(moments_of(result))
    np.testing.assert_array_equal(filled, result.records.fill_value)


@pytest.mark.parametrize("name", ["max_trade", "funds"])
def test_a_limit_that_nobody_lifts_leaves_orders_without_a_reason(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    result, real = played("continuous, all costs"), constraints.trade
    monkeypatch.setattr(constraints, "trade", lambda moments, lifted=frozenset(): real(moments, lifted - {name}))
    table = orders_table(result)
    assert name not in ",".join(table["constraints"])
    with pytest.raises(AssertionError, match="says by what"):
        assert_cut_orders_have_a_reason(table, result)


def test_same_close_fills_at_the_bar_of_the_decision() -> None:
    result = ordered(market(flat(10, 11, 12, 13), "same_close"), [0, 5, 0])
    (row,) = orders_table(result).to_dict("records")
    assert row["decided"] == row["filled_at"] == result.table.time[1]
    assert (row["price"], row["filled"]) == pytest.approx((11.0, 55.0))


def test_nothing_ordered_makes_an_empty_log() -> None:
    table = orders_table(ordered(market(FLAT), [0, 0]))
    assert (tuple(table.columns), len(table)) == (COLUMNS, 0)
    assert not any(constraint_counts(table).values())
