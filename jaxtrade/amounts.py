"""Configured amounts: one number, a number by symbol, or a range to draw from; and weighted names."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtrade.errors import InputError

Amount = float | tuple[float, float] | dict[str, float]
DEFAULT = "default"  # the symbol that stands for all others


@dataclass(frozen=True)
class AmountRule:
    """Parses an amount, at least 0: a number, `[low, high]`, or `{symbol: number}` (`symbol=number` as text)."""

    above: float | None = None
    below: float | None = None
    most: float | None = None
    ranges: bool = True
    by_symbol: bool = True

    def __call__(self, value: Any) -> Amount:
        """Return the amount; ValueError with the rule it breaks."""
        items = _pairs(value)
        if isinstance(items, dict) and items and self.by_symbol:
            return {str(symbol): self.number(amount) for symbol, amount in items.items()}
        if isinstance(items, list) and len(items) == 2 and self.ranges:
            low, high = self.number(items[0]), self.number(items[1])
            if low >= high:
                raise ValueError("must rise from the lower to the upper end of the range")
            return low, high
        if isinstance(items, dict | list):
            kinds = [", a range of two"] * self.ranges + [", numbers by symbol"] * self.by_symbol
            raise ValueError("must be a number" + "".join(kinds))
        return self.number(items)

    def number(self, value: Any) -> float:
        """Return one number; ValueError with the rule it breaks."""
        found = _number(value)
        rules = [
            (found < 0, "at least 0"),
            (self.above is not None and found <= self.above, f"greater than {self.above}"),
            (self.below is not None and found >= self.below, f"less than {self.below}"),
            (self.most is not None and found > self.most, f"at most {self.most}"),
        ]
        for broken, rule in rules:
            if broken:
                raise ValueError(f"must be {rule}")
        return found


def parse_weights(value: Any) -> dict[str, float]:
    """Parse a name, or names with weights, into {name: weight}; names are judged where they are looked up."""
    items = _pairs([value] if isinstance(value, str) else value)
    if isinstance(items, str):
        items = {items: 1.0}
    if not isinstance(items, dict) or not items:
        raise ValueError("must be a name, or names with weights")
    weights = {str(name): _number(weight) for name, weight in items.items()}
    if not any(weights.values()):
        raise ValueError("needs a weight other than 0")
    return weights


def _number(value: Any) -> float:
    try:
        found = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise ValueError("must be a number")
    return found


def _pairs(value: Any) -> Any:
    """Read a list from the command line: one item is that item, `name=number` items are a mapping."""
    if not isinstance(value, list | tuple):
        return value
    if value and all(isinstance(item, str) and "=" in item for item in value):
        return dict(item.rsplit("=", 1) for item in value)
    return value[0] if len(value) == 1 else list(value)


def middle(amount: Amount) -> float | dict[str, float]:
    """Return the amount that holds where nothing is drawn: of a range, its middle."""
    return (amount[0] + amount[1]) / 2 if isinstance(amount, tuple) else amount


def by_symbol(name: str, amount: float | dict[str, float], symbols: Sequence[str]) -> list[float]:
    """Return an amount for each symbol, or one for all.

    Raises:
        InputError: The amount names unknown symbols, or leaves some out and has no default.
    """
    if not isinstance(amount, dict):
        return [amount]
    unknown = [symbol for symbol in amount if symbol != DEFAULT and symbol not in symbols]
    if unknown:
        raise InputError(f"env.{name}", f"names {unknown[0]!r}, which is not traded", "Symbols: " + ", ".join(symbols))
    missing = [symbol for symbol in symbols if symbol not in amount and DEFAULT not in amount]
    if missing:
        raise InputError(f"env.{name}", f"has no amount for {missing[0]!r}", f"Add it, or '{DEFAULT}'")
    return [amount.get(symbol, amount.get(DEFAULT, 0.0)) for symbol in symbols]
