"""docs/features.md says what the registry holds, and the example works."""

import re

import numpy as np
import pytest

from examples.my_feature import from_the_high, wicks
from jaxtrade.market.features import FEATURES, Feature, compute, feature_names
from tests.helpers.feature_bars import make_config, walk
from tests.helpers.planting import ROOT

TEXT = (ROOT / "docs" / "features.md").read_text("utf-8")
OTHER = {"macd": (3, 40, 30), "bollinger": (7, 1.5), "stochastic": (9, 2, 5)}


def table(text: str) -> dict[str, list[str]]:
    """Return the cells of each row of the table of features, by name."""
    rows = [[cell.strip() for cell in line.strip("| \n").split("|")] for line in text.splitlines()]
    return {row[0].strip("`"): row[1:] for row in rows if len(row) == 6 and row[0].startswith("`")}


def disagreements(text: str, registry: dict[str, Feature]) -> list[str]:
    """Return where the table and the registry differ."""
    rows = table(text)
    found = [f"{name} is in one of them only" for name in rows.keys() ^ registry.keys()]
    for name in rows.keys() & registry.keys():
        columns, _, _, defaults, bars = rows[name]
        entry = registry[name]
        if tuple(re.findall(r"`([^`]+)`", columns)) != feature_names(make_config({name: None})):
            found.append(f"columns of {name}")
        numbers = ", ".join(map(str, entry.defaults))
        if defaults != (f"each of `{numbers}`" if entry.each else f"`{numbers}`" if numbers else ""):
            found.append(f"defaults of {name}")
        names = [parameter.name for parameter in entry.parameters]
        for values in (entry.defaults[: len(names)], OTHER.get(name, (37,) * len(names))):
            if eval(bars.strip("`"), {"max": max}, dict(zip(names, values, strict=True))) != entry.warm_up(*values):
                found.append(f"warm-up of {name}")
    return found


def test_the_table_is_the_registry() -> None:
    assert len(table(TEXT)) == len(FEATURES) >= 18
    assert disagreements(TEXT, FEATURES) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("`9 * period` |\n| `adx`", "`8 * period` |\n| `adx`", "warm-up of atr"),
        ("`percent_b_20` `bandwidth_20`", "`percent_b_20`", "columns of bollinger"),
        ("`14, 3, 3`", "`14, 3, 2`", "defaults of stochastic"),
        ("| `gap` |", "| `gaps` |", "gap is in one of them only"),
    ],
)
def test_a_table_gone_stale_is_caught(old: str, new: str, complaint: str) -> None:
    assert TEXT.count(old) == 1
    assert complaint in disagreements(TEXT.replace(old, new), FEATURES)


def test_the_examples_compute_what_they_say() -> None:
    bars = walk(300, seed=3)
    config = make_config({"examples.my_feature:from_the_high": 30, "examples.my_feature:wicks": None})
    assert feature_names(config) == ("from_the_high_30", "upper_wick_10", "lower_wick_10")
    found = compute(bars, config)
    assert found.ready[:, 0].tolist() == [t >= 50 for t in range(300)]
    for t in (50, 299):
        high = max(bars.high[t - 29 : t + 1, 0])
        assert found.raw[t, 0, 0] == pytest.approx(np.log(bars.close[t, 0] / high))
    assert (found.raw[50:, 0, 1:] > 0).all()
    assert from_the_high.warm_up(30) == 29
    assert wicks.warm_up(4) == 20
