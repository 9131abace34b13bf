"""`relay.json`: which policy of a folder decides from when until when.

A training programme writes it: each window's policy decides from the first bar of its test range until the next one
takes over.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field, NaiveDatetime, ValidationError

from jaxtrade.config import Section
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range

RELAY = "relay.json"
OUT_OF_SAMPLE = "out-of-sample"  # folder of a programme with the backtest of its relay
AGAIN = "Run the programme again: it writes the file anew"
Times = npt.NDArray[np.datetime64]


class Turn(NamedTuple):
    """The time in which one policy decides."""

    bundle: str  # path of its policy.npz, from the folder of relay.json
    first: np.datetime64  # bar of its first decision, UTC
    last: np.datetime64  # bar of its last decision


class _Record(Section):
    bundle: Annotated[str, Field(min_length=1)]
    first: NaiveDatetime
    last: NaiveDatetime


class _File(Section):
    version: Annotated[Literal[1], Field(alias="schema")]
    legs: Annotated[tuple[_Record, ...], Field(min_length=1)]


def is_relay(path: Path) -> bool:
    """Return True for a folder with a relay.json."""
    return path.is_dir() and (path / RELAY).exists()


def make_turns(bundles: Sequence[str], spans: Sequence[Range], time: Times) -> list[Turn]:
    """Return the turns of policies that follow one another: each decides until the next one begins.

    Args:
        bundles: Path of each policy, from the folder of relay.json.
        spans: Its test range; bars between two ranges belong to the earlier policy.
        time: [T] of the bars.
    """
    ends = [*(span.first for span in spans[1:]), spans[-1].last]
    found = zip(bundles, spans, ends, strict=True)
    return [Turn(bundle, time[span.first], time[end - 1]) for bundle, span, end in found]


def write_relay(folder: Path, legs: Sequence[Turn]) -> Path:
    """Write relay.json, whole or not at all, and return its path.

    Raises:
        InputError: It cannot be written.
    """
    from eval_bridge.files import replace_files, write_json

    rows = [{"bundle": leg.bundle, "first": _text(leg.first), "last": _text(leg.last)} for leg in legs]
    replace_files(folder, lambda place: write_json(place / RELAY, {"schema": 1, "legs": rows}), set())
    return folder / RELAY


def read_turns(folder: Path) -> tuple[Turn, ...]:
    """Return the turns of a relay.json.

    Raises:
        InputError: It is missing or damaged.
    """
    path = folder / RELAY
    try:
        found = _File.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})", AGAIN) from None
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise InputError(path, f"{field}: {first['msg']}" if field else first["msg"], AGAIN) from None
    return tuple(Turn(leg.bundle, _time(leg.first), _time(leg.last)) for leg in found.legs)


def spans_of(turns: Sequence[Turn], time: Times, where: str = RELAY) -> list[Range]:
    """Return the decisions of each turn, first..last-1, on the bars of a market.

    Args:
        turns: One after the other.
        time: [T] of the bars.
        where: File of the turns, for the message.

    Raises:
        InputError: A turn holds no bar, overlaps the one before, leaves bars between them, or nothing follows the
            last decision.
    """
    spans: list[Range] = []
    for number, turn in enumerate(turns, start=1):
        here = f"{where} leg {number}"
        first, end = int(np.searchsorted(time, turn.first)), int(np.searchsorted(time, turn.last, side="right"))
        if first >= end:
            raise InputError(here, f"holds no bar: {_text(turn.first)} to {_text(turn.last)}", AGAIN)
        apart = first - spans[-1].last if spans else 0
        if apart:
            gap = f"leaves {apart} bar{'s' * (apart > 1)} without a policy"
            wrong = gap if apart > 0 else "begins before the one before it ends"
            raise InputError(here, f"{wrong}: {_text(turns[number - 2].last)} and {_text(turn.first)}", AGAIN)
        spans.append(Range(first, end))
    if spans[-1].last >= len(time):
        what = f"decides at {_text(turns[-1].last)}, and no bar follows in the data"
        raise InputError(f"{where} leg {len(turns)}", what, "Give the data of the programme, or later ones")
    return spans


def _text(time: np.datetime64) -> str:
    return str(time.astype("datetime64[s]"))


def _time(time: NaiveDatetime) -> np.datetime64:
    return np.datetime64(time, "s")
