"""What the table says of fills at the close, of delistings, of impossible prices and of calendar time."""

import numpy as np
import pytest

from eval_bridge.backtester import replay_actor, run_backtest
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.market.bars import Bars
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table
from jaxtrade.rules import Outcome

WINDOW = 5
NO_COSTS = {"buy_percent": 0.0, "sell_percent": 0.0}


def table_of(bars: Bars, **market: str) -> MarketTable:
    return build_table(bars, MarketConfig.model_validate(market), WINDOW)


def cut_off(bars: Bars, symbol: int, last: int) -> Bars:
    """Return the bars with nothing of a symbol after bar `last`."""
    gone = (np.arange(len(bars.time)) > last)[:, None] & (np.arange(len(bars.symbols)) == symbol)
    prices = {name: np.where(gone, np.nan, getattr(bars, name)) for name in ("open", "high", "low", "close", "volume")}
    return bars._replace(**prices)


def test_same_close_fills_at_the_price_just_observed() -> None:
    bars = random_bars(300, 2)
    table, usual = table_of(bars, fill="same_close"), table_of(bars)
    np.testing.assert_array_equal(table.fill_price[:-1], bars.close[:-1])
    np.testing.assert_array_equal(table.outcome.gap[:-1], 0)
    np.testing.assert_allclose(table.outcome.move[:-1], bars.close[1:] / bars.close[:-1] - 1, rtol=1e-15)
    whole = (1 + usual.outcome.gap) * (1 + usual.outcome.move)
    np.testing.assert_allclose(1 + table.outcome.move[:-1], whole[:-1], rtol=1e-14)
    np.testing.assert_array_equal(table.features, usual.features)


def test_same_close_is_stamped_and_booked_at_its_own_bar() -> None:
    table = table_of(random_bars(300), fill="same_close")
    assert "close just observed" in str(table.warning)
    assert table_of(random_bars(300)).warning is None
    span = Range(200, 204)
    config = EnvConfig(window=WINDOW, action="target_weight", costs=NO_COSTS)
    result = run_backtest(table, span, config, replay_actor(np.array([[1.0], [1.0], [1.0], [0.0]]), 200))
    assert [(order.bar, order.price) for order in result.ledger.orders] == [
        (200, table.mark[200, 0]),
        (203, table.mark[203, 0]),
    ]
    assert result.equity[3] / result.equity[0] == pytest.approx(table.mark[203, 0] / table.mark[200, 0], rel=1e-12)


def test_a_symbol_that_ends_early_is_delisted_after_its_last_bar() -> None:
    bars = cut_off(random_bars(300, 3), symbol=1, last=250)
    outcome: Outcome = table_of(bars).outcome
    assert outcome.exit is not None
    assert np.argwhere(outcome.exit).tolist() == [[250, 1]]
    assert not outcome.can_fill[250:, 1].any()
    assert not table_of(bars, fill="same_close").outcome.can_fill[250:, 1].any()


@pytest.mark.parametrize(("missing", "delisted"), [(4, False), (5, True)])
def test_a_few_missing_bars_at_the_end_are_no_delisting(missing: int, delisted: bool) -> None:
    bars = cut_off(random_bars(300, 2), symbol=0, last=299 - missing)
    assert (table_of(bars).outcome.exit is not None) == delisted


@pytest.mark.parametrize(("recovery", "left"), [(100.0, 1.0), (40.0, 0.4), (0.0, 0.0)])
def test_a_delisted_position_pays_its_recovery(recovery: float, left: float) -> None:
    bars = cut_off(random_bars(300, 1), symbol=0, last=250)
    table = table_of(bars)
    config = EnvConfig(
        window=WINDOW, action="target_weight", costs=NO_COSTS, delisting_recovery_percent=recovery, max_leverage=0.5
    )
    weights = np.full((10, 1), 0.5)
    result = run_backtest(table, Range(245, 255), config, replay_actor(weights, 245))
    held = float(result.steps[4].account.position[0])
    after = result.steps[5]
    assert after.account.position[0] == after.account.basis[0] == 0
    assert float(after.record.exit_loss) == pytest.approx(held * (1 - left), abs=1e-15)
    assert [order.kind for order in result.ledger.orders][-1] == "delisting"
    assert after.record.rejected.sum() == 0
    assert result.steps[6].record.rejected.all()  # the weight asks for a symbol that is gone


@pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("column", ["open", "close"])
def test_impossible_prices_are_missing_prices(price: float, column: str) -> None:
    bars, hole = random_bars(300), random_bars(300)
    getattr(bars, column)[220, 0] = price
    getattr(hole, column)[220, 0] = np.nan
    found, wanted = table_of(bars), table_of(hole)
    for name in ("gap", "move", "can_fill", "mark", "fill_price"):
        np.testing.assert_array_equal(getattr(found.outcome, name), getattr(wanted.outcome, name))
    np.testing.assert_array_equal(found.known.tradable, wanted.known.tradable)
    assert found.known.tradable[220, 0] == (column == "open")
    assert found.outcome.can_fill[219, 0] == (column == "close")


def test_years_are_calendar_time_over_365_days() -> None:
    bars = random_bars(300)
    years = table_of(bars).outcome.years
    assert np.isnan(years[-1])
    days = np.diff(bars.time) / np.timedelta64(1, "D")
    np.testing.assert_allclose(years[:-1], days / 365, rtol=1e-15)
