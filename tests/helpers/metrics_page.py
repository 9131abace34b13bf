"""The tables of docs/metrics.md, from the catalog: `python -m tests.helpers.metrics_page` writes them into the page."""

from pathlib import Path

from eval_bridge.metrics.catalog import FIGURES, GROUPS
from eval_bridge.metrics.schema import HONESTY, KEYS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a table of Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def figures() -> str:
    """Return the table of every group."""
    parts = []
    for group, title in GROUPS.items():
        rows = [
            (f"`{name}`", figure.title, figure.convention, figure.unit)
            for name, figure in FIGURES.items()
            if figure.group == group
        ]
        parts.append(f"### {title}\n\n" + table(("name", "title", "convention and formula", "unit"), rows))
    return "\n\n".join(parts)


def keys(meanings: dict[str, str]) -> str:
    """Return the table of the keys of a part of metrics.json."""
    return table(("key", "meaning"), [(f"`{name}`", text) for name, text in meanings.items()])


TABLES = {"figures": figures, "keys": lambda: keys(KEYS), "honesty": lambda: keys(HONESTY)}


def generated(page: str) -> str:
    """Return the page with every table as the code has it now."""
    for name, make in TABLES.items():
        start, end = f"<!-- {name}: generated -->\n", f"<!-- {name}: end -->"
        before, rest = page.split(start)
        page = f"{before}{start}\n{make()}\n\n{end}{rest.split(end)[1]}"
    return page


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
