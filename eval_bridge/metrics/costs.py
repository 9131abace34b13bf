"""What was paid, by kind, in the currency of the prices."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval_bridge.backtester import Backtest


def cost_figures(result: "Backtest") -> dict[str, float]:
    """Return the sums over all bars, in money; `fees` is commission and stamp duty.

    Spread and slippage are inside the prices paid; the other kinds are booked apart from them.
    """
    records = result.records
    costs = records.costs
    columns = {
        "commission": costs.commission,
        "stamp_duty": costs.duty,
        "spread": costs.spread,
        "slippage": costs.slippage,
        "borrow": records.borrow,
        "interest": records.interest,
        "dividends": records.income,
        "delisting_loss": records.exit_loss,
        "shortfall": records.shortfall,
    }
    in_money = {name: sum(column.tolist()) * result.capital for name, column in columns.items()}
    return {"fees": in_money["commission"] + in_money["stamp_duty"], **in_money}
