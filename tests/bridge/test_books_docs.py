"""docs/backtest.md names every column, status and constraint, and how lots are matched."""

from pathlib import Path
from typing import get_args

from eval_bridge.books import constraints, ledger, orders, trades
from eval_bridge.books.positions import equity_table, positions_table
from tests.helpers.books import played

TEXT = (Path(__file__).parents[2] / "docs" / "backtest.md").read_text(encoding="utf-8")


def test_everything_is_named() -> None:
    result = played("orders, short, lots")
    names = {*trades.COLUMNS, *orders.COLUMNS, *equity_table(result).columns, *positions_table(result).columns}
    names = {name for name in names if not name.startswith(("memory_", "action_"))} | {"memory_0", "action_0"}
    names |= {*constraints.CONSTRAINTS, *ledger.COMPARED, *get_args(ledger.LotMethod)}
    names |= {"filled", "partly", "blocked", "rejected", "not_traded", "liquidation", "delisting", "open", "closed"}
    missing = {name for name in names if f"`{name}`" not in TEXT}
    assert not missing
