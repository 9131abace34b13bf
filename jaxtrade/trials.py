"""The trial ledger: what was trained, validated and opened, in a file beside the runs that only grows.

Each line of `trials.jsonl` is an entry in canonical JSON (keys sorted, no spaces, ASCII) and holds the hash of the line
before, so that a change of any byte but at the end shows. That the end is whole shows against a head (length and last
hash) kept elsewhere: in the artefacts. docs/splits.md says what this proves and what not.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, Unpack

from jaxtrade.appending import lock, write_whole
from jaxtrade.errors import InputError

NAME = "trials.jsonl"
OF_A_RUN = ("config.yaml", "fingerprint.json")  # a folder with one of them alone may be anything
RESTORE = "Restore the file from a copy, or move it away: what was made before then shows that it is missing"

ALIKE = ("event", "run", "data_sha256", "config_sha256", "detail")  # what entries that tell the same agree on
NO_ENTRY = "is no entry: it was changed"


class Fields(TypedDict, total=False):
    """What an entry says; what is left out is null, and `detail` empty."""

    run: str | None  # name of the run's folder
    data_sha256: str | None
    config_sha256: str | None
    split: str | None  # name of the range
    range: tuple[int, int] | None  # its first and last bar
    policy_sha256: str | None
    detail: dict[str, Any]  # anything else that JSON has, numbers finite


class Entry(NamedTuple):
    """One line of the ledger."""

    n: int  # 1, 2, ...
    time: str  # UTC, 2024-12-31T16:00:00Z
    event: str  # train, validate, open-test, result, ...
    run: str | None
    data_sha256: str | None
    config_sha256: str | None
    split: str | None
    range: tuple[int, int] | None
    policy_sha256: str | None
    detail: dict[str, Any]
    previous: str  # hash of the entry before, empty for the first
    hash: str  # SHA-256 of the canonical JSON of all the others


@dataclass(frozen=True)
class Trials:
    """How much was tried on some data."""

    count: int  # at least 1
    sharpes: tuple[float, ...] = ()  # per bar, of the policies with a result on the same bars, one each


class Head(NamedTuple):
    """How long a ledger is and what it ends with."""

    n: int
    hash: str  # empty for an empty ledger


def ledger_path(place: Path) -> Path:
    """Return where the ledger of a run's folder, or of a bundle, lies: beside the run, else beside the bundle.

    The runs of a programme lie in its folder, which is a run's as well; theirs is the ledger beside the outermost.
    """
    place = place.resolve()
    is_bundle = place.is_file() or place.suffix == ".npz"
    if is_bundle and not (place.parent / "config.yaml").exists():
        return place.parent / NAME
    run = place.parent if is_bundle else place
    while all((run.parent / name).exists() for name in OF_A_RUN):
        run = run.parent
    return run.parent / NAME


def append(path: Path, event: str, **fields: Unpack[Fields]) -> Entry:
    """Verify the ledger, and add an entry; safe from several processes at once.

    Returns:
        The entry, which is on the disk by then.

    Raises:
        InputError: The ledger is damaged, or cannot be written; then it is as it was.
    """
    return _append(path, event, fields, once=False)[0]


def record_once(path: Path, event: str, **fields: Unpack[Fields]) -> bool:
    """Append an entry unless the ledger has it, so that work that is resumed records nothing twice.

    Returns:
        Whether it was added: there is none of the same event, run, data, configuration and detail.

    Raises:
        InputError: As `append`.
    """
    return _append(path, event, fields, once=True)[1]


def _append(path: Path, event: str, fields: Fields, once: bool) -> tuple[Entry, bool]:
    """Return an entry and True after adding it; if `once`, and one like it is there, that one and False."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+b", buffering=0) as file:
            lock(file, alone=True)
            file.seek(0)
            content = file.read()
            entries = verify(content, path)
            entry = _next(_head(entries), event, fields)
            for before in entries if once else ():
                if all(getattr(before, name) == getattr(entry, name) for name in ALIKE):
                    return before, False
            write_whole(file, len(content), _canonical(entry._asdict()) + b"\n")
    except OSError as error:
        what = f"cannot be written ({error.strerror})"
        raise InputError(path, what, "Permit it, or free space: what is tried must be recorded") from None
    return entry, True


def read(path: Path) -> list[Entry]:
    """Return the entries of a ledger, none if there is no file.

    Raises:
        InputError: A line is not what the chain says, or the last one is cut off.
    """
    try:
        with path.open("rb", buffering=0) as file:
            lock(file, alone=False)  # no half of a line that is being written
            content = file.read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", "Check the path and its permissions") from None
    return verify(content, path)


def verify(content: bytes, path: Path) -> list[Entry]:
    """Return the entries of a ledger's bytes; `path` is for the message.

    Raises:
        InputError: As `read`.
    """
    *lines, rest = content.split(b"\n")
    entries: list[Entry] = []
    for number, line in enumerate(lines, start=1):
        try:
            data = json.loads(line)
            wrong = _mismatch(line, data, _head(entries))
        except (ValueError, RecursionError):  # no JSON, or numbers that an entry never holds
            data, wrong = {}, NO_ENTRY
        if wrong:
            raise InputError(f"{path} line {number}", wrong, RESTORE)
        entries.append(Entry(**data | {"range": data["range"] and tuple(data["range"])}))
    if rest:
        what = "is cut off: a write did not finish, or the end of the file was removed"
        raise InputError(f"{path} line {len(lines) + 1}", what, "Delete it if the machine failed as it was written")
    return entries


def head(path: Path) -> Head:
    """Return the head of a ledger, for an artefact to carry.

    Raises:
        InputError: As `read`.
    """
    return _head(read(path))


def check_head(path: Path, n: int, hash: str) -> None:
    """Verify that a ledger still holds what it held when an artefact took its head.

    Raises:
        InputError: It is shorter, or its n-th entry is another; or as `read`.
    """
    entries = read(path)
    if n > 0 and not path.exists():
        raise InputError(path, f"is missing, and held {n} entries before", "Restore it from a copy")
    if n > len(entries):
        raise InputError(path, f"holds {len(entries)} entries, and held {n} before: its end was removed", RESTORE)
    if n > 0 and entries[n - 1].hash != hash:
        raise InputError(path, f"line {n} is not what it was: the ledger was written anew", RESTORE)


def count_trials(entries: list[Entry], data_sha256: str) -> int:
    """Return how often these data were tried: distinct pairs of run and configuration, and every early stop.

    Who stops by validations chooses the length of training by them, and might have gone on.
    """
    here = [entry for entry in entries if entry.data_sha256 == data_sha256]
    trained = {(entry.run, entry.config_sha256) for entry in here if entry.event == "train"}
    return len(trained) + sum(entry.event == "early-stop" for entry in here)


def count_openings(entries: list[Entry], data_sha256: str, range: tuple[int, int]) -> int:
    """Return how often bars of a range of these data were opened, be it by way of another range that overlaps."""
    first, last = range
    opened = [entry for entry in entries if entry.event == "open-test" and entry.data_sha256 == data_sha256]
    return sum(entry.range is None or (entry.range[0] <= last and first <= entry.range[1]) for entry in opened)


def record_result(
    path: Path, policy_sha256: str, data_sha256: str, split: str, range: tuple[int, int], sharpe: float
) -> None:
    """Record the Sharpe ratio per bar of a policy over bars of the test range, once for each policy and range.

    Record before you read: then the same bundle meets the same trials the first time and the twentieth.

    Raises:
        InputError: The ledger is damaged, or cannot be written.
    """
    if policy_sha256 in _results(read(path), data_sha256, range):
        return
    detail = {"sharpe": float(sharpe) if math.isfinite(sharpe) else None, "bars": int(range[1] - range[0])}
    about = Fields(data_sha256=data_sha256, policy_sha256=policy_sha256, split=split, range=range, detail=detail)
    append(path, "result", **about)


def read_trials(path: Path, data_sha256: str, range: tuple[int, int]) -> Trials:
    """Return what was tried on some data, and the results on some of their bars.

    Trials are the training runs on these data; or the policies with a result on these bars, where those are more:
    several checkpoints of a run may have been opened.

    Raises:
        InputError: The ledger is damaged.
    """
    entries = read(path)
    results = _results(entries, data_sha256, range)
    sharpes = tuple(sharpe for _, sharpe in sorted(results.items()) if sharpe is not None)
    return Trials(max(1, count_trials(entries, data_sha256), len(results)), sharpes)


def _results(entries: list[Entry], data_sha256: str, range: tuple[int, int]) -> dict[str, float | None]:
    """Return the Sharpe ratio of every policy with a result on these bars; the first on record counts."""
    found: dict[str, float | None] = {}
    for entry in entries:
        here = (entry.event, entry.data_sha256, entry.range) == ("result", data_sha256, tuple(range))
        if here and entry.policy_sha256 is not None:
            found.setdefault(entry.policy_sha256, entry.detail.get("sharpe"))
    return found


def _head(entries: list[Entry]) -> Head:
    return Head(entries[-1].n, entries[-1].hash) if entries else Head(0, "")


def _next(before: Head, event: str, fields: Fields) -> Entry:
    span = fields.get("range")
    entry = Entry(
        n=before.n + 1,
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        event=event,
        run=fields.get("run"),
        data_sha256=fields.get("data_sha256"),
        config_sha256=fields.get("config_sha256"),
        split=fields.get("split"),
        range=None if span is None else (int(span[0]), int(span[1])),
        policy_sha256=fields.get("policy_sha256"),
        detail=json.loads(json.dumps(fields.get("detail", {}), allow_nan=False)),  # as it will be read: keys are text
        previous=before.hash,
        hash="",
    )
    return entry._replace(hash=_hash(entry._asdict()))


def _canonical(data: dict[str, Any]) -> bytes:
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _hash(data: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical({key: value for key, value in data.items() if key != "hash"})).hexdigest()


def _mismatch(line: bytes, data: Any, before: Head) -> str | None:
    """Return what is wrong with a line, None if nothing is."""
    if not isinstance(data, dict) or set(data) != set(Entry._fields) or not isinstance(data["range"], list | None):
        return NO_ENTRY
    if data["hash"] != _hash(data):
        return "does not match its hash: it was changed"
    if line != _canonical(data):
        return "is not written as entries are: it was changed"
    if (data["n"], data["previous"]) != (before.n + 1, before.hash):
        return "does not follow the line before: lines were removed, inserted or moved"
    return None
