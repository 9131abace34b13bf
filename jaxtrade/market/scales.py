"""Normalisation of features: statistics of the training range only, frozen ever after."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from jaxtrade.errors import InputError

FloatArray = npt.NDArray[np.float64]


class Scaler(NamedTuple):
    """z-score of each feature, pooled over symbols, clipped."""

    mean: FloatArray  # [F]
    std: FloatArray  # [F]
    clip: float


def fit_scaler(raw: FloatArray, clip: float) -> Scaler:
    """Fit on raw training rows, [T, N, F]; rows with a missing feature are left out, constants get std 1.

    Raises:
        InputError: No row is complete.
    """
    rows = raw[np.isfinite(raw).all(axis=-1)]
    if not len(rows):
        raise InputError("range 'train'", "no bar has all features", "Give more bars, or shorten the feature spans")
    std = rows.std(axis=0)
    return Scaler(mean=rows.mean(axis=0), std=np.where(std > 1e-12, std, 1.0), clip=clip)


def apply_scaler(scaler: Scaler, raw: FloatArray) -> npt.NDArray[np.float32]:
    """Return normalised features as float32, [..., F]; a missing feature stays NaN."""
    return np.clip((raw - scaler.mean) / scaler.std, -scaler.clip, scaler.clip).astype(np.float32)
