"""The catalog is the one list of figures: the page and metrics.json follow it, and nothing is left undocumented."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eval_bridge.metrics import FIGURES, GROUPS, calendar, curve_metrics
from eval_bridge.metrics.catalog import UNITS
from eval_bridge.metrics.schema import CALENDAR, HONESTY, KEYS, OPTIONAL, check_schema
from tests.helpers.curves import business_days, equity_of
from tests.helpers.metrics_page import PAGE, generated

NAMES = """final_equity total_return annual_return annual_volatility sharpe sortino calmar omega max_drawdown
max_drawdown_days value_at_risk expected_shortfall skew kurtosis best_bar worst_bar exposure time_in_market
turnover_per_year fees commission stamp_duty spread slippage borrow interest dividends delisting_loss shortfall fills
trades open_trades hit_rate profit_factor expectancy sqn best_trade worst_trade average_bars_held blocked_orders
rejected_orders ruined alpha beta information_ratio correlation"""


def test_the_page_is_what_the_code_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert generated(page) == page, "run python -m tests.helpers.metrics_page"


def test_every_figure_is_in_the_catalog_once_and_in_full() -> None:
    assert FIGURES.keys() == set(NAMES.split())
    for name, figure in FIGURES.items():
        assert figure.name == name
        assert figure.kind in UNITS
        assert figure.convention.endswith(".")
    assert len({figure.title for figure in FIGURES.values()}) == len(FIGURES)
    groups = [figure.group for figure in FIGURES.values()]
    assert list(dict.fromkeys(groups)) == list(GROUPS) == sorted(set(groups), key=groups.index)
    assert groups == sorted(groups, key=list(GROUPS).index)  # a group stands together


def document() -> dict[str, Any]:
    """Return a metrics.json of an equity curve, with the figures of the account made up."""
    time = business_days(400)
    curve = curve_metrics(time, equity_of(np.random.default_rng(5).normal(0, 0.01, 399)))
    nothing: dict[str, Any] = {name: {} for name in KEYS if name not in OPTIONAL}
    return nothing | {
        "calendar": calendar(time),
        "policy": {name: curve.values.get(name, 1.0) for name in FIGURES},
        "undefined": curve.undefined,
        "baselines": {"cash": {"sharpe": None}, "random": {"paths": 100, "percentile": 0.5}},
        "honesty": dict.fromkeys(HONESTY, 0.5),
    }


def test_a_whole_document_passes() -> None:
    assert check_schema(document()) == []
    assert check_schema(document() | {"stress": {}, "stochastic": {}}) == []


BROKEN: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a part is missing": (lambda d: d.pop("honesty"), "honesty: missing"),
    "a part is new": (lambda d: d.update(extra=1), "extra: not documented"),
    "a figure is missing": (lambda d: d["policy"].pop("sharpe"), "policy.sharpe: missing"),
    "a figure is new": (lambda d: d["policy"].update(treynor=1.0), "policy.treynor: not documented"),
    "a reason is missing": (lambda d: d["undefined"].pop("beta"), "policy.beta: null without a reason"),
    "a reason too many": (lambda d: d["undefined"].update(sharpe="?"), "undefined.sharpe: the figure has a value"),
    "another order": (
        lambda d: d["policy"].update(final_equity=d["policy"].pop("final_equity")),
        "policy: the figures are not in the order of the catalog",
    ),
    "a baseline's own figure": (lambda d: d["baselines"]["cash"].update(x=1), "baselines.cash.x: not documented"),
    "the calendar": (lambda d: d["calendar"].pop("years"), "calendar.years: missing"),
    "honesty": (lambda d: d["honesty"].update(luck=1), "honesty.luck: not documented"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_what_is_not_as_documented_is_named(fault: str) -> None:
    break_it, complaint = BROKEN[fault]
    broken = copy.deepcopy(document())
    break_it(broken)
    assert complaint in check_schema(broken)


def test_the_calendar_says_how_it_was_annualised() -> None:
    found = calendar(business_days(11, "2024-01-01"))
    assert tuple(found) == CALENDAR
    assert (found["first"], found["last"], found["bars"]) == ("2024-01-01T00:00:00", "2024-01-15T00:00:00", 10)
    assert found["years"] * found["periods_per_year"] == pytest.approx(10)
