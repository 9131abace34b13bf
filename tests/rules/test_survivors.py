"""What planted faults (`python -m tests.mutate`) once passed by unnoticed, each said here in a line or two."""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.envs.synthetic import synthetic_table
from jaxtrade.envs.trading import EnvParams, EnvState, TradingCore, draw_rules, make_env_params
from jaxtrade.rules import Account, Known, Outcome, Reward, advance, make_rule_book, open_account
from jaxtrade.rules.lots import whole_lots
from train.learner import move_lanes
from train.normalize import init_reward_scale
from train.rollout import reset_ruined, start_log
from train.state import TrainState, fresh_accounts

FREE = {"buy_percent": 0.0, "sell_percent": 0.0}


def all_in(action: float, cash: float, position: float, gap: float) -> Account:
    """Return an account of leverage 2 in one symbol after an all-in order, without costs and without a move."""
    config = EnvConfig.model_validate({"action": "orders", "max_leverage": 2.0, "allow_short": True, "costs": FREE})
    book, params, yes = rule_book(config), rule_params(config, ["A"]), np.array([True])
    held = np.array([position])
    account = open_account(np, book, held)._replace(cash=np.array(cash), position=held, basis=held)
    outcome = Outcome(np.array([gap]), np.zeros(1), yes, np.array(0.0))
    return advance(np, book, params, account, np.array([action]), Known(yes, np.array([100.0])), outcome)[0]


def test_all_in_takes_what_the_leverage_limit_allows() -> None:
    account = all_in(np.inf, cash=1.0, position=0.0, gap=0.1)
    np.testing.assert_allclose([account.cash, *account.position], [-1.0, 2.0], rtol=1e-14)


def test_all_in_closes_the_other_side_however_large() -> None:
    """The market has carried the account beyond its limit: 3.0 held, and twice the equity is 2.6."""
    account = all_in(-np.inf, cash=-1.7, position=3.0, gap=0.0)
    np.testing.assert_allclose([account.cash, *account.position, *account.basis], [3.9, -2.6, -2.6], rtol=1e-14)


def test_half_a_lot_short_of_a_million_is_a_lot_short() -> None:
    np.testing.assert_array_equal(whole_lots(np, np.array([999_999.5, -3_000_000.5]), np.ones(2)), [999_999, -3e6])


def test_memory_starts_where_the_reward_says() -> None:
    reward = Reward(lambda xp, memory, record, params: (memory, record.pnl), (0.5, -2.0), (1.0, 1.0))
    book = make_rule_book("continuous", (reward, reward), allow_short=False)
    memory = open_account(np, book, np.zeros((3, 2))).memory
    np.testing.assert_array_equal(memory, np.broadcast_to([[0.5], [-2.0], [0.5], [-2.0]], (4, 3)))


# Costs that are drawn, and fresh accounts -----------------------------------------------------------------------------

DRAWN = EnvConfig.model_validate(
    {
        "window": 30,
        "reward": "differential_sharpe",
        "costs": {"buy_percent": [0.1, 0.9], "sell_percent": [0.1, 0.9], "half_spread_bps": [1, 9]},
    }
)
CORE = TradingCore(DRAWN)
LANES, ACCOUNTS = 2, 3
SETUP: Any = SimpleNamespace(core=CORE, accounts=ACCOUNTS, schedule=None, axis=None)
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def market() -> EnvParams:
    table = synthetic_table(window=30, bars=700)
    return make_env_params(table, table.ranges["train"], DRAWN)


def shares(market: EnvParams, drawn: dict[str, jax.Array]) -> np.ndarray:
    """Return where in its range each number lies, [numbers, ...]."""
    ends = {name: np.asarray(pair) for name, pair in market.ranges.items()}
    return np.stack([(drawn[name] - low) / (high - low) for name, (low, high) in ends.items()])


def test_each_key_and_each_number_is_drawn_for_itself(market: EnvParams) -> None:
    drawn = jax.vmap(lambda key: draw_rules(market, key))(jax.random.split(KEY, 500))
    found = shares(market, jax.tree.map(np.asarray, drawn))[..., 0]
    assert found.shape == (3, 500)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_allclose(found.std(axis=1), 12**-0.5, rtol=0.1)
    assert np.abs(np.corrcoef(found) - np.eye(3)).max() < 0.2


def test_what_is_drawn_is_what_is_paid(market: EnvParams) -> None:
    state, known, outcome = CORE.fresh(market, market.first_bar, KEY), *row(market)
    _, _, record = CORE.transition(state, jnp.ones(1, jnp.float32), known, outcome, market)
    bought = record.fill_value[0]
    assert bought > 0
    np.testing.assert_allclose(record.costs.commission, state.drawn["buy_rate"][0] * bought, rtol=1e-6)
    np.testing.assert_allclose(record.costs.spread, state.drawn["half_spread"][0] * bought, rtol=1e-6)


def row(market: EnvParams) -> tuple[Known, Outcome]:
    """Return the first row of the range."""
    return jax.tree.map(lambda leaf: leaf[market.first_bar], (market.known, market.outcome))


def aged(market: EnvParams) -> EnvState:
    """Return accounts that have lived, each leaf of the account 7, and drawn numbers of their own."""
    state = fresh_accounts(SETUP, market, jnp.full(LANES, market.first_bar), KEY)
    found = shares(market, jax.tree.map(np.asarray, state.drawn))
    assert len(np.unique(found)) == 3 * LANES * ACCOUNTS, "accounts draw the same costs"
    return state.replace(account=jax.tree.map(lambda leaf: jnp.full_like(leaf, 7.0), state.account))


def check_reset(market: EnvParams, found: EnvState, before: EnvState, reset: np.ndarray) -> None:
    """Compare accounts that are reset with one just opened, and the others with what they were."""
    fresh = CORE.fresh(market, market.first_bar, KEY)
    for new, old, opened in zip(*map(jax.tree.leaves, (found.account, before.account, fresh.account)), strict=True):
        np.testing.assert_array_equal(new[~reset], old[~reset])
        np.testing.assert_array_equal(new[reset], np.broadcast_to(opened, new[reset].shape))
    for name, drawn in found.drawn.items():
        np.testing.assert_array_equal(drawn[~reset], before.drawn[name][~reset])
        assert (drawn[reset] != before.drawn[name][reset]).all(), f"{name} is not drawn anew"


def test_a_ruined_account_leaves_nothing_behind(market: EnvParams) -> None:
    before, ruined = aged(market), jnp.array([[True, False, True], [False, False, True]])
    none = start_log(before.stats)
    _, found = reset_ruined(SETUP, before, ruined, none, (market, jax.random.key(1)))
    check_reset(market, found, before, np.asarray(ruined))


def test_a_lane_that_jumps_leaves_nothing_behind(market: EnvParams, monkeypatch: pytest.MonkeyPatch) -> None:
    before, jumped = aged(market), jnp.array([False, True])
    lanes = SimpleNamespace(bar=jnp.full(LANES, market.first_bar))
    monkeypatch.setattr("train.learner.next_lanes", lambda *_: (lanes, jumped))
    scale = init_reward_scale((LANES, ACCOUNTS), jnp.float32)
    state = TrainState(*[None] * 3, lanes=None, reward_scale=scale, key=None, update=None)
    none = start_log(before.stats)
    moved, _ = move_lanes(SETUP, state, before, (market, jax.random.key(1)), none)
    check_reset(market, moved.env_state, before, np.repeat(np.asarray(jumped)[:, None], ACCOUNTS, axis=1))


def test_lots_are_valued_at_their_price_whatever_rounding_left() -> None:
    """A position that is a millionth off what its lots are worth is put right at the next mark."""
    config = EnvConfig(action="orders", lot_size=1.0, initial_cash=100.0)
    book, params = rule_book(config), rule_params(config, ["a"])
    account = open_account(np, book, np.zeros(1))._replace(lots=np.array([3.0]), position=np.array([0.3 * (1 + 1e-6)]))
    zero, price = np.zeros(1), np.array([10.0])
    outcome = Outcome(zero, zero, np.array([True]), np.array(0.0), price, price)
    after, _ = advance(np, book, params, account, zero, Known(np.array([True]), price), outcome)
    assert after.position[0] == pytest.approx(0.3, rel=1e-12)
