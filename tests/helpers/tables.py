"""Market tables compared bit by bit."""

from dataclasses import fields
from typing import Any

import numpy as np

from jaxtrade.market.table import MarketTable


def assert_same_table(one: MarketTable, two: MarketTable) -> None:
    """Check that two tables agree in everything: dtypes, bits, ranges, statistics, configuration, hash, report."""
    for field in fields(MarketTable):
        assert_same(field.name, getattr(one, field.name), getattr(two, field.name))


def assert_same(name: str, one: Any, two: Any) -> None:
    assert type(one) is type(two), name
    if isinstance(one, np.ndarray):
        assert (one.dtype, one.shape) == (two.dtype, two.shape), name
        assert one.tobytes() == two.tobytes(), name
    elif isinstance(one, tuple) and hasattr(one, "_fields"):
        for part in one._fields:
            assert_same(f"{name}.{part}", getattr(one, part), getattr(two, part))
    else:
        assert one == two, name
