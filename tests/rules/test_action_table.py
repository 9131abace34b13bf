"""The examples at the end of docs/actions.md, line by line, through the real decoder and limits."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.rules import Known, open_account
from jaxtrade.rules.limits import limit

PAGE = Path(__file__).parents[2] / "docs" / "actions.md"
COLUMNS = ["action", "value", "cash", "held", "close", "order", "with"]
NEAR = 1e-6  # actions are rounded to float32


def examples() -> list[list[str]]:
    """The cells of each line; the header is the first."""
    _, _, section = PAGE.read_text(encoding="utf-8").partition("## Examples")
    rows = [
        [cell.strip() for cell in line.strip()[1:-1].split("|")] for line in section.splitlines() if line[:1] == "|"
    ]
    return [rows[0], *rows[2:]]


LINES = examples()[1:]


def config_of(action: str, limits: str) -> EnvConfig:
    env: dict = {"action": action, "costs": {"buy_percent": 0.1, "sell_percent": 0.1}}
    for key, value in yaml.safe_load("{" + limits + "}").items():
        part, _, name = key.rpartition(".")
        (env[part] if part else env)[name] = value
    return EnvConfig.model_validate(env)


def ordered(line: list[str]) -> tuple[float, set[str]]:
    """What the rules order, in units at the close, and the words that stand behind it."""
    action, value, cash, held, price, _, limits = (cell.strip("`") for cell in line)
    env = config_of(action, limits)
    book, params = rule_book(env), rule_params(env, ["A"])
    close, money = np.array([float(price)]), float(params.capital)
    account = open_account(np, book, close)._replace(cash=np.array(float(cash) / money))
    size = np.where(params.lot_size > 0, params.lot_size, np.inf)
    account = account._replace(position=float(held) * close / money, lots=float(held) / size)
    known = Known(tradable=np.array([True]), close=close)
    choice = np.array(float(value)) if env.choices else np.array([float(value)])
    orders = book.decode(np, choice, account, known, params)
    tickets = limit(np, orders, account, known, params, short=book.allow_short, lots=book.lots)
    units = (tickets.reducing + tickets.increasing) * money / close
    words = {"close": tickets.closes & (tickets.increasing == 0), "rejected": orders.rejected}
    words["all-in"] = np.array([False]) if tickets.all_in is None else tickets.all_in
    return units.item(), {word for word, holds in words.items() if holds.item()}


def check(line: list[str]) -> None:
    number, *words = line[COLUMNS.index("order")].split(", ")
    units, found = ordered(line)
    told = f"{' | '.join(line)}: ordered {units!r}, {found or 'nothing more'}"
    assert abs(units - float(number)) <= NEAR * abs(float(number)), told
    assert found == set(words), told


def test_the_table_is_there_and_complete():
    assert examples()[0] == COLUMNS
    assert len(LINES) >= 45
    assert all(len(line) == len(COLUMNS) for line in LINES)
    kinds = set(EnvConfig.model_fields["action"].annotation.__args__)
    assert {line[0].strip("`") for line in LINES} == kinds


@pytest.mark.parametrize("line", LINES, ids=lambda line: re.sub(r"[^\w.+-]+", " ", " ".join(line)).strip())
def test_every_line_is_what_the_rules_do(line):
    check(line)


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_wrong_line_fails(line):
    """Planted: a hundredth of a unit more, and a word that does not belong there."""
    order = COLUMNS.index("order")
    number, *words = line[order].split(", ")
    more = ", ".join([f"{float(number) + 0.01:.11f}", *words])
    other = ", ".join([number, *words, "close"] if "close" not in words else [number])
    for wrong in (more, other):
        with pytest.raises(AssertionError, match="ordered"):
            check([*line[:order], wrong, *line[order + 1 :]])
