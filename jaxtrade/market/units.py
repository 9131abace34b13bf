"""Names and numbers that the whole data room shares: prices, lengths of time, and the usual step of some times."""

import numpy as np
import numpy.typing as npt

PRICES = ("open", "high", "low", "close")
MINUTE, HOUR, DAY, WEEK = 60, 3600, 86_400, 604_800  # seconds
MONDAY = 4 * DAY  # the first Monday after the epoch began, 1970-01-05


def commonest(steps: npt.NDArray[np.int64]) -> int:
    """Return the commonest of some steps, the smallest of equals; 0 if there are none."""
    if not steps.size:
        return 0
    values, counts = np.unique(steps, return_counts=True)
    return int(values[np.argmax(counts)])


def epoch_seconds(time: npt.NDArray[np.datetime64]) -> npt.NDArray[np.int64]:
    """Return times as seconds since 1970, the same shape."""
    return time.astype("datetime64[s]").astype(np.int64)
