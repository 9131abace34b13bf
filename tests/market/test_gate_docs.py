"""docs/data-errors.md says of every code what `codes.RULES` says, and shows messages that files really give."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from jaxtrade.errors import InputError
from jaxtrade.market.bars import load
from jaxtrade.market.codes import RULES
from tests.helpers.bad_files import BAD_FILES, BadFile, write_bad
from tests.helpers.notices import NOTICES
from tests.helpers.planting import ROOT

FILES: dict[str, BadFile] = {
    bad.code: bad for bad in [*NOTICES.values(), *BAD_FILES.values()][::-1]
}  # the first of each
ENTRY = re.compile(r"### (\S+) (.+)\n\n(?:.+\n)+\n- Rule: (.+)\n- Remedy: (.+)\n- Flags: (.+)\n\n```text\n(.+)\n```\n")


def entries(text: str) -> list[tuple[str, ...]]:
    return ENTRY.findall(text)


def document() -> str:
    return (ROOT / "docs" / "data-errors.md").read_text("utf-8")


def expected(code: str) -> tuple[str, ...]:
    rule = RULES[code]
    flags = [f"`--market.load.repair {repair}`" for repair in rule.repairs]
    flags += [f"`--market.load.accept {code}`"] * rule.acceptable
    return code, rule.name, rule.rule, rule.remedy, ", ".join(flags) or "none"


def differences(text: str) -> list[str]:
    found, known = [entry[:5] for entry in entries(text)], [expected(code) for code in RULES]
    return [str(entry) for entry in [*found, *known] if (entry in found) != (entry in known)]


def test_every_code_is_explained_as_it_is() -> None:
    assert differences(document()) == []
    assert [entry[0] for entry in entries(document())] == list(RULES)


FAULTS: tuple[Callable[[str], str], ...] = (
    lambda text: text.replace("price > 0\n", "price >= 0\n"),
    lambda text: text.replace("`--market.load.repair clip`, ", ""),
    lambda text: re.sub(r"### N-DATA-061(.|\n)*?```text\n.*\n```\n", "", text),
    lambda text: text.replace("### E-DATA-005", "### E-DATA-099"),
)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_document_that_differs_is_caught(fault: Callable[[str], str]) -> None:
    assert fault(document()) != document()
    assert differences(fault(document()))


def message(folder: Path, bad: BadFile) -> str:
    path = write_bad(folder, bad)
    try:
        findings = load(str(path), bad.config).report.findings
    except InputError as error:
        return str(error).replace(f"{folder}/", "")
    return next(each.text() for each in findings if each.code == bad.code).replace(f"{folder}/", "")


@pytest.mark.parametrize("code", RULES)
def test_the_message_shown_is_the_message_given(tmp_path: Path, code: str) -> None:
    shown = next(entry[5] for entry in entries(document()) if entry[0] == code)
    assert shown.startswith(f"{code} ")
    if code in FILES:
        assert shown == message(tmp_path, FILES[code])


def test_only_what_needs_more_than_a_file_is_shown_from_memory() -> None:
    assert set(RULES) - set(FILES) == {f"E-DATA-0{number}" for number in ("09", "10", "11", "12", "13")}


@pytest.mark.parametrize("what", NOTICES)
def test_notices_are_given_and_let_through(tmp_path: Path, what: str) -> None:
    notice = NOTICES[what]
    report = load(str(write_bad(tmp_path, notice)), notice.config).report
    texts = [each.text() for each in report.findings if each.code == notice.code]
    assert any(all(piece in text for piece in notice.pieces.split("|")) for text in texts), texts
    assert report.record()["findings"][notice.code]
