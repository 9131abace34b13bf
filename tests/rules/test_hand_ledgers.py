"""Every hand ledger (`tests/ledgers/`), to the cent, in the backtester, and in float32 in the JAX environment."""

import dataclasses
import functools
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from pydantic import ValidationError

from jaxtrade.assemble import rule_params
from jaxtrade.envs.trading import TradingCore, make_env_params, market_row
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account
from tests.helpers.hand_ledgers import (
    CENT,
    PER_SYMBOL,
    PLACE,
    Ledger,
    account_of,
    actions_of,
    config_of,
    differences,
    load,
    number,
    parse,
    paths,
    run_ledger,
    table_of,
    wrong_sums,
)

LEDGERS = pytest.mark.parametrize("path", paths(), ids=lambda path: path.stem)
NEAR = 1e-5


@functools.cache
def played(path: Path) -> tuple[Ledger, list[dict]]:
    ledger = load(path)
    return ledger, account_of(ledger, run_ledger(ledger))


@LEDGERS
def test_the_backtester_keeps_the_ledger(path):
    ledger, rows = played(path)
    assert not (found := differences(ledger, rows)), "\n".join(found)


@LEDGERS
def test_the_sums_by_hand_are_right(path):
    ledger = load(path)
    assert not (found := wrong_sums(ledger)), "\n".join(found)
    assert {"costs.buy_percent", "costs.sell_percent"} <= set(ledger.rules), "costs are always named"


def test_there_are_enough_ledgers():
    assert len(paths()) >= 40
    assert [path.stem[:2] for path in paths()] == [f"{n:02d}" for n in range(1, len(paths()) + 1)]


@LEDGERS
def test_the_float32_environment_keeps_the_ledger(path):
    ledger = load(path)
    assert not (found := environment_differences(ledger)), "\n".join(found)


def environment_differences(ledger: Ledger) -> list[str]:
    """Equity and units to 1e-5 relative, signs, whole lots and flags exactly."""
    config, table = config_of(ledger), table_of(ledger)
    env, params = TradingCore(config), make_env_params(table, table.ranges["all"], config)
    state, actions, found = env.fresh(params, jnp.int32(0)), actions_of(ledger, config), []
    for bar, expected in enumerate(ledger.account[1:], 1):
        action = actions[bar - 1] if config.choices else jnp.asarray(actions[bar - 1], jnp.float32)
        state, _, record = env.transition(state, action, *market_row(params, jnp.int32(bar - 1)), params)
        assert state.account.cash.dtype == state.account.lots.dtype == jnp.float32
        where = f"{ledger.name}, bar {bar}"
        for column, value in float32_cells(ledger, table, bar, state.account, float(params.rules.capital)).items():
            wanted, rounding = number(expected[column]), CENT if column == "equity" else PLACE
            if np.sign(wanted) != np.sign(value) or not abs(wanted - value) <= rounding + NEAR * abs(wanted):
                found.append(f"{where}, {column}: expected {expected[column]}, found {value:,.6f}")
        held = np.array([number(expected[column]) for column in ledger.columns("held")])
        size = np.broadcast_to(rule_params(config, table.symbols).lot_size, held.shape)
        lots = np.divide(held, size, out=np.zeros_like(held), where=size > 0)
        if not np.array_equal(np.asarray(state.account.lots), np.round(lots)):
            found.append(f"{where}, lots: expected {lots}, found {state.account.lots}")
        flags = [int(record.blocked.sum()), int(record.rejected.sum()), bool(record.ruined)]
        if flags != flags_of(expected["flags"]):
            found.append(f"{where}, flags: expected {expected['flags'] or 'none'}, found {flags}")
    return found


def float32_cells(ledger: Ledger, table: MarketTable, bar: int, account: Account, money: float) -> dict[str, float]:
    """Equity in money and units held, by column."""
    position, mark = np.asarray(account.position, np.float64), table.mark[bar]
    held = position * money / np.where(np.isfinite(mark), mark, 1.0)
    equity = (float(account.cash) + position.sum()) * money
    return dict(zip(ledger.columns("held"), held.tolist(), strict=True)) | {"equity": equity}


def flags_of(cell: str) -> list:
    words = dict(flag.partition(" ")[::2] for flag in cell.split(", "))
    return [int(words[name] or 1) if name in words else 0 for name in ("blocked", "rejected")] + ["ruined" in words]


@LEDGERS
def test_one_altered_cent_fails(path):
    """Planted: in every cell of the account in turn, a cent (or one in the fourth decimal) or a flag too many."""
    ledger, rows = played(path)
    before = differences(ledger, rows)
    for bar, row in enumerate(ledger.account):
        for column, cell in row.items():
            if column == "bar":
                continue
            step = 0.0001 if column.split()[-1] in PER_SYMBOL else 0.01
            planted = f"{cell}, blocked 7" if column == "flags" else f"{number(cell) + step:,.4f}"
            altered = [line | {column: planted} if n == bar else line for n, line in enumerate(ledger.account)]
            after = differences(dataclasses.replace(ledger, account=altered), rows)
            found = [line for line in after if line not in before]
            assert len(found) == 1 and f"{ledger.name}, bar {bar}, {column}: expected" in found[0]


def test_a_wrong_sum_a_lost_bar_and_an_unknown_column_fail():
    """Planted: what the comparison must not overlook."""
    ledger, rows = played(paths()[0])
    wrong = dataclasses.replace(ledger, by_hand=ledger.by_hand.replace("= 5,050.00`", "= 5,050.01`", 1))
    assert wrong_sums(wrong) == [f"{ledger.name}: `50 * 101.00 = 5,050.01`, but it is 5,050.000000"]
    assert "expected 4 bars of account, found 3" in differences(ledger, rows[:-1])[0]
    text = paths()[0].read_text(encoding="utf-8")
    with pytest.raises(AssertionError, match="unknown columns"):
        parse("planted", text.replace("realised", "realized"))
    with pytest.raises(ValidationError, match="lot_sise"):
        config_of(parse("planted", text.replace("`action: orders`", "`action: orders`, `lot_sise: 1`")))
