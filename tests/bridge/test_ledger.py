"""The backtester's books: FIFO lots by hand, and each check failing once."""

import numpy as np
import pytest

from eval_bridge import backtester
from eval_bridge.backtester import replay_actor, run_backtest
from eval_bridge.ledger import Ledger
from jaxtrade.config import EnvConfig
from tests.helpers.worlds import make_table, random_actions


def test_lots_are_closed_oldest_first() -> None:
    books = Ledger(("A", "B"), 1000.0)
    books.fill_all((10.0, 0.0), (5.0, 1.0), (10.0, 0.0), 1)
    books.fill_all((4.0, 0.0), (6.0, 1.0), (14.0, 0.0), 2)
    books.fill_all((-12.0, 3.0), (7.0, 2.0), (2.0, 3.0), 3)
    assert [(each.quantity, each.entry_bar, each.exit_bar, each.profit) for each in books.trades] == [
        (10.0, 1, 3, 20.0),
        (2.0, 2, 3, 2.0),
    ]
    assert books.held == [2.0, 3.0]
    books.fill_all((-5.0, 0.0), (8.0, 2.0), (-3.0, 3.0), 4)  # through zero
    assert (list(books.lots[0]), books.trades[-1].quantity) == ([(-3.0, 8.0, 4)], 2.0)
    books.close(0, 6.0, 5, "liquidation")
    assert (books.trades[-1].profit, books.held[0], books.orders[-1].kind) == (6.0, 0.0, "liquidation")
    assert books.cash == 1000 - 50 - 24 + 84 - 6 + 40 - 18
    assert books.equity((1.0, 4.0)) == books.cash + 12
    books.audit()


def test_the_audit_notices_a_lost_lot() -> None:
    books = Ledger(("A",), 1000.0)
    books.fill_all((10.0,), (5.0,), (10.0,), 1)
    books.lots[0].clear()
    with pytest.raises(AssertionError, match="open lots of A"):
        books.audit()


@pytest.mark.parametrize("symbols", [1, 3])
@pytest.mark.parametrize("field", ["cash", "commission", "fill_value", "equity"])
def test_a_millionth_too_much_in_the_rules_is_noticed(
    field: str, symbols: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any figure of the rules a millionth off at one bar stops the backtest there."""
    table, config = make_table(30, 300, symbols), EnvConfig(window=30)
    span = table.ranges["train"]
    actions = replay_actor(random_actions(config, span.decisions, symbols), span.first)
    run_backtest(table, span, config, actions)
    real = backtester.Rules.advance

    def wrong(self: backtester.Rules, state: object, *given: object) -> tuple:
        row = list(real(self, state, *given))
        place = self.place("costs" if field == "commission" else field)
        row[place] = np.multiply(row[place], 1 + 1e-5) if symbols > 1 else row[place] * (1 + 1e-5)
        return tuple(row)

    monkeypatch.setattr(backtester.Rules, "advance", wrong)
    with pytest.raises(AssertionError, match="the ledger's cash and equity"):
        run_backtest(table, span, config, actions)
