"""Pieces of HTML. Whatever comes from outside goes through `text`, and only there."""

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple


class Cell(NamedTuple):
    """A cell of a table; `body` is text, not markup."""

    body: str
    hint: str = ""  # shown when it is pointed at, or has the focus
    weight: float | None = None  # from -1 to 1: how strongly it is coloured, for loss or gain
    sort: float | str | None = None  # what a sortable table sorts by, where that is not the body


def text(value: object) -> str:
    """Return text that is safe in HTML, attributes included."""
    return html.escape(str(value), quote=True)


def cell(content: Cell | str, tag: str = "td", attributes: str = "") -> str:
    """Return a cell."""
    content = content if isinstance(content, Cell) else Cell(content)
    body = hint(content.body, content.hint) if content.hint else text(content.body)
    if content.weight is not None:
        strength = round(100 * min(1.0, abs(content.weight)))
        attributes += f' class="{"gain" if content.weight >= 0 else "loss"}" style="--strength:{strength}%"'
    if content.sort is not None:
        attributes += f' data-value="{text(content.sort)}"'
    return f"<{tag}{attributes}>{body}</{tag}>"


def hint(body: str, words: str) -> str:
    """Return text that explains itself: by pointer, by touch and by keyboard."""
    return f'<span class="hint" tabindex="0" data-hint="{text(words)}">{text(body)}</span>'


def table(
    caption: str,
    head: Sequence[Cell | str],
    rows: Iterable[Sequence[Any]],
    kind: str = "",
    group: int = 0,
) -> str:
    """Return a table that scrolls inside its box where it is too wide; a row of one cell is a heading in it.

    Args:
        caption: What is in it; read aloud, and shown above.
        head: The header, or nothing.
        rows: The first cell of each names the row.
        kind: CSS classes; `sortable`: a click on a header sorts the rows.
        group: Columns that a heading spans.
    """
    body = []
    for row in rows:
        if len(row) == 1 and group:
            body.append(
                cell(row[0], "th", f' colspan="{group}" scope="colgroup" class="group"').join(("<tr>", "</tr>"))
            )
        else:
            first = cell(row[0], "th", ' scope="row"')
            body.append(f"<tr>{first}{''.join(map(cell, row[1:]))}</tr>")
    headers = "".join(cell(each, "th", ' scope="col"') for each in head)
    if "sortable" in kind.split():
        headers = "".join(_header(each) for each in head)
    top = f"<thead><tr>{headers}</tr></thead>" if head else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(caption)}"><table class="{kind}">'
        f"<caption>{text(caption)}</caption>{top}<tbody>{''.join(body)}</tbody></table></div>"
    )


def _header(content: Cell | str) -> str:
    """Return a header that sorts its column."""
    content = content if isinstance(content, Cell) else Cell(content)
    words = f' data-hint="{text(content.hint)}"' if content.hint else ""
    return f'<th scope="col" aria-sort="none"><button type="button"{words}>{text(content.body)}</button></th>'


def facts(caption: str, rows: dict[str, str]) -> str:
    """Return a table of names and texts."""
    return table(caption, (), list(rows.items()), "facts")


def section(name: str, title: str, *parts: str) -> str:
    """Return a section with a heading, or nothing where there is nothing to show; its name is what links to it."""
    content = "\n".join(part for part in parts if part)
    if not content:
        return ""
    heading = f'<h2 id="{name}-title">{text(title)}</h2>'
    begin = f'<section id="{name}" data-nav="{name.capitalize()}" aria-labelledby="{name}-title">'
    return f"{begin}{heading}\n{content}\n</section>"


def note(words: str) -> str:
    """Return a paragraph of small print."""
    return f'<p class="note">{text(words)}</p>' if words else ""


def chart(name: str, title: str, words: str = "", tools: str = "") -> str:
    """Return the place where report.js draws a chart."""
    return (
        f'<figure class="chart" id="chart-{name}"><figcaption><h3>{text(title)}</h3>'
        f'<div class="tools">{tools}</div></figcaption>'
        f'<div class="plot" data-chart="{name}" role="img" aria-label="{text(title)}. {text(words)}"></div>'
        f"{note(words)}</figure>"
    )


def embed(data: Any) -> str:
    """Return JSON for a script element: nothing in it can end the element or begin another."""
    written = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for sign in "<>&":
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    return written.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def label(value: object) -> str:
    """Return text for a plot, which reads a few tags and entities."""
    return html.escape(str(value), quote=False)
