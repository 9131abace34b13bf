"""One number that is not finite, anywhere: found in the same update, named by its cause; the update is discarded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.helpers.learning import assert_bitwise, leaves_of
from tests.helpers.poison import ACCOUNTS, LANES, LENGTH, POINTS, Lab, Point, found_by, lab_of, poison_of, poisoned
from tests.helpers.worlds import make_table
from train.health import bad_steps, cause, first_bad, is_finite, keep
from train.rollout import first_bad_price

DAILY = ("move", "middle feature", "last observation", "middle reward", "middle gradient", "parameter of the head")


def check_point(lab: Lab, point: Point) -> None:
    state, market, name, step = poisoned(lab, point)
    after, figures = lab.run(state, market, poison_of(lab, point))
    assert found_by(figures) == (name, step)
    assert figures.scalars["discarded"] == 1
    for field in ("params", "opt_state", "reward_scale"):
        assert_bitwise(getattr(after, field), getattr(state, field))
    assert after.update == state.update + 1
    assert np.any(leaves_of(after.key)[0] != leaves_of(state.key)[0])
    assert is_finite(after.env_state), "an environment goes on with a number that is not finite"
    healed = after._replace(params=lab.learner.state.params)
    again, figures = lab.run(healed, lab.learner.market, poison_of(lab, None))
    assert found_by(figures) is None
    assert figures.scalars["discarded"] == 0
    changed = [np.any(a != b) for a, b in zip(leaves_of(again.params), leaves_of(healed.params), strict=True)]
    assert all(changed), "the next update learns nothing"


LATER = [pytest.param(name, marks=pytest.mark.nightly) for name in POINTS if name not in DAILY]


@pytest.mark.parametrize("name", [*DAILY, *LATER])
def test_a_number_that_is_not_finite_is_found_in_the_same_update(name: str) -> None:
    assert len(POINTS) == 20
    check_point(lab_of("mlp"), POINTS[name])


@pytest.mark.nightly
@pytest.mark.parametrize("name", POINTS)
def test_a_network_that_looks_back_is_checked_alike(name: str) -> None:
    check_point(lab_of("lstm"), POINTS[name])


def test_only_the_environment_that_is_hit_starts_afresh() -> None:
    """The others go on as if nothing had happened."""
    lab, point = lab_of("mlp"), POINTS["middle reward"]
    state, market = lab.learner.state, lab.learner.market
    clean, _ = lab.run(state, market, poison_of(lab, None))
    after, _ = lab.run(state, market, poison_of(lab, point))
    others = np.arange(LANES * ACCOUNTS).reshape(LANES, ACCOUNTS) != point.account
    for mine, theirs in zip(leaves_of(after.env_state), leaves_of(clean.env_state), strict=True):
        np.testing.assert_array_equal(mine[others], theirs[others])
    assert after.env_state.time[~others] == 0
    assert after.env_state.account.cash[~others] == 1
    np.testing.assert_array_equal(after.lanes.bar, clean.lanes.bar)


def test_a_healthy_update_is_kept() -> None:
    lab = lab_of("mlp")
    after, figures = lab.run(lab.learner.state, lab.learner.market, poison_of(lab, None))
    assert found_by(figures) is None
    assert {int(step) for step in figures.checks.values()} == {-1}
    assert figures.scalars["discarded"] == 0
    assert after.reward_scale.count == LANES * ACCOUNTS * LENGTH
    jumped = np.asarray(lab.learner.state.lanes.left) == 1
    assert not np.any(np.asarray(after.reward_scale.discounted)[jumped]), "a discounted return outlives its episode"
    assert np.all(np.asarray(after.reward_scale.discounted)[~jumped])


@pytest.mark.parametrize("name", ["price", "feature", "observation", "reward", "gradient of actor_out/bias"])
def test_a_check_that_is_left_out_is_noticed(name: str) -> None:
    """Without it the fault is named after what it causes, or not at all."""
    lab, point = (
        lab_of("mlp"),
        {each.tensor: each for key, each in POINTS.items() if key in DAILY}[name.split(" actor")[0]],
    )
    state, market, named, step = poisoned(lab, point)
    _, figures = lab.run(state, market, poison_of(lab, point))
    assert found_by(figures) == (named, step)
    left = figures._replace(checks={key: value for key, value in figures.checks.items() if key != named})
    assert found_by(left) != (named, step)


def test_prices_that_no_one_uses_may_be_missing() -> None:
    """Bars without an open, without a close, and no bars at all, in two symbols."""
    table = make_table(30, 400, symbols=2, missing=0.2)
    known, outcome = jax.tree.map(lambda leaf: leaf[:-1], (table.known, table.outcome))
    assert np.isnan(outcome.fill_price).any()
    wide = jax.tree.map(lambda leaf: jnp.asarray(leaf)[:, None], (known, outcome))  # [L, G, ...]
    assert first_bad_price(*wide) == -1
    can = np.argwhere(np.asarray(outcome.can_fill))[50]
    fill_price = wide[1].fill_price.at[can[0], 0, can[1]].set(jnp.nan)
    assert first_bad_price(wide[0], wide[1]._replace(fill_price=fill_price)) == can[0]


def test_the_tools() -> None:
    x = jnp.zeros((5, 2, 3))
    assert first_bad(x) == -1
    assert first_bad(x.at[3, 1, 2].set(jnp.inf).at[4].set(jnp.nan)) == 3
    np.testing.assert_array_equal(bad_steps(x.at[3, 0, 0].set(-jnp.inf)), [False, False, False, True, False])
    assert first_bad(jnp.zeros(4).at[0].set(jnp.nan)) == 0
    assert not is_finite({"a": jnp.int32(1), "b": jnp.full(2, jnp.nan)})
    new, old = {"a": jnp.array([jnp.nan, 1.0])}, {"a": jnp.array([2.0, 3.0])}
    assert_bitwise(keep(jnp.array(False), new, old), old)
    assert_bitwise(keep(jnp.array(True), new, old), new)


def test_the_first_cause_is_named() -> None:
    """An earlier step comes before a later one; within a step, what causes comes before what is caused."""
    checks = {"reward": 5, "observation": 6, "value": 6, "advantage": 0, "loss": 0, "gradient of a": 0, "price": -1}
    assert cause(checks) == ("reward", 5)
    assert cause(checks | {"price": 5}) == ("price", 5)
    assert cause(checks | {"parameter a": 0}) == ("parameter a", 0)
    later = {"gradient of b": 3, "parameter b after the step": 3, "loss": 4, "gradient of a": 4}
    assert cause(later) == ("gradient of b", 3)
    assert cause(dict.fromkeys(checks, -1)) is None
