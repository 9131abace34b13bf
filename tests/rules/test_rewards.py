"""Every reward against a plain reference, written from its formula and its source."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from jaxtrade.rules import rewards
from jaxtrade.rules.rewards import BOUND, REWARDS, WARM_UP
from tests.helpers.plain_rewards import PLAIN, Bar, Numbers
from tests.helpers.reward_episodes import NUMBERS, SPELLS, Episode, episode_of, params_of, record_of, run

RATIOS = ("differential_sharpe", "differential_sortino")


# Against the reference ------------------------------------------------------------------------------------------------


def check_reference(name: str, episode: Episode, bars: Sequence[Sequence[Bar]] | None = None) -> None:
    """Hold a reward against the reference, over an episode or over other bars."""
    found = run(REWARDS[name], episode.records)
    for account in range(episode.accounts):
        wanted = PLAIN[name](episode.plain(account) if bars is None else bars[account], NUMBERS)
        np.testing.assert_allclose(found[:, account], wanted, rtol=1e-9, atol=1e-9)


def test_every_reward_has_a_reference() -> None:
    assert set(PLAIN) == set(REWARDS)


@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_is_its_formula(name: str) -> None:
    check_reference(name, Episode())


@pytest.mark.parametrize("spell", SPELLS)
@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_is_its_formula_in_odd_markets(name: str, spell: str) -> None:
    episode = episode_of(SPELLS[spell])
    wanted = PLAIN[name](episode.plain(0), NUMBERS)
    np.testing.assert_allclose(run(REWARDS[name], episode.records)[:, 0], wanted, rtol=1e-7, atol=1e-7)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", REWARDS)
def test_a_reward_is_its_formula_for_long(name: str, seed: int) -> None:
    check_reference(name, Episode(seed=seed, bars=600))


@pytest.mark.parametrize("name", REWARDS)
def test_another_number_would_be_noticed(name: str) -> None:
    """The profit of one bar is off by a millionth of the capital."""
    episode = Episode()
    bars = [episode.plain(account) for account in range(episode.accounts)]
    record = episode.records[150]
    episode.records[150] = record._replace(pnl=record.pnl + 1e-6, realized=record.realized + 1e-6)
    with pytest.raises(AssertionError):
        check_reference(name, episode, bars)


@pytest.mark.parametrize(
    ("attribute", "wrong", "name"),
    [
        ("WARM_UP", WARM_UP - 1, "differential_sharpe"),
        ("WARM_UP", WARM_UP + 1, "differential_sortino"),
        ("DEEPEST", 0.04, "calmar"),
        ("_rate", lambda xp, count, params: params.adaptation + 0 * count, "differential_sharpe"),
        ("_rate", lambda xp, count, params: 1 / (count + 2), "differential_sortino"),
    ],
)
def test_another_rule_would_be_noticed(attribute: str, wrong: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rewards, attribute, wrong)
    with pytest.raises(AssertionError):
        check_reference(name, Episode())


# One by one -----------------------------------------------------------------------------------------------------------


def ratio_of(a: float, b: float, name: str) -> float:
    """Return the Sharpe ratio of two moving moments, or the downside deviation ratio."""
    return a / np.sqrt(b - a * a) if name == "differential_sharpe" else a / np.sqrt(b)


@pytest.mark.parametrize("name", RATIOS)
def test_a_differential_ratio_is_a_derivative(name: str) -> None:
    """D is d/de of the ratio whose moments take the bar with weight e, at e = 0: here by central differences."""
    records = Episode(seed=4, accounts=1, bars=120).records
    found, r = (
        run(REWARDS[name], records)[:, 0],
        np.array([record.pnl[0] / record.equity_before[0] for record in records]),
    )
    power = (lambda r: r * r) if name == "differential_sharpe" else (lambda r: min(r, 0.0) ** 2)
    a = b = 0.0
    for count, value in enumerate(r):
        if count >= WARM_UP:
            up, down = (ratio_of(a + e * (value - a), b + e * (power(value) - b), name) for e in (1e-5, -1e-5))
            np.testing.assert_allclose(found[count], (up - down) / 2e-5, rtol=1e-5, atol=1e-5)
        rate = max(1 / (count + 1), NUMBERS.adaptation)
        a, b = a + rate * (value - a), b + rate * (power(value) - b)
    assert np.all(found[:WARM_UP] == 0)
    assert np.all(np.abs(found) < BOUND), "an episode in which nothing is clipped"


@pytest.mark.parametrize("name", RATIOS)
@pytest.mark.parametrize("shock", [0.9, -0.9])
def test_one_bar_pays_a_bounded_ratio(name: str, shock: float) -> None:
    found = run(REWARDS[name], [*Episode(accounts=1, bars=60).records, record_of([shock])])
    assert np.abs(found[-1]) == BOUND


def test_log_returns_telescope() -> None:
    episode = Episode(bars=400)
    end = episode.records[-1].equity
    np.testing.assert_allclose(run(REWARDS["log_return"], episode.records).sum(axis=0), np.log(end), rtol=1e-12)


def test_calmar_telescopes_to_the_last_ratio() -> None:
    episode = Episode(bars=400)
    curve = np.stack([np.ones(3), *(record.equity for record in episode.records)])
    deepest = np.max(1 - curve / np.maximum.accumulate(curve, axis=0), axis=0)
    assert np.all(deepest > 0.05)
    wanted = np.log(curve[-1]) / deepest
    np.testing.assert_allclose(run(REWARDS["calmar"], episode.records).sum(axis=0), wanted, rtol=1e-11)


def test_calmar_divides_by_five_percent_at_least() -> None:
    found = run(REWARDS["calmar"], [record_of(0.01, 1.0), record_of(-0.01, 1.01)])
    np.testing.assert_allclose(found.sum(), 0.0, atol=1e-15)
    np.testing.assert_allclose(found[0], np.log(1.01) / 0.05, rtol=1e-12)


PARTS = {
    "gains": ({"realized": 0.05, "closing_fees": 0.01}, Numbers(gain_weight=3.0, loss_weight=7.0), 3 * 0.04 / 2),
    "losses": ({"realized": -0.05, "closing_fees": 0.01}, Numbers(gain_weight=3.0, loss_weight=7.0), -7 * 0.06 / 2),
    "a gain that its fees eat": ({"realized": 0.01, "closing_fees": 0.03}, Numbers(loss_weight=2.0), -2 * 0.02 / 2),
    "idling": ({"idle": [20.0, 0.0]}, Numbers(idle_decay=0.4), -0.4 * (0.5 + 0) / 2),
    "trading": ({"turnover": 1e-9}, Numbers(trade_penalty=0.3), -0.3),
    "neither": ({"turnover": 0.0}, Numbers(trade_penalty=0.3, idle_decay=0.4), 0.0),
    "an open loss": ({}, Numbers(), 0.0),
}


@pytest.mark.parametrize("part", PARTS)
def test_realized_profit_part_by_part(part: str) -> None:
    fields, numbers, wanted = PARTS[part]
    found = run(REWARDS["realized_profit"], [record_of(-0.3, 2.0, **fields)], params_of(numbers))
    np.testing.assert_allclose(found, [wanted], rtol=1e-14, atol=1e-17)
