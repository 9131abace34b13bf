"""The charts over time of a backtest."""

from typing import TYPE_CHECKING, Any

import numpy as np

from eval_bridge.evaluation import Evaluation
from eval_bridge.metrics import drawdowns, periods_per_year, rolling_sharpe
from eval_bridge.report.markup import label
from eval_bridge.report.plots import COLORS, POLICY_FIRST, SEQUENCE, Charts, Spec, axis, line
from eval_bridge.report.thinning import pack_time, rows_to_keep, short

if TYPE_CHECKING:
    import pandas as pd

SYMBOLS = 24  # of the price chart's selector
SYMBOL_POINTS = 12_000  # of all its price curves together
HELD = 250  # trades of a symbol up to which entries and exits are joined
WEIGHT_CELLS = 12_000  # of the map of weights
LEAST_WINDOW = 20  # bars of a rolling Sharpe ratio
MONEY, PERCENT = "%{y:,.6~r}", "%{y:.2%}"  # as many digits as are sent


def equity(charts: Charts, evaluation: Evaluation) -> None:
    """Add equity with the baselines, and drawdown."""
    result, hold = evaluation.result, evaluation.baselines.get("buy_and_hold")
    mine: Spec = {"color": "--policy", "width": 2.4, "hovertemplate": MONEY}
    thin: Spec = {"width": 1.2, "hovertemplate": MONEY}
    columns: dict[str, tuple[Any, Spec]] = {
        label(short_title(each.title)): (each.equity, {"color": COLORS.get(name, "--muted"), **thin, **_dash(name)})
        for name, each in sorted(evaluation.baselines.items(), key=lambda pair: pair[0] == "buy_and_hold")
    }
    columns["Policy"] = (result.equity, mine)
    layout = {"yaxis": axis("Equity", ",~s"), "legend": POLICY_FIRST}
    charts.curves("equity", result.time, columns, layout)
    mine = {"color": "--policy", "fill": "tozeroy", "fillcolor": "--policy-soft", "hovertemplate": PERCENT}
    columns = {"Policy": (drawdowns(result.equity), mine)}
    if hold is not None:
        style = {"color": "--hold", "width": 1.2, "hovertemplate": PERCENT}
        columns[label(hold.title)] = (drawdowns(hold.equity), style)
    columns = dict(reversed(columns.items()))
    layout = {"yaxis": axis("Below the peak", ".0%"), "legend": POLICY_FIRST}
    charts.curves("drawdown", result.time, columns, layout, digits=4)


def short_title(title: str) -> str:
    """Return a baseline's title as a legend has room for it: what stands before a comma."""
    return title.split(",")[0]


def _dash(name: str) -> Spec:
    return {"dash": "dot"} if name in ("cash", "random") else {}


def exposure(charts: Charts, evaluation: Evaluation) -> None:
    """Add gross and net exposure, and of a panel the weight of every symbol."""
    table, symbols = evaluation.tables.equity, evaluation.result.table.symbols
    step: Spec = {"shape": "hv", "hovertemplate": PERCENT, "width": 1.4}
    soft: Spec = {"color": "--policy", "fill": "tozeroy", "fillcolor": "--policy-soft"}
    columns: dict[str, tuple[Any, Spec]] = {"Gross": (table["gross"], step | {"color": "--hold"})}
    columns["Net"] = (table["net"], step | soft)
    layout = {"yaxis": axis("Share of equity", ".0%"), "legend": POLICY_FIRST}
    charts.curves("exposure", table["time"], columns, layout, digits=4)
    if len(symbols) > 1 and len(evaluation.tables.positions):
        _weights(charts, evaluation, symbols)


def _weights(charts: Charts, evaluation: Evaluation, symbols: tuple[str, ...]) -> None:
    """Add the weights of a panel at the ends of equal stretches of time."""
    time, table = evaluation.result.time, evaluation.tables.positions
    shown = [symbol for symbol in symbols if symbol in set(busiest(table, "weight"))][:60]
    count = min(len(time), 400, max(20, WEIGHT_CELLS // len(shown)))
    rows = np.unique(np.linspace(0, len(time) - 1, count).round().astype(int))
    wide = table.pivot_table(index="time", columns="symbol", values="weight", aggfunc="sum")
    weight = wide.reindex(index=time[rows], columns=shown).fillna(0.0).to_numpy().T
    most = float(np.max(np.abs(weight))) or 1.0
    trace = {
        "type": "heatmap",
        "name": "Weight",
        "x": charts.time("weights", time[rows]),
        "y": [label(symbol) for symbol in shown],
        "z": [short(row, 3) for row in weight],
        **{"zmin": -most, "zmax": most, "colorscale": [[0, "--loss"], [0.5, "--surface"], [1, "--gain"]]},
        **{"hovertemplate": "%{y} %{x}<br>%{z:.1%}<extra></extra>", "xgap": 0, "ygap": 1},
        "colorbar": {"tickformat": ".0%", "thickness": 10, "outlinewidth": 0, "len": 0.9},
    }
    layout = {"yaxis": axis(autorange="reversed", type="category"), "hovermode": "closest"}
    height = int(np.clip(90 + 22 * len(shown), 180, 720))
    charts.add("weights", [trace], layout | {"height": height}, over_time=True)


def busiest(table: "pd.DataFrame", column: str) -> list[str]:
    """Return the symbols of a table by the sum of the sizes in a column, the largest first."""
    sizes = table[column].abs().groupby(table["symbol"], sort=True).sum()
    return [str(symbol) for symbol in sizes.sort_values(ascending=False, kind="stable").index]


def prices(charts: Charts, evaluation: Evaluation, trades: "pd.DataFrame") -> None:
    """Add the price with entries and exits, one choice for every symbol (the most traded, where there are many)."""
    symbols = evaluation.result.table.symbols
    order = [symbol for symbol in busiest(trades, "quantity") if symbol in symbols] if len(trades) else []
    shown = sorted(dict.fromkeys([*order, *symbols]), key=lambda each: (each not in order, symbols.index(each)))
    choices = [_price(charts, evaluation, trades, symbol, n) for n, symbol in enumerate(shown[:SYMBOLS])]
    layout = {"yaxis": axis("Price"), "hovermode": "closest"}
    charts.add("price", [], layout, over_time=True, choices=choices)


def _price(charts: Charts, evaluation: Evaluation, trades: "pd.DataFrame", symbol: str, n: int) -> Spec:
    result = evaluation.result
    column = result.table.symbols.index(symbol)
    mark = result.table.mark[result.span.first : result.span.first + len(result.time), column]
    count = min(len(result.table.symbols), SYMBOLS)
    rows = rows_to_keep([mark], min(2000, SYMBOL_POINTS // count))
    x = charts.time(f"price{n}", result.time[rows])
    curve = line("Price", x, mark[rows], color="--muted", width=1.2, hovertemplate="%{y:,.6~g}<extra>price</extra>")
    mine = trades[trades["symbol"] == symbol]
    return {"name": symbol, "traces": [curve, *_held(mine), *_entries(mine), *_exits(mine)]}


def _held(trades: "pd.DataFrame") -> list[Spec]:
    """Return a dotted line from every entry to its exit, unless they would be a thicket."""
    traces: list[Spec] = []
    closed = trades[trades["exit_time"].notna()]
    if len(closed) > HELD:
        return traces
    for color, chosen in (("--gain", closed["profit"] >= 0), ("--loss", closed["profit"] < 0)):
        rows = closed[chosen]
        if not len(rows):
            continue
        ends = np.stack([rows["entry_time"].to_numpy(), rows["exit_time"].to_numpy()], axis=1).ravel()
        price = np.stack([rows["entry_price"], rows["exit_price"], np.full(len(rows), np.nan)], axis=1)
        style: Spec = {
            "color": color,
            "width": 0.8,
            "dash": "dot",
            "opacity": 0.5,
            "hoverinfo": "skip",
            "showlegend": False,
        }
        traces.append(line("held", "", price, **style) | {"x": pack_time(ends) | {"gap_after": 2}})
    return traces


def _entries(trades: "pd.DataFrame") -> list[Spec]:
    shapes = (("long", "triangle-up"), ("short", "triangle-down"))
    groups = [(side, trades[trades["side"] == side], shape) for side, shape in shapes]
    return [
        _markers(f"Entry, {side}", rows, "entry", {"symbol": shape, "size": 8, "color": "--ink"})
        for side, rows, shape in groups
        if len(rows)
    ]


def _exits(trades: "pd.DataFrame") -> list[Spec]:
    closed = trades[trades["exit_time"].notna()]
    groups = (("gain", closed["profit"] >= 0), ("loss", closed["profit"] < 0))
    style: Spec = {"symbol": "circle", "size": 7, "line": {"width": 1, "color": "--surface"}}
    return [
        _markers(f"Exit, {name}", closed[chosen], "exit", style | {"color": f"--{name}"})
        for name, chosen in groups
        if chosen.any()
    ]


def _markers(title: str, rows: "pd.DataFrame", end: str, marker: Spec) -> Spec:
    words = "%{x}<br>%{y:,.6~g}<br>profit %{customdata:,.2f}<extra>" + title + "</extra>"
    x, y = pack_time(rows[f"{end}_time"].to_numpy()), short(rows[f"{end}_price"])
    points: Spec = {"type": "scatter", "mode": "markers", "name": title, "x": x, "y": y, "marker": marker}
    return points | {"customdata": short(rows["profit"]), "hovertemplate": words}


def sharpe_window(evaluation: Evaluation) -> int:
    """Return the bars of the rolling Sharpe ratio: half a year, at most half the range; 0 where there are too few."""
    time = evaluation.result.time
    window = min(round(periods_per_year(time) / 2), (len(time) - 1) // 2)
    return window if window >= LEAST_WINDOW else 0


def rolling(charts: Charts, evaluation: Evaluation) -> None:
    """Add the rolling Sharpe ratio, where there are bars enough."""
    window, result = sharpe_window(evaluation), evaluation.result
    if not window:
        return
    columns: dict[str, tuple[Any, Spec]] = {}
    hold = evaluation.baselines.get("buy_and_hold")
    if hold is not None:
        columns[label(hold.title)] = (
            rolling_sharpe(result.time, hold.equity, window),
            {"color": "--hold", "width": 1.2},
        )
    columns["Policy"] = (rolling_sharpe(result.time, result.equity, window), {"color": "--policy", "width": 2})
    for _, style in columns.values():
        style["hovertemplate"] = "%{y:.2f}"
    layout = {"yaxis": axis("Sharpe ratio", zeroline=True), "legend": POLICY_FIRST}
    charts.curves("rolling", result.time, columns, layout, digits=4)


COSTS = ("commission", "stamp_duty", "spread", "slippage", "borrow", "interest", "exit_loss", "shortfall")


def costs(charts: Charts, evaluation: Evaluation) -> None:
    """Add what was paid so far, by kind; kinds that nobody paid are left out."""
    table = evaluation.tables.equity
    columns: dict[str, tuple[Any, Spec]] = {}
    for name, color in zip(COSTS, SEQUENCE, strict=True):
        paid = table[name].fillna(0.0).cumsum().to_numpy() if name in table else np.zeros(len(table))
        if np.any(paid != 0):
            columns[name.replace("_", " ").capitalize()] = (paid, {"color": color, "hovertemplate": MONEY})
    if all(np.min(values) >= 0 for values, _ in columns.values()):
        for _, style in columns.values():
            style |= {"stackgroup": "costs", "width": 0.8}
    charts.curves("costs", table["time"], columns, {"yaxis": axis("Paid so far", ",~s"), "showlegend": True})


def rewards(charts: Charts, evaluation: Evaluation) -> None:
    """Add every reward, summed along the backtest: one choice for each."""
    table, time = evaluation.rewards, evaluation.result.time[1:]
    if not len(table.columns) or not len(table):
        return
    sums = table.fillna(0.0).cumsum()
    rows = rows_to_keep([sums[name] for name in sums], 800)
    x = charts.time("rewards", time[rows])
    style = {"color": "--policy", "hovertemplate": "%{y:.4~g}"}
    choices = [
        {"name": str(name), "traces": [line(label(name), x, sums[name].to_numpy()[rows], 5, **style)]} for name in sums
    ]
    charts.add("rewards", [], {"yaxis": axis("Sum of rewards")}, over_time=True, choices=choices)
