"""Normalisers: statistics by hand, of the rows given and no others, exact through JSON."""

import json
import math

import numpy as np
import pytest

from jaxtrade.config import MarketConfig
from jaxtrade.errors import InputError
from jaxtrade.market.scales import Scaler, apply_scaler, fit_scaler, scaler_from, scaler_record

KINDS = ("zscore", "robust", "rank", "none")
NAN = math.nan
ROWS = np.random.default_rng(1).normal(0.3, [1e-3, 1.0, 50.0], (500, 3))


def config(kind: str, clip: float = 5.0) -> MarketConfig:
    return MarketConfig.model_validate({"normalize": kind, "clip": clip})


def fit(rows: object, kind: str, clip: float = 5.0) -> Scaler:
    return fit_scaler(np.array(rows, np.float64), config(kind, clip))


def column(kind: str, train: list[float], values: list[float], clip: float = 5.0) -> list[float]:
    """Return what values become under the statistics of others, for one feature."""
    return apply_scaler(fit([[each] for each in train], kind, clip), np.array(values)[:, None])[:, 0].tolist()


def test_zscore_is_what_it_was() -> None:
    """Bit for bit: mean and standard deviation over the rows, 1 for a constant, clipped, then float32."""
    raw = np.concatenate([ROWS, np.full((500, 1), 7.0)], axis=1).reshape(250, 2, 4)
    scaler = fit(raw, "zscore")
    rows = raw.reshape(500, 4)
    std = rows.std(axis=0)
    np.testing.assert_array_equal(scaler.center, rows.mean(axis=0))
    np.testing.assert_array_equal(scaler.spread, np.where(std > 1e-12, std, 1.0))
    assert scaler.spread[3] == 1
    expected = np.clip((raw - scaler.center) / scaler.spread, -5.0, 5.0).astype(np.float32)
    np.testing.assert_array_equal(apply_scaler(scaler, raw), expected)


def test_zscore_by_hand() -> None:
    assert column("zscore", [1, 3], [2, 3, 100, NAN], clip=4.0) == [0, 1, 4, pytest.approx(NAN, nan_ok=True)]


def test_robust_by_hand() -> None:
    """Median 3, quartiles 2 and 4; one wild value changes neither."""
    spread = 0.7413 * 2
    assert column("robust", [1, 2, 3, 4, 1e9], [3, 4, 0]) == pytest.approx([0, 1 / spread, -3 / spread])
    assert column("robust", [1, 2, 3, 4, 1e9], [1e9]) == [5]
    assert column("robust", [0, 0, 0, 0, 0, 0, 0, 10], [0, 10]) == pytest.approx([0, 10 / (10 * math.sqrt(7) / 8)])
    assert column("robust", [7, 7], [7, 8]) == [0, 1]


def test_robust_is_the_zscore_of_a_normal_distribution() -> None:
    wide = np.random.default_rng(2).normal(5.0, 3.0, (200_000, 1))
    scaler = fit(wide, "robust")
    assert scaler.center[0] == pytest.approx(5, abs=0.03)
    assert scaler.spread[0] == pytest.approx(3, rel=0.01)


def test_rank_by_hand() -> None:
    """A hundred and one values 0, 10, ..., 1000 are their own quantiles."""
    train = [10.0 * each for each in range(101)]
    assert column("rank", train, [0, 500, 505, 1000, 1e9, -1e9]) == pytest.approx([-1, 0, 0.01, 1, 1, -1])
    assert column("rank", train, [1000, NAN], clip=0.5) == [0.5, pytest.approx(NAN, nan_ok=True)]


def test_equal_values_have_the_middle_of_their_ranks() -> None:
    train = [0.0] * 50 + [1.0] * 50  # quantiles 0 to 49 % are 0, 50 % is 0.5, 51 to 100 % are 1
    assert column("rank", train, [-1, 0, 0.25, 0.5, 1, 2]) == pytest.approx([-0.51, -0.51, -0.255, 0, 0.51, 0.51])
    assert column("rank", [7.0] * 20, [6.9, 7.0, 7.1]) == [0, 0, 0]


def test_ranks_rise_and_spread_evenly() -> None:
    scaled = apply_scaler(fit(ROWS, "rank"), np.sort(ROWS, axis=0))
    assert (np.diff(scaled, axis=0) >= 0).all()
    np.testing.assert_allclose(scaled, np.linspace(-1, 1, 500)[:, None] + np.zeros(3), atol=0.02)


def test_none_only_clips() -> None:
    assert column("none", [1, 2, 3], [0.25, -7, 7]) == [0.25, -5, 5]


@pytest.mark.parametrize("kind", KINDS)
def test_rows_that_lack_a_feature_are_left_out(kind: str) -> None:
    holed = np.concatenate([ROWS, [[NAN, 1e6, 1e6], [1e6, 1e6, np.inf]]])
    for left, right in zip(fit(holed, kind)[1:4], fit(ROWS, kind)[1:4], strict=True):
        np.testing.assert_array_equal(left, right)
    with pytest.raises(InputError, match="range 'train': no bar has all features"):
        fit(np.full((4, 1, 2), NAN), kind)
    with pytest.raises(InputError, match="range 'train': no bar has all features"):
        fit(np.empty((0, 2)), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_panels_and_rows_are_the_same(kind: str) -> None:
    panel = fit(ROWS[:498].reshape(166, 3, 3), kind)
    for left, right in zip(panel[1:4], fit(ROWS[:498], kind)[1:4], strict=True):
        np.testing.assert_array_equal(left, right)
    scaled = apply_scaler(panel, ROWS)
    assert scaled.dtype == np.float32
    np.testing.assert_array_equal(apply_scaler(panel, ROWS[:498].reshape(166, 3, 3)).reshape(498, 3), scaled[:498])
    for end in (1, 50, 101, 499):  # one row at a time or all at once: the same bits, in training and in inference
        np.testing.assert_array_equal(apply_scaler(panel, ROWS[end - 1 : end]), scaled[end - 1 : end])


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_is_exact(kind: str) -> None:
    scaler = fit(ROWS, kind, clip=3.3)
    again = scaler_from(json.loads(json.dumps(scaler_record(scaler))))
    assert (again.kind, again.clip) == (kind, 3.3)
    assert again.knots.shape == ((3, 101) if kind == "rank" else (3, 0))
    for name in ("center", "spread", "knots"):
        left, right = getattr(scaler, name), getattr(again, name)
        assert left.dtype == right.dtype == np.float64
        np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(apply_scaler(scaler, ROWS), apply_scaler(again, ROWS))


@pytest.mark.parametrize("kind", ["zscore", "robust", "rank"])
def test_rows_of_the_test_range_would_show(kind: str) -> None:
    """The planted fault: statistics of all rows instead of the training rows."""
    drifting = ROWS + np.linspace(0, 3, 500)[:, None] * ROWS.std(axis=0)
    honest, leaking = fit(drifting[:350], kind), fit(drifting, kind)
    assert (apply_scaler(honest, drifting[:350]) != apply_scaler(leaking, drifting[:350])).mean() > 0.9
