"""What a policy would order at the close of one bar, for every symbol, and what it would cost."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import market_row
from eval_bridge.inference.asof import time_text
from eval_bridge.inference.holdings import Holdings, Quotes, open_holdings
from eval_bridge.policy import NumpyPolicy, Odds
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account, Known, Outcome, Record, RuleBook, RuleParams, advance, observe
from jaxtrade.rules.costs import trade_costs
from jaxtrade.rules.types import DUST, equity_of

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.float64]
SIDES = {-1: "sell", 0: "hold", 1: "buy"}
TOP = 10


@dataclass(frozen=True)
class Recommendations:
    """What a policy recommends at one bar."""

    frame: "pd.DataFrame"  # one row a symbol, columns as in docs/inference.md
    time: np.datetime64  # of the bar: when it starts, UTC
    fill: str  # where the orders would fill
    cash: float  # money, before any order
    equity: float
    about: dict[str, str] = field(default_factory=dict)  # policy, certificate, data
    warnings: tuple[str, ...] = ()

    @property
    def stamp(self) -> str:
        """What the recommendation was made from, and when its orders fill."""
        return f"uses nothing after the close of the bar of {time_text(self.time)}; fills at {self.fill}"

    def top_buys(self, n: int = TOP) -> "pd.DataFrame":
        """Return the largest buys by weight, the likelier first among equals."""
        return self._top("buy", n)

    def top_sells(self, n: int = TOP) -> "pd.DataFrame":
        """Return the largest sells by weight, the likelier first among equals."""
        return self._top("sell", n)

    def _top(self, side: str, n: int) -> "pd.DataFrame":
        rows = self.frame[self.frame["action"] == side]
        order = np.lexsort((-rows["probability"].fillna(0.0), -rows["order_weight"].abs()))
        return rows.iloc[order[:n]]

    def only(self, symbols: tuple[str, ...]) -> "Recommendations":
        """Return the rows of some symbols, in their order.

        Raises:
            InputError: One is unknown.
        """
        known = list(self.frame["symbol"])
        for symbol in symbols:
            if symbol not in known:
                raise InputError("symbols", f"'{symbol}' is not in the data", did_you_mean(symbol, known))
        frame = self.frame.set_index("symbol", drop=False).loc[list(symbols)].reset_index(drop=True)
        return replace(self, frame=frame)

    def to_json(self, path: str | Path | None = None) -> str:
        """Return JSON, null where a number does not apply; write it if a path is given."""
        rows = [{name: _plain(value) for name, value in row.items()} for row in self.frame.to_dict("records")]
        record = {
            "stamp": self.stamp,
            "bar": str(self.time.astype("datetime64[s]")),
            "fill": self.fill,
            "warnings": list(self.warnings),
            "about": self.about,
            "account": {"cash": self.cash, "equity": self.equity},
            "symbols": rows,
        }
        return _written(json.dumps(record, indent=2, allow_nan=False) + "\n", path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """Return CSV, the stamp and the warnings as comments before it; write it if a path is given."""
        lines = [self.stamp, *(f"warning: {warning}" for warning in self.warnings)]
        comments = "".join(f"# {line}\n" for line in lines)
        return _written(f"{comments}{self.frame.to_csv(index=False, lineterminator=chr(10))}", path)

    def __str__(self) -> str:
        """Return the table, the top buys and the top sells."""
        from eval_bridge.inference.text import recommendation_text

        return recommendation_text(self)


def recommend(
    policy: NumpyPolicy, env: EnvConfig, table: MarketTable, account: Holdings | Account | None = None
) -> Recommendations:
    """Return what a policy would order at the close of the last bar of a market.

    The account is observed, the policy asked, and its action decoded, limited and filled by the rule book, as if the
    next open were the close just seen: that is what quantities and costs are estimated at.

    Args:
        policy: The policy.
        env: The rules it was trained for.
        table: The market up to the bar of the decision.
        account: What is held; by default the starting capital in cash.

    Raises:
        InputError: The rules do not allow such an account.
    """
    book, params, bar = rule_book(env), rule_params(env, table.symbols), len(table.time) - 1
    known, quotes = market_row(table, bar)[0], quotes_of(table, bar)
    if not isinstance(account, Account):
        account = open_holdings(account or Holdings(), book, params, quotes)
    desk = Desk(book, params, account, known, quotes)
    view = observe(np, book, account, known, params)
    odds = policy.odds(policy.market(table.features, np.array([bar]))[0], view)
    return Recommendations(
        frame=make_frame(desk, odds),
        time=table.time[bar],
        fill="the next open after it" if table.config.fill == "next_open" else "that very close, which no one can",
        cash=float(account.cash * params.capital),
        equity=float(equity_of(np, account) * params.capital),
    )


def quotes_of(table: MarketTable, bar: int) -> Quotes:
    """Return prices and units of the day: the table counts both in shares of its first bar."""
    split = table.bars.split
    unit = np.ones(len(table.symbols)) if split is None else np.prod(split[: bar + 1], axis=0)
    return Quotes(table.symbols, table.mark[bar] / unit, unit)


class Desk(NamedTuple):
    """An account at the close of a bar, and the rules that it trades by."""

    book: RuleBook
    params: RuleParams
    account: Account
    known: Known
    quotes: Quotes

    def fill(self, action: Any) -> tuple[Account, Record]:
        """Let the rules carry out an action at the very close it was decided on: no gap, no time, no move."""
        mark, tradable, nothing = (
            np.asarray(self.known.close),
            self.known.tradable,
            np.zeros_like(self.account.position),
        )
        price = np.where(tradable, mark, np.nan)
        outcome = Outcome(nothing, nothing, can_fill=tradable, years=np.zeros(()), fill_price=price, mark=mark)
        return advance(np, self.book, self.params, self.account, np.asarray(action), self.known, outcome)

    def quantity(self, account: Account) -> FloatArray:
        """Return what an account holds in units of today, [N]; whole lots exactly."""
        params, (_, price, unit) = self.params, self.quotes
        units = np.where(np.isfinite(price), account.position * params.capital / price, 0.0)
        return np.asarray(np.where(params.lot_size > 0, account.lots * params.lot_size * unit, units))

    def notes(self, action: Any, record: Record) -> list[str]:
        """Return why an order is not what the action asked for, by symbol; empty where it is."""
        orders = self.book.decode(np, np.asarray(action), self.account, self.known, self.params)
        dust = DUST * equity_of(np, self.account)
        less = np.abs(record.fill_value) < np.abs(orders.value) - dust
        texts = np.where(less, "a limit makes it less than the action asks for", "")
        return [str(text) for text in np.where(orders.rejected, "not tradable: no price at this bar", texts)]


def make_frame(desk: Desk, odds: Odds) -> "pd.DataFrame":
    """Return one row a symbol: what the action of the odds comes to, and whether each seed's alone would do the same.

    Raises:
        InputError: The rules would liquidate the account.
    """
    import pandas as pd

    symbols, capital = len(desk.quotes.symbols), float(desk.params.capital)
    after, record = desk.fill(odds.action)
    if record.ruined:
        raise InputError("account", "would be liquidated at once under the rules", "Lower the positions, or add cash")
    side, held, target = sides(record), desk.quantity(desk.account), desk.quantity(after)
    unknown, odd = np.full(symbols, np.nan), odds.probabilities
    agreed = [sides(desk.fill(each.action)[1]) == side for each in odds.members]
    chosen = unknown if odd is None else np.full(symbols, odd[int(odds.action)], np.float64)
    return pd.DataFrame(
        {
            "symbol": desk.quotes.symbols,
            "action": [SIDES[each] for each in side.tolist()],
            "raw_action": np.broadcast_to(odds.action, symbols).astype(np.float64),
            "held_quantity": held,
            "order_quantity": target - held,
            "target_quantity": target,
            "order_weight": record.fill_value / record.equity_before,
            "target_weight": after.position / record.equity,
            "reference_price": desk.quotes.price,
            "fees": record.fill_fees * capital,
            "slippage": trade_costs(np, record.fill_value, desk.params).impact * capital,
            "probability": chosen,
            "deviation": unknown if odds.deviation is None else odds.deviation.astype(np.float64),
            "agreement": np.mean(agreed, axis=0) if agreed else unknown,
            "note": desk.notes(odds.action, record),
        }
    )


def sides(record: Record) -> npt.NDArray[np.int64]:
    """Return 1, 0 or -1 for each symbol that would be bought, left alone or sold, [N]."""
    return np.asarray(np.sign(record.fill_value), np.int64)


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it."""
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        try:
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(path, f"cannot be written ({error.strerror})", "Choose another file") from None
    return text
