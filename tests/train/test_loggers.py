"""Logs of a run: whole lines, cut back on a resume; a TensorBoard file that a reader understands."""

import json
import struct
from contextlib import closing
from pathlib import Path

import pytest

from jaxtrade.errors import InputError
from train.loggers import Board, JSONLog, TableLog

COLUMNS = ("update", "loss", "note")
ROWS = [{"update": 1.0, "loss": 0.1}, {"update": 2.0, "loss": -3.0, "note": "a"}, {"update": 3.0, "loss": float("nan")}]
LINES = ["update,loss,note", "1,0.1,", "2,-3,a", "3,nan,"]


def write(path: Path, rows: list[dict], keep: int = 0) -> None:
    with closing(TableLog(path, COLUMNS, keep)) as log:
        log.add(rows)
        log.sync()


def lines(path: Path) -> list[str]:
    text = path.read_text()
    assert text.endswith("\n")
    return text.splitlines()


@pytest.mark.parametrize("keep", [0, 1, 2, 3, 7])
def test_a_table_goes_on_where_it_was_cut(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "t.csv"
    write(path, ROWS)
    assert lines(path) == LINES
    write(path, [{"update": 9, "loss": 1.5}], keep)
    assert lines(path) == [*LINES[: 1 + keep], "9,1.5,"]


def test_whatever_the_last_line_is(tmp_path: Path) -> None:
    """Cut at any byte, as a kill or a full disk leaves it, the whole rows stay and the rest goes."""
    path = tmp_path / "t.csv"
    write(path, ROWS)
    content = path.read_bytes()
    for end in range(len(content) + 1):
        path.write_bytes(content[:end])
        write(path, [], keep=3)
        whole = content[:end].count(b"\n")
        assert lines(path) == LINES[: max(1, whole)], end
    path.write_bytes(content[:-3] + b"\0\0\0\0\n")
    write(path, [], keep=2)
    assert lines(path) == LINES[:3]
    path.write_bytes(content + b"\0\xff\n4,1,\n")
    write(path, [], keep=9)
    assert lines(path) == LINES


def test_a_cut_never_rewrites_what_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed at any moment of a resume, rows that the checkpoint covers are there: nothing is written before them."""
    path = tmp_path / "t.csv"
    write(path, ROWS)
    inode = path.stat().st_ino

    def killed(self: object, text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("train.loggers.TextLog.write", killed)
    with pytest.raises(KeyboardInterrupt):
        write(path, ROWS, keep=2)
    assert lines(path) == LINES[:3]
    assert path.stat().st_ino == inode


def test_other_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    write(path, ROWS)
    before = path.read_bytes()
    with pytest.raises(InputError, match="has other columns than are written now"):
        TableLog(path, (*COLUMNS, "more"), 3)
    assert path.read_bytes() == before


def test_json_lines(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    with closing(JSONLog(path, 0)) as log:
        log.add([{"update": 1.0, "loss": 0.1}, {"update": 2.0, "loss": float("inf")}])
    with path.open("a") as file:
        file.write('{"update": 3, "lo')
    with closing(JSONLog(path, 9)) as log:
        log.add([{"update": 3.0, "loss": float("nan")}])
    JSONLog(path, 3).close()
    read = [json.loads(line) for line in path.read_text().splitlines()]
    assert read == [{"update": 1, "loss": 0.1}, {"update": 2, "loss": None}, {"update": 3, "loss": None}]
    JSONLog(path, 1).close()
    assert len(path.read_text().splitlines()) == 1


def test_a_board_is_read_by_its_format(tmp_path: Path) -> None:
    from tensorboardX.proto.event_pb2 import Event, SessionLog

    board = Board(tmp_path / "tensorboard", 7)
    board.add({"loss": 0.5, "gradient/a": float("nan")}, 7)
    board.sync()
    (path,) = (tmp_path / "tensorboard").iterdir()
    content, events = path.read_bytes(), []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        events.append(Event.FromString(content[12 : 12 + size]))
        content = content[16 + size :]
    board.close()
    assert events[0].file_version == "brain.Event:2"
    assert (events[1].step, events[1].session_log.status) == (7, SessionLog.START)
    assert events[2].step == 7
    assert [value.tag for value in events[2].summary.value] == ["loss", "gradient/a"]
    assert events[2].summary.value[0].simple_value == 0.5
