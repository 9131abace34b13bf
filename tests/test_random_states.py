"""One bar from random states: JAX in float32 against NumPy in float64, given identical inputs.

Of those with the same discrete choices the equities agree; where choices differ, the float64 rules change their own
answer within `EPSILON` of the inputs (train/parity.py). Counts are logged (`--log-cli-level=INFO`).

Float32 cannot hold an equity that is a small difference of large amounts. `M` is the most money that the bar moved
around, |cash| + sum|position| + traded, at the close before, at the open, or at the close after. Measured over 10^6
states: where M <= 8 E', which is all but 4 %, the equities E' agree to 9e-7; everywhere they agree to 2e-7 M.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.rules import Account, Record
from tests.helpers.random_states import Kind, States, random_states, widen
from train.parity import Bars, any_apart, apart, reachable, step, unexplained

COUNT = 3400
CLOSE, LARGE, ROUNDING = 1e-6, 8.0, 2e-7
RARE = 1e-3  # of the choices of one kind, [accounts, symbols], may differ
LOG = logging.getLogger(__name__)

KINDS = [
    Kind("proportional", lots=True),
    Kind("discrete9"),
    Kind("positions", short=True),
    Kind("continuous", 7, short=True, lots=True),
    Kind("continuous", 50),
    Kind("target_weight", 20),
    Kind("target_weight", 3, short=True, lots=True),
    Kind("orders", 5, short=True, lots=True),
    Kind("orders", 2),
]


def all_kinds() -> list[Kind]:
    """Return every kind of action, long and short, with and without lots; 1 to 50 symbols, each number in turn."""
    flags = [(short, lots) for short in (False, True) for lots in (False, True)]
    one = [Kind(action, 1, *flag) for action in ("proportional", "discrete9") for flag in flags if not flag[0]]
    one += [Kind("positions", 1, *flag) for flag in flags]
    many = [(action, flag) for action in ("continuous", "target_weight", "orders") for flag in flags]
    sizes = 2 + 13 * np.arange(48) % 48
    return [
        *one,
        *(Kind(action, int(sizes[4 * n + i]), *flag) for n, (action, flag) in enumerate(many) for i in range(4)),
        Kind("target_weight", 50, short=True, lots=True),
    ]


class Lived(NamedTuple):
    """What one engine made of the states."""

    after: Account
    record: Record
    choices: dict[str, np.ndarray]


class Found(NamedTuple):
    """How far apart two engines are."""

    same: np.ndarray  # [B] bool: all choices are the same
    relative: np.ndarray  # [B] of equity
    large: np.ndarray  # [B] M / E'


def in_numpy(kind: Kind, states: States) -> Lived:
    return Lived(*step(np, kind.book, *states.each(widen)))


@lru_cache
def program_of(kind: Kind) -> Callable[..., Any]:
    book = kind.book
    return jax.jit(jax.vmap(lambda *each: step(jnp, book, *each)))


def in_jax(kind: Kind, states: States) -> Lived:
    after, record, made = jax.tree.map(np.asarray, program_of(kind)(*states))
    assert {leaf.dtype for leaf in jax.tree.leaves((after, record))} == {np.dtype(np.float32), np.dtype(bool)}
    return Lived(after, record, made)


def most_money(states: States, lived: Lived) -> np.ndarray:
    """Return M, [B]."""
    before, after, record = states.account, lived.after, lived.record
    at_open = before.position * (1 + states.outcome.gap)
    amounts = [
        (before.cash, before.position, 0 * before.position),
        (before.cash, at_open, record.fill_value),
        (after.cash, after.position, record.mark_value),
    ]
    return np.max([np.abs(c) + np.sum(np.abs(p) + np.abs(v), axis=-1) for c, p, v in amounts], axis=0)


def compare(found: Lived, wanted: Lived, states: States) -> Found:
    equity = wanted.record.equity
    relative = np.abs(found.record.equity - equity) / equity
    assert np.all(np.isfinite(relative))
    differs = any_apart(apart(found.choices, wanted.choices))
    return Found(~differs, relative, most_money(states.each(widen), wanted) / equity)


def check_equity(found: Found) -> None:
    """Assert that equities agree wherever the choices do."""
    relative, large = found.relative[found.same], found.large[found.same]
    assert np.all(relative <= CLOSE * np.maximum(1, ROUNDING / CLOSE * large * (large > LARGE))), (
        f"equity differs by {relative.max():.3g}; by {np.max(relative / large):.3g} M"
    )


def check_choices(kind: Kind, states: States, found: Lived, wanted: Lived) -> int:
    """Assert that differing choices are few and explained; return the number of accounts that differ."""
    differs = apart(found.choices, wanted.choices)
    bad = np.flatnonzero(any_apart(differs))
    few = {name: each.mean() for name, each in differs.items() if each.any()}
    assert all(share <= RARE for share in few.values()), f"choices differ too often: {few}"
    if len(bad):
        params, *given = states.each(lambda leaf: widen(leaf[bad]))
        mine, theirs = ({name: each[bad] for name, each in lived.choices.items()} for lived in (found, wanted))
        left = unexplained(mine, theirs, reachable(kind.book, params, Bars(*given)))
        assert not left, f"choices differ without a reason: {left}"
    return len(bad)


def run(kind: Kind, count: int, seed: int = 0) -> tuple[Found, int]:
    states = random_states(kind, count, seed)
    jax_lived, numpy_lived = in_jax(kind, states), in_numpy(kind, states)
    explained = check_choices(kind, states, jax_lived, numpy_lived)
    found = compare(jax_lived, numpy_lived, states)
    check_equity(found)
    return found, explained


def report(name: str, found: Found, explained: int) -> None:
    relative, large = found.relative[found.same], found.large[found.same]
    small = large <= LARGE
    LOG.info(
        "%s: %d states, %d with other choices, all explained, 0 unexplained; equity differs by %.3g where M <= 8 E'; "
        "of %d others by %.3g, which is %.3g M; %d above 1e-6",
        name, len(found.same), explained, relative[small].max(), np.sum(~small), relative[~small].max(initial=0),
        np.max(relative / large), np.sum(relative > CLOSE),
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_bar_in_float32_is_a_bar_in_float64(kind: Kind) -> None:
    report(str(kind), *run(kind, COUNT))


@pytest.mark.nightly
def test_a_million_states() -> None:
    kinds = all_kinds()
    assert {kind.symbols for kind in kinds} == set(range(1, 51))
    parts = [run(kind, 18_000, seed=1) for kind in kinds]
    found = Found(*(np.concatenate(leaves) for leaves in zip(*(each for each, _ in parts), strict=True)))
    assert len(found.same) >= 1_000_000
    report("all", found, sum(count for _, count in parts))


# What the states hold -------------------------------------------------------------------------------------------------


def test_the_states_hold_what_they_should() -> None:
    """Everything that the rules know occurs, and the accounts are ones that trading can lead to."""
    kind = Kind("orders", 5, short=True, lots=True)
    states = random_states(kind, 4000, 0).each(widen)
    account, params, lived = states.account, states.params, in_numpy(kind, random_states(kind, 4000, 0))
    unit = params.lot_size * states.known.close / params.capital[:, None]
    np.testing.assert_array_equal(account.lots, np.round(account.lots))
    np.testing.assert_allclose(account.position[unit > 0], (account.lots * unit)[unit > 0], rtol=3e-7)
    assert np.all(account.cash + account.position.sum(-1) > params.ruin_floor)
    assert np.all((account.lots == 0) | (unit > 0))
    assert 1e-3 < states.known.close.min() < 2e-3
    assert 5e4 < states.known.close.max() < 1e5
    occurs = {name: lived.choices[name].mean() for name in ("closes", "all_in", "blocked", "rejected", "called")}
    occurs |= {
        name: (getattr(lived.record, name) != 0).mean() for name in ("borrow", "interest", "income", "exit_loss")
    }
    occurs |= {"ruined at the mark": np.mean(lived.record.ruined & ~lived.record.called)}
    occurs |= {"short": np.mean(account.position < 0), "debt": np.mean(account.cash < 0)}
    occurs |= {"flip": np.mean(lived.choices["closes"] & (lived.choices["increasing"] != 0))}
    assert all(share > 0.005 for share in occurs.values()), occurs


# Planted faults -------------------------------------------------------------------------------------------------------

FAULTY = Kind("orders", 5, short=True, lots=True)
Plant = Callable[[pytest.MonkeyPatch, States], States]


def fee_off(patch: pytest.MonkeyPatch, states: States) -> States:
    return states._replace(params=states.params._replace(buy_rate=states.params.buy_rate + np.float32(1e-4)))


def blind_to_missing_opens(patch: pytest.MonkeyPatch, states: States) -> States:
    outcome = states.outcome
    return states._replace(outcome=outcome._replace(can_fill=np.isfinite(outcome.mark)))


def more_leverage(patch: pytest.MonkeyPatch, states: States) -> States:
    return states._replace(params=states.params._replace(max_leverage=states.params.max_leverage * np.float32(1.001)))


def patch_lots(patch: pytest.MonkeyPatch, whole: Callable[..., Any]) -> None:
    for module in ("limits", "accounting"):
        patch.setattr(import_module(f"jaxtrade.rules.{module}"), "whole_lots", whole)


def floor_without_slack(patch: pytest.MonkeyPatch, states: States) -> States:
    patch_lots(patch, lambda xp, amount, unit: xp.sign(amount) * xp.floor(xp.abs(amount) / unit))
    return states


def rounded_up(patch: pytest.MonkeyPatch, states: States) -> States:
    """One order in two thousand takes a lot too many: rare enough, but without a reason."""
    real = import_module("jaxtrade.rules.lots").whole_lots

    def whole(xp: Any, amount: Any, unit: Any) -> Any:
        lots = real(xp, amount, unit)
        return xp.where(xp.abs(amount) / unit - xp.abs(lots) > 0.9995, lots + xp.sign(amount), lots)

    patch_lots(patch, whole)
    return states


FAULTS: dict[str, tuple[Plant, str]] = {
    "a fee off by a basis point": (fee_off, "equity differs|choices differ"),
    "missing opens fill": (blind_to_missing_opens, "choices differ"),
    "leverage off by a thousandth": (more_leverage, "equity differs|choices differ"),
    "lots without slack": (floor_without_slack, "choices differ too often"),
    "some lots rounded up": (rounded_up, "choices differ without a reason"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    states = random_states(FAULTY, COUNT, 0)
    wanted = in_numpy(FAULTY, states)
    plant, message = FAULTS[name]
    with monkeypatch.context() as patch:
        faulty = plant(patch, states)
        patched = faulty is states  # a patch would have to be compiled; NumPy has a float32 too
        found = Lived(*step(np, FAULTY.book, *states)) if patched else in_jax(FAULTY, faulty)
    with pytest.raises(AssertionError, match=message):
        check_choices(FAULTY, states, found, wanted)
        check_equity(compare(found, wanted, states))


def test_a_small_fee_is_noticed_in_the_equity() -> None:
    kind = KINDS[1]
    states = random_states(kind, COUNT, 0)
    found = compare(in_jax(kind, fee_off(None, states)), in_numpy(kind, states), states)
    with pytest.raises(AssertionError, match="equity differs"):
        check_equity(found)
