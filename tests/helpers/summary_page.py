"""The table of docs/programme.md, from the schema: `python -m tests.helpers.summary_page` writes it into the page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from train.programme.schema import Summary

PAGE = Path(__file__).parents[2] / "docs" / "programme.md"
START, END = "<!-- summary: generated -->\n", "<!-- summary: end -->"


def part_of(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """Return the model inside a field's type, and what its key is followed by: `[]` for each of a list."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each, "[]" if getattr(annotation, "__origin__", None) is list else ""
    return None, ""


def keys(model: type[BaseModel] = Summary, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield every key of the file, dotted, and what it means."""
    for name, field in model.model_fields.items():
        part, sign = part_of(field.annotation)
        key = f"{prefix}{field.alias or name}"
        yield key, field.description or ""
        if part is not None:
            yield from keys(part, f"{key}{sign}.")


def generated(page: str) -> str:
    """Return the page with the table as the code has it now."""
    rows = "\n".join(f"| `{key}` | {text.replace(chr(10), ' ').replace('|', chr(92) + '|')} |" for key, text in keys())
    before, rest = page.split(START)
    return f"{before}{START}\n| key | meaning |\n| --- | --- |\n{rows}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(generated(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
