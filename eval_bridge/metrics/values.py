"""What every section works with: arrays, what counts as rounding, and figures that are not defined."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
TimeArray = npt.NDArray[np.datetime64]

ROUNDING = 1e-12  # share of its scale below which a deviation or a loss is rounding, not a fact


class Undefined(float):
    """A figure that is not defined: not a number, and why."""

    reason: str

    def __new__(cls, reason: str) -> "Undefined":
        """Return NaN with a reason, a short clause without a full stop."""
        self = super().__new__(cls, "nan")
        self.reason = reason
        return self


class Figures(NamedTuple):
    """Figures by name; each NaN among the values has its reason beside it."""

    values: dict[str, float]
    undefined: dict[str, str]


def gather(figures: Mapping[str, float]) -> Figures:
    """Return plain numbers (whole ones stay int), with the reasons of those that are not defined apart."""
    values = {name: value if isinstance(value, int) else float(value) for name, value in figures.items()}
    undefined = [name for name, value in values.items() if np.isnan(value)]
    return Figures(values, {name: getattr(figures[name], "reason", "it is not a number") for name in undefined})


def deviation(values: FloatArray, scale: float | None = None) -> float:
    """Return the standard deviation with ddof 1; exactly 0 where it is no more than rounding.

    Args:
        values: Numbers, [n], n >= 2.
        scale: Size of the numbers that the values were computed from, in their unit. A return is a quotient less
            one, so its last digits are those of the quotient: the default is the largest |1 + value|.
    """
    if scale is None:
        scale = float(np.max(np.abs(1 + values)))
    found = float(np.std(values, ddof=1))
    return found if found > ROUNDING * scale else 0.0
