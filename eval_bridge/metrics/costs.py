"""What was paid, by kind, in the currency of the prices."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eval_bridge.backtester import Backtest


def cost_figures(result: "Backtest") -> dict[str, float]:
    """Return the sums over all bars, in money; `fees` is commission and stamp duty.

    Spread and slippage are inside the prices paid; the other kinds are booked apart from them.
    """
    records = [step.record for step in result.steps]
    paid = {
        "commission": sum(float(record.costs.commission) for record in records),
        "stamp_duty": sum(float(record.costs.duty) for record in records),
        "spread": sum(float(record.costs.spread) for record in records),
        "slippage": sum(float(record.costs.slippage) for record in records),
        "borrow": sum(float(record.borrow) for record in records),
        "interest": sum(float(record.interest) for record in records),
        "dividends": sum(float(record.income) for record in records),
        "delisting_loss": sum(float(record.exit_loss) for record in records),
        "shortfall": sum(float(record.shortfall) for record in records),
    }
    in_money = {name: amount * result.capital for name, amount in paid.items()}
    return {"fees": in_money["commission"] + in_money["stamp_duty"], **in_money}
