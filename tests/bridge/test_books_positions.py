"""The tables of positions and of the account, against the steps of the backtest."""

import numpy as np
import pandas as pd
import pytest

from eval_bridge.books.positions import equity_table, positions_table
from tests.helpers.books import flat, market, ordered, played

ACCOUNT = ["time", "equity", "cash", "gross", "net", "drawdown", "peak_equity", "turnover"]
PAID = ["commission", "stamp_duty", "spread", "slippage", "borrow", "interest", "income", "exit_loss", "shortfall"]
HELD = ["time", "symbol", "quantity", "price", "value", "weight", "basis", "unrealised", "lots", "idle"]


@pytest.mark.parametrize("name", ["continuous, short, financed, delisted", "positions"])
def test_a_row_a_mark_is_the_account_of_its_step(name: str) -> None:
    result = played(name)
    table, money = equity_table(result), result.capital
    memory, actions = (len(result.steps[0].account.memory), np.size(result.steps[0].action))
    flows = [*PAID, "reward", "value_estimate"]
    names = [f"memory_{n}" for n in range(memory)] + [f"action_{n}" for n in range(actions)]
    assert list(table.columns) == [*ACCOUNT, *flows, *names]
    assert len(table) == len(result.history) + 1
    np.testing.assert_array_equal(table["time"], result.time)
    assert table.loc[0, ["equity", "cash", "peak_equity"]].tolist() == [money] * 3
    assert not table.loc[0, ["gross", "net", "drawdown", "turnover", *PAID, "reward"]].any()
    for step, row in zip(result.steps, table.iloc[1:].to_dict("records"), strict=True):
        account, record = step.account, step.record
        wanted = {
            "equity": record.equity * money,
            "cash": account.cash * money,
            "gross": np.abs(account.position).sum() / record.equity,
            "net": account.position.sum() / record.equity,
            "drawdown": record.equity / account.peak_equity - 1,
            "peak_equity": account.peak_equity * money,
            "turnover": record.turnover,
            "commission": record.costs.commission * money,
            "stamp_duty": record.costs.duty * money,
            "spread": record.costs.spread * money,
            "slippage": record.costs.slippage * money,
            "reward": record.reward,
            "value_estimate": step.value,
        }
        wanted |= {field: getattr(record, field) * money for field in PAID[4:]}
        wanted |= {f"memory_{n}": value for n, value in enumerate(account.memory)}
        wanted |= {f"action_{n}": value for n, value in enumerate(np.ravel(step.action))}
        found = [row[name] for name in wanted]
        np.testing.assert_allclose(found, [float(value) for value in wanted.values()], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["orders, short, lots", "continuous, short, financed, delisted"])
def test_positions_make_up_the_equity(name: str) -> None:
    result = played(name)
    table, account = positions_table(result), equity_table(result).set_index("time")
    assert list(table.columns) == HELD
    value = table.groupby("time")["value"].sum().reindex(account.index, fill_value=0.0)
    np.testing.assert_allclose(account["cash"] + value, account["equity"], rtol=1e-9)
    weight = table["weight"].abs().groupby(table["time"]).sum().reindex(account.index, fill_value=0.0)
    np.testing.assert_allclose(weight, account["gross"], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(table["quantity"] * table["price"], table["value"], rtol=1e-12)
    np.testing.assert_allclose(table["value"] - table["basis"], table["unrealised"], atol=1e-9)
    if result.config.lot_size:
        np.testing.assert_allclose(table["quantity"], table["lots"], rtol=1e-9)
    assert (table["idle"] == table["idle"].round()).all() and table["idle"].max() > 1


def test_quantities_are_what_the_ledger_bought() -> None:
    """The quantity from value and mark is the sum of the fills until then."""
    result = played("orders, short, lots")
    table = positions_table(result)
    orders = result.ledger.orders
    bought = pd.DataFrame({"time": [result.table.time[each.bar] for each in orders]}).assign(
        symbol=[each.symbol for each in orders], quantity=[each.quantity for each in orders]
    )
    for (time, symbol), row in table.set_index(["time", "symbol"]).iloc[::17].iterrows():
        mine = bought[(bought["time"] <= time) & (bought["symbol"] == symbol)]
        assert mine["quantity"].sum() == pytest.approx(row["quantity"], rel=1e-9)


def test_positions_by_hand() -> None:
    result = ordered(market(flat(10, 10, 12, 12)), [5, 0, 0], costs={"half_spread_bps": 100.0}, initial_cash=100.0)
    table = positions_table(result)
    assert table["idle"].tolist() == [0, 1, 2]
    row = table.iloc[1].to_dict()
    assert (row["quantity"], row["price"], row["value"], row["basis"]) == pytest.approx((5.0, 12.0, 60.0, 50.5))
    assert (row["unrealised"], row["weight"]) == pytest.approx((9.5, 60 / 109.5))


def test_nothing_held_and_nothing_done() -> None:
    result = ordered(market(flat(10, 10, 10)), [0, 0])
    assert list(positions_table(result).columns) == HELD
    assert len(positions_table(result)) == 0
    assert equity_table(result)["equity"].tolist() == [10_000.0] * 3
