"""Normalisation of features: statistics of the training range only, frozen ever after."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.config import MarketConfig
from jaxtrade.errors import InputError

FloatArray = npt.NDArray[np.float64]
RANKS = np.linspace(-1.0, 1.0, 101)  # of the quantiles 0, 1, ..., 100 %
NORMAL_IQR = 0.7413  # standard deviation / interquartile range of a normal distribution
CONSTANT = 1e-12  # a spread up to this is none


class Scaler(NamedTuple):
    """Statistics of each of `F` features, pooled over symbols.

    `zscore` and `robust` are (raw - center) / spread; `none` has center 0 and spread 1; `rank` is the place among the
    `Q` quantiles, in [-1, 1]. All are clipped to plus or minus `clip`.
    """

    kind: str
    center: FloatArray  # [F]
    spread: FloatArray  # [F]
    knots: FloatArray  # [F, Q] quantiles of `rank`; [F, 0] otherwise
    clip: float


def fit_scaler(raw_rows: FloatArray, config: MarketConfig) -> Scaler:
    """Fit the scaler that `config.normalize` names.

    Args:
        raw_rows: Training rows, [..., F]; those with a missing feature are left out.
        config: Kind and clip.

    Raises:
        InputError: No row is complete.
    """
    rows = raw_rows[np.isfinite(raw_rows).all(axis=-1)]
    if not len(rows):
        raise InputError("range 'train'", "no bar has all features", "Give more bars, or shorten the feature spans")
    features = rows.shape[1]
    center, spread, knots = np.zeros(features), np.ones(features), np.empty((features, 0))
    if config.normalize == "zscore":
        center, spread = rows.mean(axis=0), _spread(rows.std(axis=0))
    elif config.normalize == "robust":
        low, center, high = np.quantile(rows, (0.25, 0.5, 0.75), axis=0)
        # Half of the values alike, as volumes of illiquid symbols, leave no interquartile range.
        spread = np.where(high - low > CONSTANT, NORMAL_IQR * (high - low), _spread(rows.std(axis=0)))
    elif config.normalize == "rank":
        knots = np.ascontiguousarray(np.quantile(rows, np.linspace(0.0, 1.0, len(RANKS)), axis=0).T)
    return Scaler(config.normalize, center, spread, knots, config.clip)


def _spread(std: FloatArray) -> FloatArray:
    """Return the standard deviations, and 1 for constants."""
    return np.where(std > CONSTANT, std, 1.0)


def apply_scaler(scaler: Scaler, raw: FloatArray) -> npt.NDArray[np.float32]:
    """Return normalised features as float32, [..., F]; a missing feature stays NaN."""
    if scaler.kind == "rank":
        scaled = np.empty_like(raw)
        for f, knots in enumerate(scaler.knots):
            scaled[..., f] = _rank(raw[..., f], knots)
    else:
        scaled = (raw - scaler.center) / scaler.spread
    return np.clip(scaled, -scaler.clip, scaler.clip).astype(np.float32)


def _rank(values: FloatArray, knots: FloatArray) -> FloatArray:
    """Return the places of values among quantiles, [...] in [-1, 1]: the middle of the ranks of equal ones."""
    known, first, count = np.unique(knots, return_index=True, return_counts=True)
    return np.asarray(np.interp(values, known, (RANKS[first] + RANKS[first + count - 1]) / 2))


def scaler_record(scaler: Scaler) -> dict[str, Any]:
    """Return a scaler as plain numbers and lists, which JSON keeps exactly."""
    lists = {name: getattr(scaler, name).tolist() for name in ("center", "spread", "knots")}
    return {"kind": scaler.kind, "clip": scaler.clip, **lists}


def scaler_from(record: dict[str, Any]) -> Scaler:
    """Return the scaler of a `scaler_record`."""
    arrays = {name: np.array(record[name], np.float64) for name in ("center", "spread", "knots")}
    return Scaler(kind=record["kind"], clip=record["clip"], **arrays)
