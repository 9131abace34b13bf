"""The trial ledger: what is written is read, several processes may write at once, trials and openings are counted."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from jaxtrade import trials
from jaxtrade.errors import InputError
from jaxtrade.trials import append, count_openings, count_trials, head, ledger_path, read
from tests.helpers.planting import ROOT, run_python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks of POSIX")
DATA, OTHER = "ab" * 32, "cd" * 32


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / "runs" / trials.NAME
    append(path, "train", run="a", data_sha256=DATA, config_sha256="1" * 64, split="train", range=(159, 3521))
    append(path, "validate", run="a", data_sha256=DATA, detail={"sharpe": -0.25, "name": 'é"\n'})
    append(path, "open-test", run="a", data_sha256=DATA, range=(4276, 5030), split="test", policy_sha256="2" * 64)
    return path


def test_what_is_written_is_read(ledger: Path) -> None:
    entries = read(ledger)
    assert [entry.n for entry in entries] == [1, 2, 3]
    assert (entries[0].range, entries[0].previous) == ((159, 3521), "")
    assert entries[1].detail == {"sharpe": -0.25, "name": 'é"\n'}
    assert entries[1].range is None is entries[1].policy_sha256
    assert (entries[2].event, entries[2].split, entries[2].previous) == ("open-test", "test", entries[1].hash)
    assert head(ledger) == (3, entries[2].hash)
    again = append(ledger, "train", run="b")
    assert read(ledger) == [*entries, again]
    assert read(ledger.with_name("none.jsonl")) == []
    assert head(ledger.with_name("none.jsonl")) == (0, "")


def test_the_chain_by_other_means(ledger: Path) -> None:
    """The hash is that of the line without its hash, as `sha256sum` would give it."""
    previous = ""
    for line in ledger.read_text("ascii").splitlines():
        data = json.loads(line)
        assert list(data) == sorted(data)
        bare = line.replace(f'"hash":"{data["hash"]}",', "")
        assert hashlib.sha256(bare.encode()).hexdigest() == data["hash"]
        assert data["previous"] == previous
        previous = data["hash"]


WRITER = """
import sys, time
from pathlib import Path
from jaxtrade import trials
if sys.argv[3] == "unlocked":
    trials.lock = lambda *_, **__: None
    slow = trials._next
    trials._next = lambda *args: (time.sleep(0.01), slow(*args))[1]
for number in range(int(sys.argv[2])):
    trials.append(Path(sys.argv[1]), "train", run=f"{sys.argv[4]}-{number}", data_sha256="ab" * 32)
"""


def write_at_once(path: Path, processes: int, entries: int, how: str) -> list[str]:
    """Append from several processes; return what they complained of."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WRITER, str(path), str(entries), how]
    writers = [
        subprocess.Popen([*command, str(number)], env=environment, stderr=subprocess.PIPE, text=True)
        for number in range(processes)
    ]
    return [writer.communicate(timeout=120)[1] for writer in writers]


def test_eight_processes_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / trials.NAME
    assert write_at_once(path, 8, 20, "locked") == [""] * 8
    entries = read(path)
    assert len(entries) == count_trials(entries, DATA) == 160
    for process in range(8):
        mine = [entry.run for entry in entries if entry.run and entry.run.startswith(f"{process}-")]
        assert mine == [f"{process}-{number}" for number in range(20)]


def test_without_the_lock_they_do_not(tmp_path: Path) -> None:
    path = tmp_path / trials.NAME
    complaints = write_at_once(path, 3, 4, "unlocked")
    assert any("does not follow the line before" in each for each in complaints)
    with pytest.raises(InputError, match="does not follow the line before"):
        read(path)


FULL = """
import resource, sys
from pathlib import Path
from jaxtrade import trials
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 100,) * 2)
try:
    trials.append(path, "train")
except trials.InputError as error:
    print(error)
"""


def test_a_full_disk_leaves_the_ledger_as_it_was(ledger: Path) -> None:
    before = ledger.read_bytes()
    said = run_python(ROOT, "-c", FULL, str(ledger))
    assert said.stdout.startswith(f"{ledger}: cannot be written ("), said
    assert ledger.read_bytes() == before
    append(ledger, "train")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path, ledger: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / trials.NAME, tmp_path):
        with pytest.raises(InputError, match=f"{path}: cannot be written "):
            append(path, "train")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path)
    if os.getuid() == 0:
        return  # is refused nothing
    ledger.parent.chmod(0o500)
    ledger.chmod(0o400)
    assert len(read(ledger)) == 3
    with pytest.raises(InputError, match="cannot be written"):
        append(ledger, "train")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@settings(max_examples=25, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(st.dictionaries(st.text() | st.integers(), JSON), st.none() | st.text())
def test_any_detail_comes_back(detail: dict[str, object], run: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, trials.NAME)
        written = [append(path, "train", run=run, detail=detail) for _ in range(2)]
        assert read(path) == written


def test_what_json_lacks_is_an_error_of_the_program(ledger: Path) -> None:
    before = ledger.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        append(ledger, "train", detail={"sharpe": float("nan")})
    assert ledger.read_bytes() == before


def test_trials_are_counted_by_run_and_configuration(ledger: Path) -> None:
    append(ledger, "train", run="a", data_sha256=DATA, config_sha256="1" * 64)  # resumed
    append(ledger, "train", run="a", data_sha256=DATA, config_sha256="3" * 64)  # the name used again
    append(ledger, "train", run="b", data_sha256=DATA, config_sha256="1" * 64)
    append(ledger, "train", run="c", data_sha256=OTHER)
    assert count_trials(read(ledger), DATA) == 3
    assert (count_trials(read(ledger), OTHER), count_trials([], DATA)) == (1, 0)


def test_openings_are_counted_by_the_bars_that_they_show(ledger: Path) -> None:
    append(ledger, "open-test", data_sha256=DATA, range=(4200, 4300))
    append(ledger, "open-test", data_sha256=OTHER, range=(4276, 5030))
    append(ledger, "open-test", data_sha256=DATA)  # of an unknown range: counts for every one
    entries = read(ledger)
    assert count_openings(entries, DATA, (4276, 5030)) == 3
    assert count_openings(entries, DATA, (4301, 4400)) == 2, "one bar in common is enough"
    assert count_openings(entries, DATA, (0, 100)) == 1
    assert count_openings(entries, OTHER, (5030, 6000)) == 1


def test_where_the_ledger_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "runs" / "a"
    run.mkdir(parents=True)
    expected = tmp_path / "runs" / trials.NAME
    assert ledger_path(run) == expected, "before the run has its configuration"
    (run / "config.yaml").write_text("")
    (run / "policy.npz").write_bytes(b"")
    (tmp_path / "sent.npz").write_bytes(b"")
    assert ledger_path(run) == ledger_path(run / "policy.npz") == ledger_path(run / "other.npz") == expected
    assert ledger_path(tmp_path / "sent.npz") == tmp_path / trials.NAME
    (tmp_path / "runs" / "latest").symlink_to("a")
    (tmp_path / "link.npz").symlink_to(run / "policy.npz")
    assert ledger_path(tmp_path / "runs" / "latest") == ledger_path(tmp_path / "link.npz") == expected
    monkeypatch.chdir(run)
    assert ledger_path(Path()) == ledger_path(Path("policy.npz")) == expected
