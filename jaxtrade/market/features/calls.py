"""What the config's features come to: calls of functions with their parameters, on one interval each."""

from typing import NamedTuple

from jaxtrade.config import MarketConfig
from jaxtrade.errors import InputError, did_you_mean
from jaxtrade.importing import told
from jaxtrade.market.features.indicators import FEATURES
from jaxtrade.market.features.intervals import parse_interval
from jaxtrade.market.features.registry import Feature, complaint
from jaxtrade.market.features.user import REMEDY, load_feature


class Call(NamedTuple):
    """One feature with its parameters, on one interval."""

    where: str  # for messages
    feature: Feature
    values: tuple[float, ...]
    own: bool  # a user's
    seconds: int  # of the interval
    names: tuple[str, ...]
    warm_up: int  # in bars of the interval


def base_interval(config: MarketConfig) -> int:
    """Return the seconds of the bars' own interval, which the config must have resolved."""
    if config.interval is None:
        raise ValueError("config.interval is not resolved")
    return config.interval


def calls_of(config: MarketConfig) -> tuple[Call, ...]:
    """Return the calls in the order of their columns.

    Raises:
        InputError: A feature is not known, its parameters are wrong, or two columns have one name.
    """
    base = base_interval(config)
    calls = tuple(call for key, values in config.features.items() for call in _calls(key, values, base))
    names = [name for call in calls for name in call.names]
    for call in calls:
        twice = next((name for name in call.names if names.count(name) > 1), None)
        if twice is not None:
            raise InputError(call.where, f"the column {twice} is there twice", "Leave one of them out, or rename it")
    return calls


def _calls(key: str, given: tuple[float, ...], base: int) -> list[Call]:
    """Return the calls that one entry of the config asks for."""
    where = f"market.features '{key}'"
    name, at, interval = key.partition("@")
    seconds = parse_interval(where, interval, base) if at else base
    own = ":" in name
    if not own and name not in FEATURES:
        raise InputError(where, "no such feature", did_you_mean(name, FEATURES))
    found = load_feature(where, name) if own else FEATURES[name]
    sets: list[tuple[float, ...]]
    if found.each:
        sets = [(value,) for value in given or found.defaults]
    else:
        rest = (parameter.default for parameter in found.parameters[len(given) :])
        sets = [(*given, *(value for value in rest if value is not None))]
    calls = []
    for values in sets:
        if wrong := complaint(found, values):
            raise InputError(where, wrong, "See docs/features.md")
        names, bars = _declared(where, found, values)
        calls.append(Call(where, found, values, own, seconds, tuple(each + at + interval for each in names), bars))
    return calls


def _declared(where: str, found: Feature, values: tuple[float, ...]) -> tuple[tuple[str, ...], int]:
    """Return names and warm-up of a call; InputError if they are none."""
    try:
        names, bars = found.names(*values), found.warm_up(*values)
    except Exception as error:  # these may be a user's
        raise InputError(where, f"names or warm_up fails: {told(error)}", REMEDY) from None
    sound = isinstance(names, tuple) and names and all(isinstance(name, str) for name in names)
    if not sound or not isinstance(bars, int) or isinstance(bars, bool) or bars < 0:
        what = f"gives names {names!r} and a warm-up of {bars!r}"
        raise InputError(where, what, "Give a tuple of texts, and a whole number of bars")
    return names, bars
