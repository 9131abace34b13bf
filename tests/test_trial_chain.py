"""The chain of the trial ledger: whatever was changed in it shows."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from jaxtrade import trials
from jaxtrade.errors import InputError
from jaxtrade.trials import append, check_head, head, verify

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / trials.NAME
    append(path, "train", run="a", data_sha256="ab" * 32, split="train", range=(159, 3521))
    append(path, "validate", run="a", detail={"sharpe": -0.25, "name": 'é"\n'})
    append(path, "open-test", run="a", range=(4276, 5030), split="test", policy_sha256="2" * 64)
    return path


def complaint(content: bytes, path: Path) -> str | None:
    """Return what reading says of a ledger's bytes, None if it finds nothing wrong."""
    try:
        verify(content, path)
    except InputError as error:
        return str(error)
    return None


def flips(content: bytes, masks: Iterable[int]) -> list[bytes]:
    return [
        content[:at] + bytes([byte ^ mask]) + content[at + 1 :] for mask in masks for at, byte in enumerate(content)
    ]


def undetected(forgeries: list[bytes]) -> int:
    """Return how many changed ledgers are read without complaint."""
    return sum(complaint(forged, Path("trials.jsonl")) is None for forged in forgeries)


def test_every_flipped_bit_is_found(ledger: Path) -> None:
    content = ledger.read_bytes()
    forgeries = flips(content, [1 << bit for bit in range(8)])
    assert len(forgeries) == 8 * len(content)
    assert undetected(forgeries) == 0


@pytest.mark.nightly
def test_every_changed_byte_is_found(ledger: Path) -> None:
    assert undetected(flips(ledger.read_bytes(), range(1, 256))) == 0


def test_without_verification_flips_would_pass(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forgeries = flips(ledger.read_bytes(), [1])
    assert undetected(forgeries) == 0
    monkeypatch.setattr(trials, "_hash", lambda data: data["hash"])
    assert undetected(forgeries) > 100


def reorder(*order: int) -> Callable[[list[bytes]], list[bytes]]:
    return lambda lines: [lines[at] for at in order]


def forge(lines: list[bytes]) -> list[bytes]:
    """Change an entry and give it a hash that fits."""
    data = json.loads(lines[1])
    data["detail"] = {}
    return [lines[0], trials._canonical(data | {"hash": trials._hash(data)}) + b"\n", lines[2]]


CHANGES = {
    "first removed": (reorder(1, 2), 1, "does not follow the line before"),
    "one removed": (reorder(0, 2), 2, "does not follow the line before"),
    "swapped": (reorder(0, 2, 1), 2, "does not follow the line before"),
    "twice": (reorder(0, 1, 1, 2), 3, "does not follow the line before"),
    "forged": (forge, 3, "does not follow the line before"),
    "blank line": (lambda lines: [lines[0], b"\n", *lines[1:]], 2, "is no entry"),
    "inserted": (lambda lines: [lines[0], b'{"n":2}\n', *lines[1:]], 2, "is no entry"),
    "not JSON": (lambda lines: [*lines, b"#\n"], 4, "is no entry"),
    "a list": (lambda lines: [*lines, b"[]\n"], 4, "is no entry"),
    "deep": (lambda lines: [*lines, b"[" * 100_000 + b"\n"], 4, "is no entry"),
    "not a number": (lambda lines: [*lines, lines[2].replace(b'"n":3', b'"n":NaN')], 4, "is no entry"),
    "range of text": (lambda lines: [lines[0].replace(b"[159,3521]", b'"159"')], 1, "is no entry"),
    "spaces": (lambda lines: [lines[0].replace(b",", b", "), *lines[1:]], 1, "is not written as entries are"),
    "CRLF": (lambda lines: [line.replace(b"\n", b"\r\n") for line in lines], 1, "is not written as entries are"),
    "rewritten": (lambda lines: [lines[0].replace(b'"a"', b'"b"'), *lines[1:]], 1, "does not match its hash"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_are_named_by_line(ledger: Path, name: str) -> None:
    change, line, what = CHANGES[name]
    ledger.write_bytes(b"".join(change(ledger.read_bytes().splitlines(keepends=True))))
    found = complaint(ledger.read_bytes(), ledger)
    assert found is not None
    assert found.startswith(f"{ledger} line {line}: {what}")
    assert found.endswith(trials.RESTORE)
    before = ledger.read_bytes()
    with pytest.raises(InputError, match=f"line {line}: {what}"):
        append(ledger, "train")
    assert ledger.read_bytes() == before


def test_a_cut_end_is_found(ledger: Path) -> None:
    """At a line's end by the head that an artefact carries, anywhere else by the chain alone."""
    content, kept = ledger.read_bytes(), head(ledger)
    ends = {0} | {at + 1 for at, byte in enumerate(content) if byte == ord("\n")}
    for size in range(len(content)):
        found = complaint(content[:size], ledger)
        if size in ends:
            assert found is None
            ledger.write_bytes(content[:size])
            with pytest.raises(InputError, match=r"holds [012] entries, and held 3 before: its end was removed. Rest"):
                check_head(ledger, *kept)
        else:
            assert found is not None
            assert "is cut off: a write did not finish" in found
            assert found.endswith("Delete it if the machine failed as it was written")
    ledger.unlink()
    with pytest.raises(InputError, match="is missing, and held 3 entries before"):
        check_head(ledger, *kept)
    ledger.write_bytes(content)
    check_head(ledger, *kept)


def test_a_head_of_the_past_still_fits_and_that_of_another_ledger_does_not(ledger: Path) -> None:
    kept = head(ledger)
    append(ledger, "train", run="b")
    check_head(ledger, *kept)
    check_head(ledger, 0, "")
    ledger.unlink()
    for name in ("x", "y", "z"):
        append(ledger, "train", run=name)
    with pytest.raises(InputError, match="line 3 is not what it was: the ledger was written anew"):
        check_head(ledger, *kept)
