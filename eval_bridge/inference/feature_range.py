"""The range of each feature in training, and whether what a policy looks at lies within it.

A network knows nothing about inputs beyond those it was trained on. Features are compared as the policy sees them:
normalised by the statistics of training, and clipped.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from jaxtrade.errors import InputError
from jaxtrade.market.table import MarketTable

FloatArray = npt.NDArray[np.float32]
Ranges = tuple[tuple[float, float], ...]  # [F] lowest and highest value of each feature
MARGIN = 0.1  # of a range's width, allowed beyond either end


def feature_range(table: MarketTable) -> Ranges:
    """Return the lowest and the highest value of each feature over the rows that training looks at."""
    first = table.ranges["train"].first - (table.window - 1)
    rows = table.features[first : table.ranges["train"].last + 1].reshape(-1, len(table.feature_names))
    return tuple(zip(rows.min(axis=0).tolist(), rows.max(axis=0).tolist(), strict=True))


def require_inside(rows: FloatArray, ranges: Ranges, names: Sequence[str], symbols: Sequence[str]) -> None:
    """Refuse features that training never came near.

    Args:
        rows: [W, N, F] features that the decision looks at.
        ranges: [F] as `feature_range` gives them.
        names: [F] of the features.
        symbols: [N].

    Raises:
        InputError: A value lies beyond its range by more than a tenth of the range's width.
    """
    low, high = np.array(ranges, np.float64).T
    width = np.maximum(high - low, 1e-6)
    beyond = np.nan_to_num(np.maximum(low - rows, rows - high) / width, nan=np.inf)  # [W, N, F] widths
    if not np.any(beyond > MARGIN):
        return
    row, symbol, feature = (int(place) for place in np.unravel_index(int(np.argmax(beyond)), beyond.shape))
    others = int(np.sum(np.any(beyond > MARGIN, axis=0))) - 1
    what = (
        f"{symbols[symbol]} is {rows[row, symbol, feature]:.4g}, training saw {low[feature]:.4g} to {high[feature]:.4g}"
        + (f"; so are {others} more" if others else "")
    )
    raise InputError(f"feature '{names[feature]}'", what, "Train on such data, or use --allow-outside")
