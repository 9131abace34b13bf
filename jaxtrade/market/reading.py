"""What the sources hand to the gate: the bars of one symbol as they were read, and what is wrong with them."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from jaxtrade.errors import InputError
from jaxtrade.market.codes import RULES

RowArray = npt.NDArray[np.intp]
SHOWN = 3
NOTHING_WRITTEN = "Nothing was written"


class Finding(NamedTuple):
    """One kind of defect in one column of one symbol."""

    code: str  # of jaxtrade.market.codes
    where: str  # the file or table
    what: str  # what was found, of the first row where there are several: "value -50.0"
    symbol: str = ""
    column: str = ""
    at: RowArray = np.zeros(0, np.intp)  # [K] positions in the frame; empty: of the source as a whole
    rows: RowArray = np.zeros(0, np.intp)  # [K] where these stand in the source, 1-based
    time: str = ""  # of the first row

    @property
    def severe(self) -> bool:
        """True for what is refused unless it is repaired or accepted."""
        return self.code.startswith("E-")

    def text(self) -> str:
        """Return code, place and finding, without remedy."""
        place = [f"row {row}" for row in self.rows[:1]] + [f"({self.time})"] * bool(self.time)
        place += [f"column '{self.column}'"] * bool(self.column) + [f"symbol {self.symbol}"] * bool(self.symbol)
        found = f"{' '.join([self.where, *place])}: {self.what} violates '{RULES[self.code].rule}'"
        if self.rows.size > 1:
            some = ", ".join(str(row) for row in self.rows[:SHOWN]) + (", ..." if self.rows.size > SHOWN else "")
            found += f" (1 of {self.rows.size}: rows {some})"
        return f"{self.code} {found}"

    def error(self) -> InputError:
        """Return the finding as the error that refuses the data."""
        rule = RULES[self.code]
        ways = [f"--market.load.repair {repair}" for repair in rule.repairs]
        ways += [f"--market.load.accept {self.code}"] * rule.acceptable
        remedy = rule.remedy + (f", or use {' or '.join(ways)}" if ways else "")
        where, _, what = self.text().partition(": ")
        return InputError(where, what, f"{remedy}. {NOTHING_WRITTEN}")


class Reading(NamedTuple):
    """The bars of one symbol as they stand in a source, rows in their order; empty cells are NaN."""

    where: str  # the file or table, for messages
    symbol: str
    frame: pd.DataFrame  # index: UTC times without zone, to the second, NaT where unreadable; float64 columns open,
    #                      high, low, close, volume, and adj_close where the source has it; unreadable cells are NaN
    rows: RowArray  # [T] where each bar stands in the source, 1-based (in text: the line)
    about: dict[str, str]  # how the source was understood: format, delimiter, decimal, header, dates, zone, columns
    findings: tuple[Finding, ...] = ()  # what went wrong in reading
    has_range: bool = True  # False if the source lacks high and low: then they are the range of open and close
