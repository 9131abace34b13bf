"""Interquartile means, their intervals, and the overfitting of the choice among candidates."""

import json

import numpy as np
import pytest

from eval_bridge.honesty.overfitting import overfitting
from tests.helpers.planting import ROOT
from train.programme.intervals import Interval, candidate_overfitting, difference_interval, iqm, iqm_interval

NAN = float("nan")


def scores(candidates: int, iterations: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.02, 0.05, (candidates, iterations))


@pytest.mark.parametrize("shape", [(1,), (2,), (3,), (4,), (5,), (8,), (7, 3), (8, 10)])
def test_the_mean_is_that_of_scipy(shape: tuple[int, ...]) -> None:
    from scipy.stats import trim_mean

    values = np.random.default_rng(1).normal(size=shape)
    assert iqm(values) == pytest.approx(trim_mean(values, 0.25, axis=None), rel=1e-14)


def test_the_mean_by_hand() -> None:
    assert iqm([100.0, 1.0, 2.0, -50.0]) == 1.5
    assert iqm([3.0, 1.0]) == 2.0
    assert np.isnan(iqm([]))


def test_a_failed_candidate_counts_as_the_worst() -> None:
    assert iqm([1.0, 2.0, 3.0, NAN]) == 1.5  # sorted: failed, 1, 2, 3
    assert np.isnan(iqm([1.0, 2.0, NAN, NAN]))
    assert np.isnan(iqm([1.0, 2.0, NAN]))  # of three nothing is cut off
    assert iqm_interval([1.0, 2.0, NAN, NAN]) == Interval(None, None, None, 0.95)
    some = iqm_interval([1.0, 2.0, 3.0, NAN])
    assert some.iqm == 1.5 and some.low is None and some.high is not None  # two failures are drawn often


def test_the_interval_is_reproducible_and_holds_the_mean() -> None:
    table = scores(8, 6)
    found = iqm_interval(table)
    assert found == iqm_interval(table) != iqm_interval(table, seed=1)
    assert found.low < found.iqm < found.high
    wider, narrower = iqm_interval(table, level=0.99), iqm_interval(table, level=0.5)
    assert wider.high - wider.low > found.high - found.low > narrower.high - narrower.low
    json.dumps(found._asdict(), allow_nan=False)


def test_the_percentiles_are_those_of_a_plain_loop() -> None:
    from scipy.stats import trim_mean

    table, generator = scores(5, 3), np.random.default_rng(9)
    chosen = generator.integers(5, size=(300, 5, 3))
    drawn = [trim_mean([[table[row[k, m], m] for m in range(3)] for k in range(5)], 0.25, axis=None) for row in chosen]
    low, high = np.quantile(drawn, [0.05, 0.95])
    found = iqm_interval(table, level=0.9, resamples=300, seed=9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)


def test_candidates_are_drawn_within_their_iteration() -> None:
    table = np.arange(6.0)[None] * 10 + np.zeros((4, 1))  # alike candidates, iterations far apart
    assert iqm_interval(table) == Interval(25.0, 25.0, 25.0, 0.95)


def test_one_candidate_has_no_interval_and_one_iteration_is_a_column() -> None:
    assert iqm_interval([[1.0, 2.0, 3.0]]) == Interval(2.0, None, None, 0.95)
    assert iqm_interval([1.0, 2.0, 4.0]) == iqm_interval([[1.0], [2.0], [4.0]])


def test_a_difference_has_the_sign_of_a_less_b() -> None:
    table = scores(8, 5)
    found = difference_interval(table + 0.5, table)
    assert found.iqm == pytest.approx(0.5) and 0 < found.low < 0.5 < found.high
    same = difference_interval(table, table)
    assert same.low < 0 < same.high  # each is resampled for itself
    one = iqm_interval(table)
    assert same.high - same.low > 1.2 * (one.high - one.low)
    assert difference_interval(table, table[:1]) == Interval(
        pytest.approx(iqm(table) - iqm(table[:1])), None, None, 0.95
    )
    assert difference_interval([NAN, NAN], [NAN, NAN]) == Interval(None, None, None, 0.95)


def coverage(candidates: int, iterations: int, tables: int) -> float:
    """Return how often the interval holds the mean of the population, 0 for a symmetric one."""
    generator = np.random.default_rng(5)
    levels = generator.normal(0, 0.02, iterations)  # iterations differ a little in what can be reached
    levels -= levels.mean()
    found = (
        iqm_interval(levels + 0.05 * generator.normal(size=(candidates, iterations)), resamples=500)
        for _ in range(tables)
    )
    return sum(each.low <= 0 <= each.high for each in found) / tables


@pytest.mark.nightly
def test_intervals_cover_what_the_docs_say() -> None:
    text = (ROOT / "docs" / "schedules.md").read_text("utf-8")
    for candidates, iterations, covered in ((2, 1, 46), (4, 1, 87), (8, 1, 94), (2, 8, 79), (4, 8, 90), (8, 8, 93)):
        assert 100 * coverage(candidates, iterations, 1500) == pytest.approx(covered, abs=2)
        assert f"| {candidates} | {iterations} | {covered} % |" in text


def returns(bars: int, candidates: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.01, (bars, candidates))


def test_overfitting_is_that_of_the_bridge() -> None:
    table = returns(640, 5)
    found = candidate_overfitting(table)
    assert found == {"probability": found["probability"], "blocks": 16, "strategies": 5, "why": None}
    assert found["probability"] == pytest.approx(overfitting(table).probability)
    better = table.copy()
    better[:, 2] += 0.01
    assert candidate_overfitting(better)["probability"] == 0
    json.dumps(found, allow_nan=False)


def test_few_bars_make_fewer_blocks() -> None:
    found = candidate_overfitting(returns(95, 4))
    assert found["blocks"] == 8 and found["probability"] == overfitting(returns(95, 4)[:, [0, 1, 2, 3]], 8).probability
    assert found["why"] == "8 blocks instead of 16: 95 bars make no more of 10 bars each"


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (returns(640, 1), "there are fewer than two candidates"),
        (returns(640, 0), "there are fewer than two candidates"),
        (np.repeat(returns(640, 1), 4, axis=1), "all candidates traded alike"),
        (np.zeros((640, 4)), "all candidates traded alike"),
        (returns(59, 4), "59 bars make fewer than 6 blocks of 10"),
        (returns(0, 4), "0 bars make fewer than 6 blocks of 10"),
        (np.where(np.arange(640)[:, None] == 5, NAN, returns(640, 3)), "a candidate has returns that are not finite"),
    ],
)
def test_there_is_a_reason_where_there_is_no_probability(table: np.ndarray, why: str) -> None:
    found = candidate_overfitting(table)
    assert found["probability"] is None and found["why"] == why


def test_candidates_that_trade_alike_count_once() -> None:
    table = returns(640, 3)
    twins = np.concatenate([table, table[:, :1], table[:, :1]], axis=1)
    assert candidate_overfitting(twins) == candidate_overfitting(table)
