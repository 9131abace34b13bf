"""Results on record: each policy counts once for a range, and the same run meets the same trials again."""

import json
from pathlib import Path

import pytest

from jaxtrade.errors import InputError
from jaxtrade.trials import NAME, Trials, append, head, read, read_trials, record_result

DATA, OTHER = "ab" * 32, "cd" * 32
SPAN, LATER = (100, 200), (150, 250)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    for run in "abc":
        append(path, "train", run=run, data_sha256=DATA, config_sha256="1" * 64)
    return path


def test_an_empty_ledger_knows_of_one_trial(tmp_path: Path) -> None:
    assert read_trials(tmp_path / NAME, DATA, SPAN) == Trials(1, ())


def test_each_policy_counts_once(ledger: Path) -> None:
    """Twenty times the same bundle: one line, the same numbers."""
    seen = set()
    for _ in range(20):
        record_result(ledger, "p" * 64, DATA, "test", SPAN, 0.0625)
        seen.add(read_trials(ledger, DATA, SPAN))
    assert seen == {Trials(3, (0.0625,))}
    assert len(read(ledger)) == 4
    entry = read(ledger)[-1]
    assert (entry.event, entry.policy_sha256, entry.split, entry.range) == ("result", "p" * 64, "test", SPAN)
    assert entry.detail == {"sharpe": 0.0625, "bars": 100}


def test_the_first_result_counts(ledger: Path) -> None:
    record_result(ledger, "p" * 64, DATA, "test", SPAN, 0.1)
    record_result(ledger, "p" * 64, DATA, "test", SPAN, 0.9)
    assert read_trials(ledger, DATA, SPAN).sharpes == (0.1,)


def test_other_bars_and_other_data_are_other_results(ledger: Path) -> None:
    record_result(ledger, "p" * 64, DATA, "test", SPAN, 0.1)
    record_result(ledger, "p" * 64, DATA, "all", LATER, 0.2)
    record_result(ledger, "p" * 64, OTHER, "test", SPAN, 0.3)
    record_result(ledger, "q" * 64, DATA, "test", SPAN, -0.4)
    assert read_trials(ledger, DATA, SPAN) == Trials(3, (0.1, -0.4))
    assert read_trials(ledger, DATA, LATER) == Trials(3, (0.2,))
    assert read_trials(ledger, OTHER, SPAN) == Trials(1, (0.3,))


def test_more_policies_than_runs_are_more_trials(ledger: Path) -> None:
    for number in range(7):
        record_result(ledger, str(number) * 64, DATA, "test", SPAN, 0.01 * number)
    assert read_trials(ledger, DATA, SPAN).count == 7


def test_a_ratio_that_is_not_defined_is_a_trial_without_a_number(ledger: Path) -> None:
    record_result(ledger, "p" * 64, DATA, "test", SPAN, float("nan"))
    record_result(ledger, "p" * 64, DATA, "test", SPAN, float("nan"))
    assert read(ledger)[-1].detail["sharpe"] is None and len(read(ledger)) == 4
    assert read_trials(ledger, DATA, SPAN) == Trials(3, ())


def test_a_changed_result_is_found(ledger: Path) -> None:
    record_result(ledger, "p" * 64, DATA, "test", SPAN, 0.1)
    lines = ledger.read_text("ascii").splitlines(keepends=True)
    entry = json.loads(lines[-1])
    entry["detail"]["sharpe"] = 0.0
    text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
    ledger.write_text("".join(lines[:-1]) + text + "\n", "ascii")
    for ask in (lambda: read_trials(ledger, DATA, SPAN), lambda: record_result(ledger, "q", DATA, "test", SPAN, 0.0)):
        with pytest.raises(InputError, match="line 4: does not match its hash"):
            ask()


def test_results_are_no_openings_and_no_training(ledger: Path) -> None:
    before = head(ledger).n
    record_result(ledger, "p" * 64, DATA, "test", SPAN, 0.1)
    assert head(ledger).n == before + 1
    assert read_trials(ledger, DATA, LATER) == Trials(3, ())
