"""Every number of the statistics that was published elsewhere, and what the usual mistakes give instead."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from eval_bridge.honesty.overfitting import overfitting
from eval_bridge.honesty.sharpe import (
    Sample,
    deflated_sharpe,
    expected_maximum,
    luck_threshold,
    minimum_backtest_years,
    minimum_track_record,
    probabilistic_sharpe,
    sample_of,
    standard_error,
    trial_variance,
)
from jaxtrade.errors import InputError

MONTHLY = Sample(sharpe=0.458, bars=24)  # Bailey and López de Prado (2012)
SKEWED = MONTHLY._replace(skew=-2.448, kurtosis=10.164)
DAILY = Sample(sharpe=2.5 / math.sqrt(250), bars=1250, skew=-3.0, kurtosis=10.0)  # the same authors (2014)
TRIALS, VARIANCE = 100, 0.5 / 250  # their V is of annual ratios


def test_probabilistic_sharpe_as_published() -> None:
    assert probabilistic_sharpe(MONTHLY) == pytest.approx(0.981675, abs=5e-7)
    assert probabilistic_sharpe(SKEWED) == pytest.approx(0.913361, abs=5e-7)


@pytest.mark.parametrize(("trials", "expected"), [(10, 1.574598), (100, 2.530603), (1000, 3.255122)])
def test_expected_maximum_as_published(trials: int, expected: float) -> None:
    assert expected_maximum(trials) == pytest.approx(expected, abs=5e-7)


def test_expected_maximum_is_that_of_drawn_numbers() -> None:
    random = np.random.default_rng(0)
    for trials in (10, 100):
        drawn = random.normal(size=(20_000, trials)).max(axis=1).mean()
        assert expected_maximum(trials) == pytest.approx(drawn, rel=0.03)
    assert expected_maximum(1) == expected_maximum(0) == 0


def test_deflated_sharpe_as_published() -> None:
    assert luck_threshold(TRIALS, VARIANCE) == pytest.approx(0.113172, abs=5e-7)
    assert deflated_sharpe(DAILY, TRIALS, VARIANCE) == pytest.approx(0.90039683, abs=5e-9)


@dataclass(frozen=True)
class Wrong:
    """A usual mistake, and what it gives."""

    sample: Sample
    variance: float
    gives: float
    digits: float


WRONG = {
    "excess kurtosis": Wrong(DAILY._replace(kurtosis=7.0), VARIANCE, 0.90178, 5e-6),
    "error of one trial for the spread of all": Wrong(DAILY, 1 / (DAILY.bars - 1), 0.99327, 5e-6),
    "annual ratio": Wrong(DAILY._replace(sharpe=2.5), 0.5, 0.99999994, 5e-9),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_versions_give_what_they_are_known_to_give(name: str) -> None:
    wrong = WRONG[name]
    found = deflated_sharpe(wrong.sample, TRIALS, wrong.variance)
    assert found == pytest.approx(wrong.gives, abs=wrong.digits)
    assert abs(found - deflated_sharpe(DAILY, TRIALS, VARIANCE)) > 1e-3


def test_lengths_and_errors_as_published() -> None:
    assert minimum_backtest_years(1.0, 45) == pytest.approx(4.9981, abs=5e-5)
    assert standard_error(Sample(1.5, 60)) == pytest.approx(0.1882, abs=5e-5)


def test_a_track_record_of_the_minimum_length_is_just_long_enough() -> None:
    """The probabilistic Sharpe ratio over that many bars is the confidence asked for."""
    for sample, threshold in ((MONTHLY, 0.0), (SKEWED, 0.1), (DAILY, 0.05)):
        bars = minimum_track_record(sample, threshold)
        enough = sample._replace(bars=bars)  # type: ignore[arg-type]
        assert probabilistic_sharpe(enough, threshold) == pytest.approx(0.95, abs=1e-12)
    assert math.isnan(minimum_track_record(MONTHLY, 0.458))
    assert math.isnan(minimum_backtest_years(-0.1, 10))
    assert minimum_backtest_years(1.0, 1) == 0


def test_the_error_of_lo_is_that_of_drawn_returns() -> None:
    random = np.random.default_rng(1)
    drawn = random.normal(0.2, 1.0, (4000, 120))
    found = np.std(drawn.mean(axis=1) / drawn.std(axis=1, ddof=1))
    assert standard_error(Sample(0.2, 120)) == pytest.approx(found, rel=0.04)


def test_moments_are_those_of_the_formulas() -> None:
    """ddof 1 in the ratio, moments over T, kurtosis of the normal distribution 3: against scipy."""
    from scipy import stats

    returns = np.random.default_rng(2).standard_t(5, 4000) * 0.01 + 0.001
    sample = sample_of(returns)
    assert sample.sharpe == pytest.approx(np.mean(returns) / np.std(returns, ddof=1), rel=1e-12)
    assert sample.skew == pytest.approx(stats.skew(returns), rel=1e-9)
    assert sample.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False), rel=1e-9)
    assert sample.kurtosis > 4
    assert sample_of(np.random.default_rng(3).normal(size=50_000)).kurtosis == pytest.approx(3, abs=0.1)
    assert math.isnan(probabilistic_sharpe(sample_of(np.zeros(100))))
    assert math.isnan(probabilistic_sharpe(sample_of(np.array([0.1]))))


def test_the_variance_of_trials_is_never_less_than_luck() -> None:
    assert trial_variance((), 101) == trial_variance((0.3,), 101) == trial_variance((0.3, 0.3), 101) == 0.01
    assert trial_variance((0.1, 0.5, 0.9), 101) == pytest.approx(0.16)
    assert trial_variance((), 1) == 1


def test_overfitting_of_noise_is_about_one_half() -> None:
    random = np.random.default_rng(4)
    found = [overfitting(random.normal(size=(640, 20)), blocks=10).probability for _ in range(40)]
    assert 0.4 < np.mean(found) < 0.6


def test_overfitting_is_rare_where_one_is_better_and_sure_where_it_turns() -> None:
    random = np.random.default_rng(5)
    noise = random.normal(size=(640, 10))
    better = noise + np.array([0.5, *np.zeros(9)])
    found = overfitting(better)
    assert len(found.logits) == math.comb(16, 8) == 12_870
    assert found.probability == 0
    assert found.logits.max() == pytest.approx(math.log(10 / 1))  # first of ten: w = 10 / 11
    turning = (
        np.where(np.arange(16).repeat(40)[:, None] % 2 == 0, 1.0, -1.0) * random.normal(1.0, 0.01, (1, 10)) + noise
    )
    assert overfitting(turning).probability > 0.6


def test_overfitting_by_hand() -> None:
    """Four blocks of two bars, two strategies whose ratios are plain to see."""
    first = np.array([3.0, 1, 3, 1, -1, -3, -1, -3])  # good in blocks 0, 1, bad in 2, 3
    second = np.array([0.2, -0.1] * 4)  # a little good everywhere
    found = overfitting(np.stack([first, second], axis=1), blocks=4)
    ratio = lambda series: np.mean(series) / np.std(series, ddof=1)  # noqa: E731
    logits = []
    for inside in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        bars = np.isin(np.arange(8) // 2, inside)
        best = max((first, second), key=lambda series: ratio(series[bars]))
        other = second if best is first else first
        rank = 2 if ratio(best[~bars]) > ratio(other[~bars]) else 1
        logits.append(math.log(rank / 3 / (1 - rank / 3)))
    np.testing.assert_allclose(found.logits, logits)
    assert found.probability == pytest.approx(np.mean(np.array(logits) <= 0))


@pytest.mark.parametrize(("shape", "blocks"), [((100, 1), 16), ((100, 3), 5), ((31, 3), 16)])
def test_what_cannot_be_cut_is_refused(shape: tuple[int, int], blocks: int) -> None:
    with pytest.raises(InputError, match="cannot be cut"):
        overfitting(np.zeros(shape), blocks)
