"""Recommendations as a table for the terminal."""

from typing import TYPE_CHECKING, Any

import numpy as np

from eval_bridge.inference.recommend import TOP, Recommendations

if TYPE_CHECKING:
    import pandas as pd

FORMATS = {
    "symbol": ("symbol", "{}"),
    "action": ("action", "{}"),
    "raw_action": ("raw", "{:+.4f}"),
    "order_quantity": ("order", "{:+,.4f}"),
    "target_quantity": ("target", "{:,.4f}"),
    "target_weight": ("weight", "{:.1%}"),
    "reference_price": ("reference", "{:,.4f}"),
    "fees": ("fees", "{:,.2f}"),
    "slippage": ("slippage", "{:,.2f}"),
    "probability": ("probability", "{:.1%}"),
    "deviation": ("deviation", "{:.3f}"),
    "agreement": ("agreement", "{:.0%}"),
    "note": ("note", "{}"),
}
BRIEF = ("symbol", "order_quantity", "target_weight", "reference_price", "probability", "deviation", "agreement")


def recommendation_text(made: Recommendations, top: int = TOP) -> str:
    """Return the stamp, the account, a row for every symbol, and the largest buys and sells."""
    lines = [made.stamp, *(f"{name}: {text}" for name, text in made.about.items())]
    lines += [f"warning: {warning}" for warning in made.warnings]
    lines += [
        f"account: equity {made.equity:,.2f}, cash {made.cash:,.2f}",
        "",
        *table_lines(made.frame, tuple(FORMATS)),
    ]
    if len(made.frame) > 1:
        for title, rows in (("top buys", made.top_buys(top)), ("top sells", made.top_sells(top))):
            lines += ["", f"{title}:", *(table_lines(rows, BRIEF) if len(rows) else ["  none"])]
    return "\n".join(lines)


def table_lines(frame: "pd.DataFrame", names: tuple[str, ...]) -> list[str]:
    """Return the lines of a table, columns that hold nothing left out, numbers to the right."""
    used = [name for name in names if frame[name].notna().any() and bool((frame[name] != "").any())]
    columns = [[FORMATS[name][0], *(_cell(name, value) for value in frame[name])] for name in used]
    widths = [max(map(len, column)) for column in columns]
    left = [name in ("symbol", "action", "note") for name in used]
    cells = [
        [cell.ljust(width) if flush else cell.rjust(width) for cell in column]
        for column, width, flush in zip(columns, widths, left, strict=True)
    ]
    return ["  ".join(row).rstrip() for row in zip(*cells, strict=True)]


def _cell(name: str, value: Any) -> str:
    if isinstance(value, float) and not np.isfinite(value):
        return ""
    if name == "raw_action" and value == int(value):  # the number of a choice
        return f"{value:.0f}"
    return FORMATS[name][1].format(value)
