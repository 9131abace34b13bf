"""What a source holds, as people read it: how it was understood, what is wrong with it, and what would mend it."""

import shlex
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from jaxtrade.config.market import LoadConfig, Repair
from jaxtrade.market.bars import Bars, lay_out
from jaxtrade.market.checks.series import span_text
from jaxtrade.market.codes import RULES
from jaxtrade.market.gate import Report, judge
from jaxtrade.market.reading import Finding, Reading

SYMBOLS_SHOWN, FINDINGS_SHOWN, ALONE = 10, 30, 3
PLOT_ROWS, PLOT_COLUMNS = 12, 72
WIDTH = 150


class Inspection(NamedTuple):
    """What there is to say about a source."""

    lines: list[str]
    passes: bool  # whether the gate lets it through


def inspect(source: str, config: LoadConfig, symbols: tuple[str, ...] = (), plot: bool = False) -> Inspection:
    """Return what there is to say about a source.

    Raises:
        InputError: The source cannot be read at all.
    """
    from jaxtrade.market import sources

    shown = sources.hidden(source)
    read = sources.read(source, config, symbols)
    readings, report = judge(shown, read, config)
    passes = not report.refused
    bars = lay_out(readings, config) if passes else None
    lines = [*_heading(report), *_about(report, config), *_symbols(report), *_findings(report)]
    if plot:
        lines += plot_closes(readings[0])
    return Inspection(lines + _verdict(shown, read, config, report, bars), passes)


def _heading(report: Report) -> Iterator[str]:
    bars = sum(summary.rows for summary in report.symbols.values())
    count = len(report.symbols)
    yield f"{report.source}: {bars:,} bar{'s' * (bars != 1)} of {count} symbol{'s' * (count != 1)}"


def _about(report: Report, config: LoadConfig) -> Iterator[str]:
    """Yield how the source was understood; of several files, what they share, and how many differ."""
    abouts = list(report.about.values())
    shared = {}
    for key in dict.fromkeys(key for about in abouts for key in about):
        values = list(dict.fromkeys(about.get(key, "") for about in abouts))
        shared[key] = values[0] + (f" (and {len(values) - 1} others)" if len(values) > 1 else "")
    text = [shared.pop(key) for key in ("format", "compression", "encoding") if key in shared]
    text += [f"{key} {shared.pop(key)}" for key in ("delimiter", "decimal", "header") if key in shared]
    for key, value in {"format": ", ".join(text), **shared}.items():
        yield _cut(f"  {key:<9} {value}")
    if "adjusted" not in shared:
        yield f"  {'adjusted':<9} {_adjusted(report, config, 'adj_close' in shared.get('columns', ''))}"


def _adjusted(report: Report, config: LoadConfig, beside: bool) -> str:
    codes = {each.code for each in report.findings}
    if config.adjusted == "adj_close":
        return "prices are scaled by adj_close"
    if "E-DATA-044" in codes:
        return "no: prices jump as by splits that nobody declared"
    if "N-DATA-072" in codes:
        return "not in full: adj_close differs from close"
    return "yes: adj_close is close" if beside else "taken as given; no jump looks like a split"


def _cut(line: str) -> str:
    """Return a line no longer than a wide terminal."""
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def _symbols(report: Report) -> Iterator[str]:
    yield ""
    yield f"  {'symbol':<16} {'bars':>10}  {'first':<20} {'last':<20} {'interval':>9} {'missing':>9}"
    for name, each in list(report.symbols.items())[:SYMBOLS_SHOWN]:
        interval = span_text(each.interval) if each.interval else "-"
        yield f"  {name[:16]:<16} {each.rows:>10,}  {each.first:<20} {each.last:<20} {interval:>9} {each.missing:>9,}"
    if len(report.symbols) > SYMBOLS_SHOWN:
        yield f"  ... and {len(report.symbols) - SYMBOLS_SHOWN} more"


def _findings(report: Report) -> Iterator[str]:
    """Yield one line per finding of few symbols, or one per code of many."""
    yield ""
    if not report.findings:
        yield "  nothing is wrong"
        return
    groups: dict[tuple[str, ...], list[Finding]] = {}
    for each in report.findings:
        key = (each.code, each.symbol, each.column) if len(report.symbols) <= ALONE else (each.code,)
        groups.setdefault(key, []).append(each)
    yield f"  {'code':<10} {'what':<17} {'count':>7}  first"
    for group in sorted(groups.values(), key=lambda group: CODES.index(group[0].code))[:FINDINGS_SHOWN]:
        yield _cut(_line(group, len(report.symbols)))
    if len(groups) > FINDINGS_SHOWN:
        yield f"  ... and {len(groups) - FINDINGS_SHOWN} more"


CODES = list(RULES)


def _line(group: list[Finding], symbols: int) -> str:
    """Return one line for findings of one code."""
    first = group[0]
    count = sum(max(1, each.rows.size) for each in group)
    place = [first.symbol] * (symbols > 1) + [f"row {row}" for row in first.rows[:1]]
    place += [f"({first.time.removesuffix('T00:00:00Z').removesuffix(' 00:00:00')})"] * bool(first.time)
    place += [first.column] * bool(first.column)
    several = len({each.symbol for each in group})
    among = f", {several} symbols" if several > 1 else ""
    what = first.what.removesuffix(", which").removesuffix(",")
    detail = f"{' '.join(place)}: {what}" if place else what
    return f"  {first.code:<10} {RULES[first.code].name:<17} {count:>7,}  {detail}{among}"


def _verdict(source: str, read: list[Reading], config: LoadConfig, report: Report, bars: Bars | None) -> list[str]:
    lines = [""]
    for name, counts in report.repairs.items():
        lines.append(f"  repaired by {name}: {sum(counts.values()):,} bars")
    if report.accepted:
        lines.append(f"  accepted: {', '.join(report.accepted)}")
    if bars is not None:
        from jaxtrade.market.table import hash_bars  # which builds on the bars

        return [*lines, f"  data hash {hash_bars(bars)}", f"  PASSES: --data {shlex.quote(source)}{_settings(config)}"]
    codes = list(dict.fromkeys(each.code for each in report.refused))
    lines.append(f"  REFUSED: {', '.join(f'{code} {RULES[code].name}' for code in codes)}")
    mended, beyond = mend(report.refused, config)
    if beyond:
        return lines + [f"  {code}: {RULES[code].remedy}" for code in beyond]
    left = judge(source, read, mended)[1].refused
    if left:
        return [*lines, f"  {left[0].code} stays whatever is repaired: {RULES[left[0].code].remedy}"]
    return [*lines, f"  It passes with: --data {shlex.quote(source)}{_settings(mended)}"]


def mend(refused: Iterable[Finding], config: LoadConfig) -> tuple[LoadConfig, list[str]]:
    """Return the configuration that mends or accepts what is refused, and the codes that nothing here mends."""
    repairs: list[Repair] = list(config.repair)
    accept, beyond = list(config.accept), []
    for code in dict.fromkeys(each.code for each in refused):
        ways = [repair for repair in RULES[code].repairs if repair not in config.repair]
        if ways:
            repairs += [ways[0]] * (ways[0] not in repairs)  # type: ignore[list-item]
        elif RULES[code].acceptable:
            accept.append(code)
        else:
            beyond.append(code)
    return config.model_copy(update={"repair": tuple(repairs), "accept": tuple(accept)}), beyond


def _settings(config: LoadConfig) -> str:
    """Return the flags that make this configuration."""
    default, flags = LoadConfig(), ""
    for name, value in config.model_dump(mode="json").items():
        if value != default.model_dump(mode="json")[name]:
            items = value if isinstance(value, list) else [value]
            items = [f"{key}={each}" for key, each in value.items()] if isinstance(value, dict) else items
            flags += f" --market.load.{name.replace('_', '-')} {' '.join(str(item) for item in items)}"
    return flags


def plot_closes(reading: Reading) -> list[str]:
    """Return the closes of a symbol as a small picture: in each column, from the lowest to the highest."""
    close = reading.frame["close"].to_numpy()
    close = close[np.isfinite(close)]
    if not close.size:
        return []
    pieces = np.array_split(close, min(PLOT_COLUMNS, close.size))
    low, high = float(close.min()), float(close.max())
    step = (high - low) / (PLOT_ROWS - 1) or 1.0
    bottom = np.array([np.rint((piece.min() - low) / step) for piece in pieces])
    top = np.array([np.rint((piece.max() - low) / step) for piece in pieces])
    lines = ["", f"  close of {reading.symbol}"]
    for row in range(PLOT_ROWS - 1, -1, -1):
        inside = (bottom <= row) & (row <= top)
        lines.append(f"  {low + row * step:>12.6g} " + "".join("*" if each else " " for each in inside).rstrip())
    return lines
