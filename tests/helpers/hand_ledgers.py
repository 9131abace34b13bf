"""Hand ledgers (`tests/ledgers/*.md`): the format, as `tests/ledgers/00-how-to-read.md` describes it."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import yaml

from eval_bridge.backtester import Backtest, Step, replay_actor, run_backtest
from jaxtrade.assemble import rule_params
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.market.bars import Bars
from jaxtrade.market.scales import Scaler
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, drop_impossible, make_outcome, marks
from jaxtrade.rules.types import Known

FOLDER = Path(__file__).parents[1] / "ledgers"
CENT, PLACE = 0.005, 0.000_05  # half a cent for money; half of the fourth decimal for prices and units
PER_SYMBOL = ("traded", "price", "held")
PER_BAR = ("fees", "realised", "dividends", "borrow", "interest", "shortfall", "cash", "equity")
SECTIONS = ["Bars and actions", "Account", "By hand"]


@dataclass(frozen=True)
class Ledger:
    """One scenario: what goes in, and what a calculator says comes out."""

    name: str
    rules: dict
    symbols: list[str]
    bars: list[dict[str, str]]
    account: list[dict[str, str]]
    by_hand: str

    def column(self, kind: str, symbol: str) -> str:
        return kind if len(self.symbols) == 1 else f"{symbol} {kind}"

    def columns(self, *kinds: str) -> list[str]:
        return [self.column(kind, symbol) for kind in kinds for symbol in self.symbols]

    def cells(self, kind: str) -> list[list[str]]:
        """One column of the bars, [bar][symbol]."""
        return [[row.get(self.column(kind, s), "") for s in self.symbols] for row in self.bars]


def paths() -> list[Path]:
    return sorted(p for p in FOLDER.glob("[0-9][0-9]-*.md") if not p.name.startswith("00-"))


def number(cell: str) -> float:
    """`-1,234.50`; an empty cell is nothing."""
    return float(cell.replace(",", "")) if cell else 0.0


def table(text: str) -> list[dict[str, str]]:
    rows = [[c.strip() for c in line.strip().strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    head, _, *body = rows
    assert len(set(head)) == len(head), f"a column twice: {head}"
    assert all(len(row) == len(head) for row in body), "a row is too long or too short"
    found = [dict(zip(head, row, strict=True)) for row in body]
    assert [row["bar"] for row in found] == [str(n) for n in range(len(found))], "bars are numbered from 0"
    return found


def parse(name: str, text: str) -> Ledger:
    head, *rest = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    assert rest[::2] == SECTIONS, f"{name}: sections {rest[::2]}, not {SECTIONS}"
    spans = re.findall(r"`([^`]*)`", head.partition("\nRules:")[2])
    rules = {key: value for span in spans for key, value in yaml.safe_load(span).items()}
    bars, account = table(rest[1]), table(rest[3])
    symbols = [key[: -len(" open")] for key in bars[0] if key.endswith(" open")] or ["A"]
    ledger = Ledger(name, rules, symbols, bars, account, rest[5])
    known = {"bar", "date", "flags", *PER_BAR, *ledger.columns(*PER_SYMBOL, "open", "close", "dividend", "action")}
    unknown = sorted({*bars[0], *account[0]} - known)
    assert not unknown, f"{name}: unknown columns {unknown}"
    return ledger


def load(path: Path) -> Ledger:
    return parse(path.stem, path.read_text(encoding="utf-8"))


# What the program makes of it


def config_of(ledger: Ledger) -> EnvConfig:
    env: dict = {"costs": {}, "window": 1}
    for key, value in ledger.rules.items():
        if key.startswith("costs."):
            env["costs"][key.removeprefix("costs.")] = value
        elif not key.startswith("market."):
            env[key] = value
    return EnvConfig.model_validate(env)


def table_of(ledger: Ledger) -> MarketTable:
    """The bars through the real clock; only features and splits, which nobody looks at here, are empty."""
    bars = bars_of(ledger)
    mark, fill = marks(bars), ledger.rules.get("market.fill", "next_open")
    outcome = make_outcome(bars, mark, fill)
    paid = np.array([[number(cell) for cell in row] for row in ledger.cells("dividend")])
    if paid.any():
        income = np.where(paid[1:] > 0, paid[1:] / mark[:-1], 0.0)
        outcome = outcome._replace(income=np.append(income, np.full((1, len(bars.symbols)), np.nan), axis=0))
    nothing = np.zeros(0)
    return MarketTable(
        bars=bars,
        window=1,
        time=bars.time,
        symbols=bars.symbols,
        feature_names=(),
        features=np.zeros((*mark.shape, 0), np.float32),
        known=Known(tradable=np.isfinite(bars.close), close=mark),
        outcome=outcome,
        mark=mark,
        ranges={"all": Range(0, len(bars.time) - 1)},
        scaler=Scaler("zscore", nothing, nothing, np.zeros((0, 0)), 1.0),
        config=MarketConfig(fill=fill),
        data_hash="",
        stale_opens=0.0,
    )


def bars_of(ledger: Ledger) -> Bars:
    price = [np.array([[number(cell) for cell in row] for row in ledger.cells(kind)]) for kind in ("open", "close")]
    low, high, unknown = np.minimum(*price), np.maximum(*price), np.full(price[0].shape, np.nan)
    time = np.array([row["date"] for row in ledger.bars], dtype="datetime64[s]")
    return drop_impossible(Bars(time, tuple(ledger.symbols), price[0], high, low, price[1], unknown))


def actions_of(ledger: Ledger, config: EnvConfig) -> np.ndarray:
    """The actions [K, N], or [K] where an action is a number of a list."""
    actions = np.array([[float(cell) for cell in row] for row in ledger.cells("action")[:-1]])
    return actions if config.choices is None else actions[:, 0].astype(np.int32)


def run_ledger(ledger: Ledger) -> Backtest:
    """Run it through the real backtester, whose double-entry books are reconciled at every bar."""
    config, table = config_of(ledger), table_of(ledger)
    return run_backtest(table, table.ranges["all"], config, replay_actor(actions_of(ledger, config), 0))


def account_of(ledger: Ledger, result: Backtest) -> list[dict]:
    """The account table as the backtester has it: one row a bar, by column; flags as a sorted list."""
    money, count = result.capital, len(ledger.symbols)
    lot = np.broadcast_to(rule_params(result.config, result.table.symbols).lot_size, count)
    rows, orders = [_row(ledger, np.zeros(count), cash=money, equity=money) | {"flags": []}], list(result.ledger.orders)
    for step in result.steps:
        record, account, mark = step.record, step.account, result.table.mark[step.bar + 1]
        units = account.position * money / np.where(np.isfinite(mark), mark, 1.0)  # no mark: not listed yet
        held = np.where(lot > 0, account.lots * lot, units)
        sums = {"realised": record.realized, "dividends": record.income, "borrow": record.borrow}
        sums |= {"interest": record.interest, "shortfall": record.shortfall, "fees": record.fees}
        sums |= {"cash": account.cash, "equity": record.equity}
        row = _row(ledger, held, **{name: float(value) * money for name, value in sums.items()})
        rows.append(row | {"flags": _flags(ledger, result.table, step)})
        booked = sum(np.count_nonzero(value) for value in (record.exit_value, record.fill_value, record.mark_value))
        for order in orders[:booked]:
            if order.kind != "delisting":
                rows[-1][ledger.column("traded", order.symbol)] += order.quantity
                rows[-1][ledger.column("price", order.symbol)] = order.price
        del orders[:booked]
    assert not orders, f"{ledger.name}: the books hold orders that no bar accounts for: {orders}"
    return rows


def _row(ledger: Ledger, held: np.ndarray, **sums: float) -> dict:
    row = dict.fromkeys(PER_BAR, 0.0) | sums
    for symbol, units in zip(ledger.symbols, held, strict=True):
        row |= {ledger.column("traded", symbol): 0.0, ledger.column("price", symbol): 0.0}
        row[ledger.column("held", symbol)] = float(units)
    return row


def _flags(ledger: Ledger, table: MarketTable, step: Step) -> list[str]:
    counts = {"blocked": int(step.record.blocked.sum()), "rejected": int(step.record.rejected.sum())}
    flags = [name if count == 1 else f"{name} {count}" for name, count in counts.items() if count]
    gone = [] if table.outcome.exit is None else np.flatnonzero(table.outcome.exit[step.bar])
    flags += [" ".join(["delisted", ledger.symbols[n]][: len(ledger.symbols)]) for n in gone]
    return sorted(flags + ["ruined"] * bool(step.record.ruined))


def differences(ledger: Ledger, rows: list[dict]) -> list[str]:
    """Where the account that was found is not the account of the ledger: file, bar, column, expected, found."""
    found = []
    if len(rows) != len(ledger.account):
        found.append(f"{ledger.name}: expected {len(ledger.account)} bars of account, found {len(rows)}")
    columns = dict.fromkeys(PER_BAR, CENT) | dict.fromkeys(ledger.columns(*PER_SYMBOL), PLACE)
    for bar, (expected, row) in enumerate(zip(ledger.account, rows, strict=False)):
        where = f"{ledger.name}, bar {bar}"
        for column, size in columns.items():
            cell = expected.get(column, "")
            if not abs(number(cell) - row[column]) <= size:
                found.append(f"{where}, {column}: expected {cell or 'nothing'}, found {row[column]:,.6f}")
        flags = sorted(flag for flag in expected["flags"].split(", ") if flag)
        if flags != row["flags"]:
            found.append(f"{where}, flags: expected {flags}, found {row['flags']}")
    return found


def wrong_sums(ledger: Ledger) -> list[str]:
    """The arithmetic in `By hand` that does not hold, to half of the last decimal that is written."""
    wrong = []
    for span in re.findall(r"`([^`]*)`", ledger.by_hand):
        *sides, result = (side.strip() for side in re.sub(r",|\s+(?=\s)", "", span).split("="))
        for side in sides:
            formula = side.replace("% of", "/ 100 *")
            if re.fullmatch(r"[\d.\s()+*/-]+", formula) is None:
                continue  # `k = ...` says where a number comes from; it is no sum
            exact = eval(re.sub(r"[\d.]+", lambda match: f"Fraction('{match[0]}')", formula), {"Fraction": Fraction})
            half = Fraction(1, 2 * 10 ** len(result.partition(".")[2]))
            if not abs(exact - Fraction(result)) <= half:
                wrong.append(f"{ledger.name}: `{span}`, but it is {float(exact):,.6f}")
    return wrong
