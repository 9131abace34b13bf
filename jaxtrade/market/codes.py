"""The codes of what can be wrong with data: one table, which docs/data-errors.md explains."""

from typing import NamedTuple


class Rule(NamedTuple):
    """What a code stands for."""

    name: str
    rule: str  # what holds of sound data
    remedy: str
    repairs: tuple[str, ...] = ()  # repairs that mend it
    acceptable: bool = False  # may be lived with, by market.load.accept


MEND = "Mend the file"
RULES: dict[str, Rule] = {
    # The source as a whole
    "E-DATA-001": Rule("missing", "the source exists", "Check the path, or use --data sample:nasdaq"),
    "E-DATA-002": Rule("empty", "the source holds bars", "Give at least a few hundred bars"),
    "E-DATA-003": Rule("damaged", "archives and databases are whole", "Copy or export the file again"),
    "E-DATA-004": Rule("encoding", "text is UTF-8, or UTF-16 with its mark", "Save it as UTF-8"),
    "E-DATA-005": Rule("no table", "every row has the same number of cells", "Save it again as CSV or Parquet"),
    "E-DATA-006": Rule("no time", "a column holds the time", "Name one of them time or date"),
    "E-DATA-007": Rule("no price", "open and close are there", "Add or rename the column"),
    "E-DATA-008": Rule("column twice", "each column is there once", "Keep one of them"),
    "E-DATA-009": Rule("unknown symbol", "the symbols asked for are in the data", "Name one of those it holds"),
    "E-DATA-010": Rule("symbol twice", "a symbol is in one file only", "Keep one file per symbol"),
    "E-DATA-011": Rule(
        "database", "the database answers with a table of bars", "Check the URL, the table and the query"
    ),
    "E-DATA-012": Rule("no package", "what reads this source is installed", "Install it"),
    "E-DATA-013": Rule("download", "the service answers with bars", "Check the symbol, the dates and the network"),
    "E-DATA-014": Rule("no symbol", "every row names its symbol", "Name the symbol of every row", ("drop-row",)),
    # Cells
    "E-DATA-020": Rule("no number", "prices and volumes are numbers", MEND, ("drop-row", "forward-fill")),
    "E-DATA-021": Rule("not finite", "prices and volumes are finite", MEND, ("drop-row", "forward-fill")),
    "E-DATA-022": Rule("not positive", "price > 0", MEND, ("drop-row", "forward-fill")),
    "E-DATA-023": Rule("negative volume", "volume >= 0", MEND, ("drop-row", "forward-fill")),
    "E-DATA-024": Rule("high and low", "low <= open, close <= high", MEND, ("clip", "drop-row")),
    "E-DATA-025": Rule("overflow", "no value is the end of an integer type", MEND, ("drop-row", "forward-fill")),
    "E-DATA-026": Rule("no close at all", "a symbol has closing prices", "Give closing prices"),
    # Times
    "E-DATA-030": Rule("no time", "every bar has its time", "Give every bar its time", ("drop-row",)),
    "E-DATA-031": Rule("unknown time", "all times have one known format", "Use 2024-12-31 16:00:00", ("drop-row",)),
    "E-DATA-032": Rule("two readings", "times can be read in one way only", "Name it: --market.load.date-format"),
    "E-DATA-033": Rule("mixed zones", "all times of a file name a zone, or none does", MEND),
    "E-DATA-034": Rule("clock change", "local times exist, and once", "Use UTC, or give offsets", ("drop-row",)),
    "E-DATA-035": Rule("unsorted", "times rise", "Sort by time", ("sort",)),
    "E-DATA-036": Rule("duplicate", "a time appears once", "Remove one of the rows", ("dedupe-identical",)),
    "E-DATA-037": Rule("conflict", "a time appears once", "Find out which row is right, and remove the other"),
    "E-DATA-038": Rule("future", "no bar lies in the future", MEND, ("drop-row",)),
    # Series
    "E-DATA-040": Rule("interval changes", "one file has bars of one interval", "Split the file", (), True),
    "E-DATA-041": Rule("bar of a day", "no intraday bar holds its whole day", "Remove those rows", ("drop-row",), True),
    "E-DATA-042": Rule("off the grid", "bars begin at whole intervals", "Remove those rows", ("drop-row",), True),
    "E-DATA-043": Rule("points", "prices are prices, not points", "Divide them", ("rescale",), True),
    "E-DATA-044": Rule(
        "unadjusted split",
        "no price jumps by the ratio of a split",
        "Adjust, or declare it in market.load.events",
        (),
        True,
    ),
    "E-DATA-045": Rule("sessions", "bars are those of the calendar", "Complete the file", (), True),
    # Notices: reported by inspect, never refused
    "N-DATA-060": Rule("stale opens", "at most 5 % of opens equal the previous close", "Use other data"),
    "N-DATA-061": Rule("stale run", "prices move", "Look at those bars"),
    "N-DATA-062": Rule("gaps", "no bar is missing", "Nothing: the account keeps its mark"),
    "N-DATA-063": Rule("no zone", "times name their zone", "Name it by --market.load.timezone"),
    "N-DATA-064": Rule(
        "zone change", "the hours of activity stay the same", "Ask the vendor which zone the times are in"
    ),
    "N-DATA-065": Rule("calendars differ", "symbols trade at the same times", "Nothing: what is missing is masked"),
    "N-DATA-066": Rule("open end", "a text file ends with a line end", "See whether its last row is whole"),
    "N-DATA-067": Rule("columns ignored", "every column is used", "Nothing"),
    "N-DATA-068": Rule("no volume", "bars have volume", "Look at those bars"),
    "N-DATA-069": Rule("spike", "a price does not jump and return in one bar", "Look at those bars"),
    "N-DATA-070": Rule("empty cells", "no cell is empty", "Nothing: what is missing is masked"),
    "N-DATA-071": Rule(
        "whole numbers",
        "prices have decimals",
        "If they are points, use --market.load.repair rescale --market.load.rescale FACTOR",
    ),
    "N-DATA-072": Rule("adjusted close", "prices are adjusted for splits and dividends", "See --market.load.adjusted"),
    "N-DATA-073": Rule("low precision", "prices are stored as 64-bit floats", "Nothing"),
}
