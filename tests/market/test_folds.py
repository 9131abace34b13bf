"""Folds against sets of bars: what is rewarded in training and in a test shares no bar and keeps its distance."""

from itertools import combinations, pairwise
from math import comb

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxtrade.config import MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.errors import InputError
from jaxtrade.market import folds_command
from jaxtrade.market.folds import Fold, cpcv, paths, walk_forward
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, build_table

SPAN = Range(10, 609)  # 600 bars
BARS = st.integers(0, 12)
QUICK = settings(max_examples=60, deadline=None)


def rewarded(ranges: tuple[Range, ...]) -> list[int]:
    """Return the bars that decisions at t are filled, moved and marked with: t and t+1."""
    return [bar for span in ranges for bar in (*range(span.first, span.last), span.last)]


def complaints(fold: Fold, span: Range, purge: int, embargo: int) -> list[str]:
    """Return how a fold breaks its promises, found by looking at every pair of bars."""
    train, test = rewarded(fold.train), rewarded(fold.test)
    found = []
    if any(each.decisions < 1 for each in fold.train + fold.test) or not train or not test:
        found.append("empty")
    if sorted(set(train)) != train or sorted(set(test)) != test:
        found.append("unsorted")
    if set(train) & set(test):
        found.append("shared")
    if not set(train) | set(test) <= set(range(span.first, span.last + 1)):
        found.append("outside")
    for first, last in fold.test:
        if any(first - bar <= purge for bar in train if bar < first):
            found.append("purge")
        if any(bar - last <= embargo for bar in train if bar > last):
            found.append("embargo")
    return found


def trained_by_hand(tests: tuple[Range, ...], span: Range, purge: int, embargo: int) -> list[tuple[int, int]]:
    """Return the ranges of the bars that no test forbids, bar by bar."""
    free = [
        bar
        for bar in range(span.first, span.last + 1)
        if not any(first - purge <= bar <= last + embargo for first, last in tests)
    ]
    cuts = [0, *(at for at, (one, two) in enumerate(pairwise(free), start=1) if two != one + 1), len(free)]
    runs = [free[first:end] for first, end in pairwise(cuts) if end > first]
    return [(run[0], run[-1]) for run in runs if len(run) > 1]


@QUICK
@given(st.integers(0, 40), st.integers(30, 300), st.integers(2, 7), st.integers(1, 6), BARS, BARS)
def test_cpcv_trains_on_every_bar_that_no_test_forbids(
    first: int, bars: int, groups: int, k: int, purge: int, embargo: int
) -> None:
    assume(k < groups)
    span = Range(first, first + bars - 1)
    try:
        folds = cpcv(span, groups, k, purge, embargo)
    except InputError as error:
        assert "no decision" in str(error) or "no training" in str(error)
        return
    assert len(folds) == len({fold.name for fold in folds}) == comb(groups, k)
    for fold in folds:
        assert complaints(fold, span, purge, embargo) == []
        assert [tuple(each) for each in fold.train] == trained_by_hand(fold.test, span, purge, embargo)
    blocks = sorted({block for fold in folds for block in fold.test})
    assert rewarded(tuple(blocks)) == list(range(first, first + bars)), "the groups are all of the bars"
    assert max(block.decisions for block in blocks) - min(block.decisions for block in blocks) <= 1
    assert [fold.test for fold in folds] == list(combinations(blocks, k))


def test_cpcv_by_hand() -> None:
    folds = cpcv(Range(0, 59), groups=6, k=2, purge=2, embargo=3)
    assert folds[0] == Fold("cpcv-1-2", (Range(23, 59),), (Range(0, 9), Range(10, 19)))
    assert folds[6] == Fold("cpcv-2-4", (Range(0, 7), Range(23, 27), Range(43, 59)), (Range(10, 19), Range(30, 39)))
    assert folds[14] == Fold("cpcv-5-6", (Range(0, 37),), (Range(40, 49), Range(50, 59)))


def test_the_published_numbers() -> None:
    """Lopez de Prado 2018, section 12.3: N = 6, k = 2 make 15 splits and 5 paths; the first two are given there."""
    assert len(cpcv(SPAN, 6, 2)) == 15
    assert len(paths(6, 2)) == 5
    assert [fold + 1 for fold, _ in paths(6, 2)[0]] == [1, 1, 2, 3, 4, 5]
    assert [fold + 1 for fold, _ in paths(6, 2)[1]] == [2, 6, 6, 7, 8, 9]
    assert [len(paths(groups, 1)) for groups in (2, 5, 9)] == [1, 1, 1], "k = 1 is plain cross-validation"
    assert [len(paths(groups, 2)) for groups in (3, 6, 10)] == [2, 5, 9], "k = 2 makes N - 1 paths"


@pytest.mark.parametrize(("groups", "k"), [(groups, k) for groups in range(2, 9) for k in range(1, groups)])
def test_every_path_tests_every_group_once_and_every_test_is_in_one_path(groups: int, k: int) -> None:
    found = paths(groups, k)
    tested = list(combinations(range(groups), k))
    assert len(found) * groups == k * comb(groups, k)
    assert all([group for _, group in path] == list(range(groups)) for path in found)
    assert all(group in tested[fold] for path in found for fold, group in path)
    assert len({pair for path in found for pair in path}) == len(found) * groups


@QUICK
@given(
    st.integers(0, 40),
    st.integers(20, 300),
    st.integers(1, 60),
    st.integers(1, 40),
    st.none() | st.integers(1, 50),
    st.sampled_from(["rolling", "expanding"]),
    st.tuples(BARS, BARS),
)
def test_walk_forward_by_counting(
    first: int, bars: int, train: int, test: int, step: int | None, kind: str, apart: tuple[int, int]
) -> None:
    span, (purge, embargo) = Range(first, first + bars - 1), apart
    try:
        folds = walk_forward(span, train, test, step, kind, purge, embargo)
    except InputError as error:
        assert "do not fit" in str(error) or "no decision" in str(error)
        return
    used = bars - train - test
    assert len(folds) == used // (step or test) + 1, "as many as fit"
    for number, fold in enumerate(folds):
        assert complaints(fold, span, purge, embargo) == []
        (trained,), (tested,) = fold.train, fold.test
        assert tested.first - trained.last == 1 + purge + embargo
        assert tested.last == first + train + number * (step or test) + test - 1
        assert trained.first == first + (0 if kind == "expanding" else number * (step or test))


def test_walk_forward_by_hand() -> None:
    assert walk_forward(Range(5, 54), train=20, test=10, purge=2, embargo=1) == [
        Fold("walk-1", (Range(5, 22),), (Range(26, 34),)),
        Fold("walk-2", (Range(15, 32),), (Range(36, 44),)),
        Fold("walk-3", (Range(25, 42),), (Range(46, 54),)),
    ]
    expanding = walk_forward(Range(5, 53), train=20, test=10, step=5, kind="expanding")
    assert [fold.train for fold in expanding] == [(Range(5, last),) for last in (24, 29, 34, 39)]
    assert [fold.test for fold in expanding] == [(Range(first, first + 9),) for first in (25, 30, 35, 40)]


def longer(ranges: tuple[Range, ...], at: int) -> tuple[Range, ...]:
    return tuple(span._replace(last=span.last + 1) if number == at else span for number, span in enumerate(ranges))


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        (lambda: cpcv(SPAN, 6, 2, purge=4)[7], ["embargo"]),
        (lambda: cpcv(SPAN, 6, 2, embargo=3)[7], ["purge"]),
        (lambda: walk_forward(SPAN, 200, 100, purge=3)[1], ["purge"]),
        (lambda: good()._replace(train=longer(good().train, 0)), ["purge"]),
        (lambda: good()._replace(test=longer(good().test, 0)), ["embargo"]),
        (lambda: good()._replace(test=longer(cpcv(SPAN, 6, 2, 4, 3)[0].test, 0)), ["unsorted", "shared"]),
        (lambda: good()._replace(train=longer(good().train, 2)), ["outside"]),
        (lambda: good()._replace(train=good().train[::-1]), ["unsorted"]),
        (lambda: good()._replace(train=(Range(10, 10),)), ["empty"]),
    ],
    ids=[
        "no embargo", "no purge", "no embargo in a walk", "training too long", "test too long", "tests overlap",
        "beyond the data", "order", "no decision",
    ],
)  # fmt: skip
def test_planted_faults_are_caught(planted: object, complaint: list[str]) -> None:
    assert complaints(good(), SPAN, 4, 3) == []
    found = complaints(planted(), SPAN, 4, 3)
    assert set(complaint) <= set(found)


def good() -> Fold:
    return cpcv(SPAN, 6, 2, purge=4, embargo=3)[7]  # tests groups 2 and 5 of 1..6


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: walk_forward(SPAN, 500, 101), "walk-forward: 500 + 101 bars do not fit in 600. Give more, or sh"),
        (lambda: walk_forward(Range(10, 5), 5, 5), "walk-forward: 5 + 5 bars do not fit in 0. "),
        (lambda: walk_forward(SPAN, 0, 10), "train 0, test 10, step 10, purge 0, embargo 0 are not all possible"),
        (lambda: walk_forward(SPAN, 10, 10, step=0), "step 0"),
        (lambda: walk_forward(SPAN, 10, 10, purge=-1), "purge -1"),
        (lambda: walk_forward(SPAN, 50, 10, purge=49), "purge 49 and embargo 0 leave training no decision. Give more"),
        (lambda: walk_forward(SPAN, 50, 10, embargo=9), "purge 0 and embargo 9 leave the test no decision. Give more"),
        (lambda: cpcv(SPAN, 6, 6), "cpcv: 6 of 6 groups, purge 0 and embargo 0 are not possible. Give at least 1"),
        (lambda: cpcv(SPAN, 6, 0), "0 of 6 groups"),
        (lambda: cpcv(SPAN, 6, 2, -1), "purge -1"),
        (lambda: cpcv(SPAN, 40, 20), "20 of 40 groups make 137846528820 folds, more than 10000. Give fewer groups"),
        (lambda: cpcv(Range(0, 8), 5, 2), "9 bars in 5 groups leave one of them no decision. Give more bars"),
        (lambda: cpcv(Range(7, 3), 5, 2), "0 bars in 5 groups leave"),
        (lambda: cpcv(SPAN, 6, 5, 60, 60), "purge 60 and embargo 60 leave fold cpcv-1-2-3-4-6 no training. Give more"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make()
    assert message in str(caught.value)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> MarketTable:
    """A table of 700 days, the first 158 of which are history, in place of what --data names."""
    made = build_table(random_bars(700), MarketConfig(), 30)
    monkeypatch.setattr(folds_command, "load_table", lambda *_: made)
    return made


def said(capsys: pytest.CaptureFixture[str], line: str) -> list[str]:
    assert folds_command.command(line.split()) == 0
    return capsys.readouterr().out.splitlines()


def test_the_command_prints_the_ranges_of_every_fold(table: MarketTable, capsys: pytest.CaptureFixture[str]) -> None:
    first, last = table.ranges["all"]
    lines = said(capsys, "--cpcv 4 2 --purge 3 --embargo 2")
    assert lines[0].startswith(f"sample:nasdaq: {str(table.time[first])[:10]} .. {str(table.time[last])[:10]}  bars ")
    assert lines[1].split() == ["fold", "train", "test"]
    assert lines[-1] == "folds: 6; paths that test every group once: 3"
    folds = cpcv(Range(first, last), 4, 2, 3, 2)
    assert [line.split()[0] for line in lines[2:-1] if line.startswith("cpcv")] == [fold.name for fold in folds]
    for fold in folds:
        for span in fold.train + fold.test:
            dates = f"{str(table.time[span.first])[:10]} .. {str(table.time[span.last])[:10]}"
            expected = f"{dates}  bars {span.first}..{span.last} ({span.last + 1 - span.first})"
            assert any(expected in line for line in lines[2:-1]), expected


def test_the_command_walks_forward_and_leaves_the_end_out(
    table: MarketTable, capsys: pytest.CaptureFixture[str]
) -> None:
    history, end = table.ranges["all"].first, table.ranges["validation"].last
    until = str(table.time[end])[:10]
    for line in (f"--walk-forward 200 60 --until {until}", "--walk-forward 200 60 --until 0.85"):
        lines = said(capsys, line)
        assert lines[-1] == f"folds: {len(lines) - 3}; bars left over at the end: {(end + 1 - history - 260) % 60}"
        assert lines[-2].endswith("(60)")
    assert f"bars {history}..{end} " in lines[0]
    expanding = said(capsys, "--walk-forward 200 60 --expanding --step 100 --history 300")
    assert len(expanding) == 3 + 2
    assert all("bars 300.." in line for line in expanding[:1] + expanding[2:-1])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "one of the arguments --walk-forward --cpcv is required"),
        ("--cpcv 3", "argument --cpcv: expected 2 arguments"),
        ("--cpcv 3 x", "invalid int value: 'x'"),
        ("--cpcv 3 1 --walk-forward 5 5", "not allowed with argument"),
        ("--cpcv 3 1 --step 2", "--expanding and --step are for --walk-forward"),
        ("--cpcv 3 1 --expanding", "--expanding and --step are for --walk-forward"),
        (
            "--cpcv 3 1 --until soon",
            "--until: must be a date such as 2015-12-31, or a share of the bars such as 0.7, got",
        ),
        ("--cpcv 3 1 --until 1980-01-01", "0 bars in 3 groups leave one of them no decision"),
        ("--cpcv 3 1 --history 9999", "0 bars in 3 groups leave one of them no decision"),
        ("--walk-forward 9999 10", "9999 + 10 bars do not fit in"),
        ("--cpcv 3 1 --purg 2", "unknown argument '--purg'. Did you mean '--purge'?"),
    ],
)
def test_the_command_refuses_in_a_line(table: MarketTable, line: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        folds_command.command(line.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
