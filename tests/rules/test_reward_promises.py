"""What every reward promises: finite, bounded memory, free of scale, the same in both engines, weighed linearly."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.rules import Known, Outcome, Record, advance, observe, open_account, rewards
from jaxtrade.rules.rewards import BOUND, REWARDS, Reward, combine
from tests.helpers.plain_rewards import Numbers
from tests.helpers.reward_episodes import SPELLS, Episode, episode_of, params_of, record_of, run
from tests.helpers.rule_worlds import WORLDS, Array, start_of, trade

RATIOS = ("differential_sharpe", "differential_sortino")
# Rewards have a tolerance of their own in float32, of the largest reward: a ratio divides by a small deviation.
NARROW = {"calmar": 2e-5, "differential_sharpe": 5e-4, "differential_sortino": 5e-4}


def check_float32(name: str, records: list[Record]) -> None:
    wanted = run(REWARDS[name], records)
    error = np.abs(run(REWARDS[name], records, xp=jnp) - wanted).max() / np.abs(wanted).max()
    assert error <= NARROW.get(name, 1e-6), f"off by {error:.3g} of the largest reward"


@pytest.mark.parametrize("name", REWARDS)
def test_float32_under_jax_gives_the_same(name: str) -> None:
    check_float32(name, Episode().records)


def test_raw_moments_in_float32_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The textbook recursion, with the variance as the difference of two moments."""

    def raw(xp: object, memory: tuple, record: Record, params: object) -> tuple[tuple, Array]:
        r, (a, b, count) = record.pnl / record.equity_before, memory
        variance = xp.maximum(b - a * a, 1e-8 + xp.zeros_like(a))
        reward = (b * (r - a) - 0.5 * a * (r * r - b)) / variance**1.5
        rate = xp.maximum(1 / (count + 1), params.adaptation + xp.zeros_like(a))
        return (a + rate * (r - a), b + rate * (r * r - b), count + 1), xp.where(count >= 20, reward, 0 * reward)

    steady = [record_of(0.2 + 0.1 * record.pnl) for record in Episode(volatility=0.02).records]
    check_float32("differential_sharpe", steady)
    monkeypatch.setitem(REWARDS, "differential_sharpe", Reward(raw, (0.0,) * 3, (1.0,) * 3))
    with pytest.raises(AssertionError, match="off by"):
        check_float32("differential_sharpe", steady)


# Finite ---------------------------------------------------------------------------------------------------------------


def check_finite(name: str, returns: Array, xp: object, adaptation: float = 0.01) -> None:
    records = episode_of(returns).records
    found = run(REWARDS[name], records, params_of(Numbers(adaptation=adaptation)), xp)
    assert np.all(np.isfinite(found)), f"not finite from bar {np.argmax(~np.isfinite(found))} on"
    most = BOUND if name in RATIOS else 1e4
    assert np.abs(found).max() <= most, f"a reward of {np.abs(found).max():.3g}"


@pytest.mark.parametrize("spell", SPELLS)
@pytest.mark.parametrize("name", REWARDS)
def test_rewards_are_finite(name: str, spell: str) -> None:
    check_finite(name, SPELLS[spell], np)


@pytest.mark.parametrize("name", REWARDS)
def test_rewards_are_finite_in_float32(name: str) -> None:
    check_finite(name, np.concatenate([SPELLS[spell] for spell in ("flat after noise", "constant", "ruin")]), jnp)


@pytest.mark.parametrize("adaptation", [1e-6, 0.5, 1.0])
@pytest.mark.parametrize("name", RATIOS)
def test_ratios_are_finite_at_any_adaptation(name: str, adaptation: float) -> None:
    check_finite(name, SPELLS["flat after noise"], np, adaptation)


@pytest.mark.filterwarnings("ignore:divide by zero|invalid value|overflow:RuntimeWarning")
@pytest.mark.parametrize("guard", ["FLOOR", "BOUND"])
def test_a_ratio_without_its_guard_would_be_noticed(guard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without floor NaN, without bound thousands, after a spell of zero returns."""
    monkeypatch.setattr(rewards, guard, {"FLOOR": 0.0, "BOUND": 1e12}[guard])
    with pytest.raises(AssertionError, match={"FLOOR": "not finite", "BOUND": "a reward of"}[guard]):
        check_finite("differential_sharpe", SPELLS["one gain in a flat market"], np)


def test_every_reward_is_finite_where_an_account_is_ruined() -> None:
    """By way of the rules, with all rewards at once; ruin pays what the loss down to the floor pays."""
    world = WORLDS["positions"]
    every = world.env.model_copy(update={"reward": dict.fromkeys(REWARDS, 1.0)})
    moments = trade(world._replace(env=every, bars=60))
    assert sum(moment.record.ruined.sum() for moment in moments) > 20
    for moment in moments:
        assert np.all(np.isfinite(moment.record.reward))
        for value in moment.account.memory:
            assert np.all(np.isfinite(value))


def test_ruin_pays_the_logarithm_of_what_is_left_in_float32() -> None:
    """A levered account falls to a floor of a ten-thousandth; log(1 + pnl / E) has no digits left there."""
    env = EnvConfig(action="target_weight", max_leverage=3.0, ruin_percent=0.01, reward={"log_return": 1, "calmar": 1})
    book, zero = rule_book(env), jnp.zeros(1)
    params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), rule_params(env, ("A",)))
    start = open_account(jnp, book, zero)
    step = jax.jit(lambda *bar: advance(jnp, book, params, start, *bar)[1])
    for move in (-0.3334, -0.5, -0.999):
        outcome = Outcome(zero, zero + move, zero == 0, jnp.float32(0.003))
        record = step(zero + 3, Known(zero == 0), outcome)
        assert record.equity == jnp.float32(1e-4)
        np.testing.assert_allclose(record.reward, np.log(1e-4) * (1 + 1 / (1 - 1e-4)), rtol=1e-6)


# Memory ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REWARDS)
def test_memory_is_a_few_numbers_whatever_the_length(name: str) -> None:
    reward, params = REWARDS[name], params_of()
    assert len(reward.start) == len(reward.scale) <= 3
    memory = tuple(np.full(3, value) for value in reward.start)
    for record in Episode(bars=300).records:
        memory, _ = reward.step(np, memory, record, params)
        assert isinstance(memory, tuple)
        assert [np.shape(value) for value in memory] == [(3,)] * len(reward.start)


@pytest.mark.parametrize("spell", SPELLS)
def test_the_policy_sees_the_memory_bounded(spell: str) -> None:
    env = EnvConfig(reward=dict.fromkeys(REWARDS, 1.0))
    book, params = rule_book(env), rule_params(env, ("A",))
    account = open_account(np, book, np.zeros(1))
    for r in SPELLS[spell]:
        memory, _ = book.reward(np, account.memory, record_of(r, 1.0), params_of(weights=(1.0,) * len(REWARDS)))
        account = account._replace(memory=memory)
        view = observe(np, book, account, Known(np.array([True])), params).account
        assert view.shape == (3 + 9,)
        assert np.all(np.abs(view) <= 1)


# Scale ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in REWARDS if name != "fast_profit"])
@pytest.mark.parametrize("factor", [1e-3, 7.0])
def test_the_size_of_the_account_plays_no_part(name: str, factor: float) -> None:
    """(But for fast_profit, which speaks of the starting capital; prices and capital are in test_invariances.py.)"""
    records = Episode().records
    scaled = ("pnl", "equity_before", "equity", "realized", "closing_fees")
    other = [record._replace(**{each: factor * getattr(record, each) for each in scaled}) for record in records]
    np.testing.assert_allclose(run(REWARDS[name], other), run(REWARDS[name], records), rtol=1e-11, atol=1e-11)


def test_profit_in_money_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REWARDS, "profit", rewards.stateless(lambda xp, record: record.pnl))
    with pytest.raises(AssertionError):
        test_the_size_of_the_account_plays_no_part("profit", 7.0)


# Weights --------------------------------------------------------------------------------------------------------------


Combine = Callable[[tuple[Reward, ...]], Reward]


def check_weighing(combined: Combine) -> None:
    """The weighted sum of all, in any order, is the sum of each alone."""
    records, random = Episode().records, np.random.default_rng(2)
    for _ in range(3):
        names = [str(name) for name in random.permutation(list(REWARDS))]
        weights = tuple(random.normal(size=len(names)))
        found = run(combined(tuple(REWARDS[name] for name in names)), records, params_of(weights=weights))
        alone = sum(weight * run(REWARDS[name], records) for name, weight in zip(names, weights, strict=True))
        np.testing.assert_allclose(found, alone, rtol=1e-12, atol=1e-12)


def test_rewards_are_weighed_linearly_and_keep_their_own_memory() -> None:
    check_weighing(combine)


def test_a_memory_that_is_shared_would_be_noticed() -> None:
    def careless(parts: tuple[Reward, ...]) -> Reward:
        whole = combine(parts)
        most = max(len(part.start) for part in parts)

        def step(xp: object, memory: tuple, record: Record, params: object) -> tuple[tuple, Array]:
            after, total = (), 0
            for number, part in enumerate(parts):
                after, reward = part.step(xp, memory[: len(part.start)], record, params)
                memory = (*after, *memory[len(after) :])
                total = total + params.weights[number] * reward
            return memory, total

        return whole._replace(step=step, start=whole.start[:most], scale=whole.scale[:most])

    with pytest.raises(AssertionError):
        check_weighing(careless)


def test_weights_are_traced() -> None:
    """Other weights, the same programme."""
    traces = []
    reward = combine((REWARDS["log_return"], REWARDS["calmar"]))

    @jax.jit
    def step(memory: tuple, record: Record, params: object) -> tuple[tuple, jax.Array]:
        traces.append(1)
        return reward.step(jnp, memory, record, params)

    narrow = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, None if x.dtype == bool else jnp.float32), tree)  # noqa: E731
    memory, record = narrow(tuple(np.array(value) for value in reward.start)), narrow(record_of(0.02))
    found = [
        float(step(memory, record, narrow(params_of(weights=w)))[1]) for w in ((1.0, 0.0), (0.0, 1.0), (2.0, -3.0))
    ]
    assert len(traces) == 1
    np.testing.assert_allclose(found[2], 2 * found[0] - 3 * found[1], rtol=1e-6)


# Trap T28 -------------------------------------------------------------------------------------------------------------


def test_a_tiny_sure_gain_does_not_beat_a_larger_risky_one() -> None:
    """Log utility: of 0.1 % with a deviation of 1 %, and 0.001 % for sure, the first; and the order of the ends."""
    random = np.random.default_rng(28)
    risky, sure = random.normal(1e-3, 1e-2, (2000, 32)), np.full((2000, 32), 1e-5)
    total = {
        name: run(REWARDS["log_return"], [record_of(r) for r in path]).sum(axis=0)
        for name, path in (("risky", risky), ("sure", sure))
    }
    assert np.all(total["risky"] > total["sure"])
    np.testing.assert_allclose(np.exp(total["risky"]), np.prod(1 + risky, axis=0), rtol=1e-10)


def paid(name: str, returns: Array) -> Array:
    """Return what a reward pays in all for returns, [bars, accounts]."""
    return run(REWARDS[name], [record_of(r) for r in returns], params_of(Numbers())).sum(axis=0)


@pytest.mark.parametrize("gain", [1e-6, 1e-4, 1e-3])
@pytest.mark.parametrize("name", RATIOS)
def test_a_ratio_pays_nothing_for_a_constant_gain(name: str, gain: float) -> None:
    """Where no deviation is left the ratio is as large as it gets, and stays."""
    np.testing.assert_allclose(paid(name, np.full((2000, 1), gain)), 0, atol=1e-6)


@pytest.mark.parametrize("name", RATIOS)
def test_a_ratio_pays_nothing_to_speak_of_for_tiny_positions(name: str) -> None:
    """Returns scaled down to next to nothing, below the floor of the deviation."""
    returns = np.random.default_rng(29).normal(5e-4, 1e-2, (2000, 32))
    for weight in (0.005, 0.001):
        assert np.abs(paid(name, weight * returns).mean()) < 1e-3 * len(returns)


def test_a_ratio_that_pays_for_standing_still_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The floor as a deviation like any other: the ratio of the paper, taken where it is no derivative."""

    def naive(xp: object, memory: tuple, record: Record, params: object) -> tuple[tuple, Array]:
        after, reward = sharpe.step(xp, memory, record, params)
        mean, variance, count = memory
        deviation = np.sqrt(np.maximum(variance, 1e-8))
        z, ratio = (record.pnl - mean) / deviation, mean / deviation
        return after, np.where((variance <= 1e-8) & (count >= 20), z + 0.5 * ratio * (1 - z * z), reward)

    sharpe = REWARDS["differential_sharpe"]
    monkeypatch.setitem(REWARDS, "differential_sharpe", sharpe._replace(step=naive))
    with pytest.raises(AssertionError):
        test_a_ratio_pays_nothing_for_a_constant_gain("differential_sharpe", 1e-4)
    with pytest.raises(AssertionError):
        test_a_ratio_pays_nothing_to_speak_of_for_tiny_positions("differential_sharpe")


def test_the_rules_pay_the_reward_of_the_record() -> None:
    """`advance` pays what the reward says of its own record, and keeps its memory."""
    world = WORLDS["weights"]._replace(lanes=3, bars=30)
    env = world.env.model_copy(update={"reward": {"calmar": 2.0, "differential_sharpe": -0.5}})
    world = world._replace(env=env)
    memory = start_of(world).memory
    for moment in trade(world):
        memory, reward = moment.book.reward(np, memory, moment.record, moment.params.reward)
        np.testing.assert_array_equal(moment.record.reward, reward)
        for kept, wanted in zip(moment.account.memory, memory, strict=True):
            np.testing.assert_array_equal(kept, wanted)
