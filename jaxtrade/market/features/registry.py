"""What a feature is: a causal function of one symbol's bars that declares its warm-up."""

import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
RowArray = npt.NDArray[np.intp]
Columns = FloatArray | tuple[FloatArray, ...]  # [T], or [T, K], or a tuple of [T]
LONGEST = 100_000  # bars of a span: what TA-Lib takes


class SymbolBars(NamedTuple):
    """The bars of one symbol without gaps, read-only. `T` bars, every value finite."""

    time: npt.NDArray[np.datetime64]  # [T] datetime64[s], UTC: when the bar starts, however the data is labelled
    open: FloatArray  # [T]
    high: FloatArray  # [T]
    low: FloatArray  # [T]
    close: FloatArray  # [T]
    volume: FloatArray  # [T], 0 where there is none

    def take(self, rows: slice | RowArray) -> "SymbolBars":
        """Return some of the bars."""
        return SymbolBars(
            self.time[rows], self.open[rows], self.high[rows], self.low[rows], self.close[rows], self.volume[rows]
        )


class Parameter(NamedTuple):
    """A number that a feature takes."""

    name: str
    whole: bool
    default: float | None  # None: it must be given
    least: float | None  # smallest value


class Feature(NamedTuple):
    """A causal feature; made by the decorator `feature`."""

    compute: Callable[..., Columns]  # (bars: SymbolBars, *parameters) -> columns; row t from bars up to t
    warm_up: Callable[..., int]  # (*parameters) -> bars that must lie before the first one with the feature
    names: Callable[..., tuple[str, ...]]  # (*parameters) -> names of the columns
    parameters: tuple[Parameter, ...]
    defaults: tuple[float, ...]  # what the config's empty list of parameters means
    each: bool  # True: every number in the config makes its own columns; False: together they make one call
    rule: Callable[..., str | None]  # (*parameters) -> what is wrong with them as a whole


def feature(
    *,
    warm_up: Callable[..., int],
    names: Callable[..., tuple[str, ...]] | None = None,
    each: tuple[float, ...] = (),
    least: tuple[float, ...] = (),
    rule: Callable[..., str | None] = lambda *_: None,
) -> Callable[[Callable[..., Columns]], Feature]:
    """Make a `Feature` of a function `(bars, *parameters) -> columns`.

    A parameter annotated `int` takes whole numbers only.

    Args:
        warm_up: `(*parameters) -> bars` that must lie before the first one whose value is used.
        names: `(*parameters) -> names` of the columns (default: one, the function's name and its parameters).
        each: Defaults of a feature of one parameter for which every number makes its own columns.
        least: The smallest value of each parameter.
        rule: `(*parameters) -> complaint or None`.
    """

    def decorate(function: Callable[..., Columns]) -> Feature:
        signature = list(inspect.signature(function).parameters.values())[1:]
        parameters = tuple(_parameter(p, least[i] if i < len(least) else None) for i, p in enumerate(signature))
        given = tuple(p.default for p in parameters if p.default is not None)

        def plain_name(*values: float) -> tuple[str, ...]:
            return ("_".join((function.__name__, *map(in_name, values))),)

        return Feature(function, warm_up, names or plain_name, parameters, each or given, bool(each), rule)

    return decorate


def _parameter(found: inspect.Parameter, least: float | None) -> Parameter:
    default = None if found.default is inspect.Parameter.empty else found.default
    if found.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD or not isinstance(default, int | float | None):
        raise TypeError(f"parameter {found.name} of a feature must be a plain number")
    return Parameter(found.name, found.annotation in (int, "int"), default, least)


def in_name(value: float) -> str:
    """Return a parameter as it appears in names: 20, 2.5."""
    return f"{value:g}" if value != int(value) else str(int(value))


def complaint(feature: Feature, values: tuple[float, ...]) -> str | None:
    """Return what is wrong with the parameters of one call, or None."""
    names = ", ".join(parameter.name for parameter in feature.parameters)
    if len(values) > len(feature.parameters):
        return f"takes {f'only {names}' if names else 'no parameters'}, got {_listed(values)}"
    if len(values) < len(feature.parameters):
        return f"needs {names}, got {_listed(values) or 'nothing'}"
    for parameter, value in zip(feature.parameters, values, strict=True):
        if parameter.whole and value != int(value):
            return f"{parameter.name} must be a whole number, got {value:g}"
        if parameter.least is not None and value < parameter.least:
            return f"{parameter.name} must be at least {parameter.least:g}, got {value:g}"
        if parameter.whole and parameter.least is not None and value > LONGEST:
            return f"{parameter.name} must be at most {LONGEST}, got {value:g}"
    return feature.rule(*values)


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(map(in_name, values))
