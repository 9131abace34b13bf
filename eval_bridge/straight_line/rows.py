"""The rules of one account on rows: the leaves of account, market and record, one after the other.

The straight-line code takes and gives them as they are; the plain rules stand by for the bars that it leaves to them.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from eval_bridge.straight_line.write import Example, leaves, rebuild, write_rules
from jaxtrade.rules import Account, Known, Outcome, Record, RuleBook, RuleParams, advance, observe, open_account


class Rules:
    """The rules of a backtest on leaves in a row: straight-line code, and the plain rules where it does not apply."""

    def __init__(self, book: RuleBook, params: RuleParams, example: Example) -> None:
        """Write the rules out.

        Args:
            book: Which rules apply.
            params: Their numbers; constants of the code.
            example: A bar at which nobody is called or ruined.
        """
        self.book, self.params, self.example = book, params, example
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of user's rewards: the plain rules will tell
            self.like = advance(np, book, params, *example)
            self.floats, self._observe, self._advance = write_rules(book, params, example)
        names = _names(self.like[0], "account") + _names(self.like[1], "record")
        self._places = {name: names.index(name) for name in reversed(names)}
        self.ruined = self.place("ruined")
        self.start = self._numbers(example.account)

    def place(self, field: str) -> int:
        """Return where a field of the record, or else of the account, stands in a row; of several leaves the first."""
        return self._places.get(f"record.{field}", self._places.get(f"account.{field}", -1))

    def _numbers(self, tree: Any) -> tuple[Any, ...]:
        flat = leaves(tree)
        return tuple(np.asarray(leaf).item() for leaf in flat) if self.floats else tuple(flat)

    def _arrays(self, like: Any, numbers: Sequence[Any]) -> Any:
        """Return the records of a row of leaves."""
        if not self.floats:
            return rebuild(like, iter(numbers))
        shaped = (np.full(np.shape(leaf), x)[()] for leaf, x in zip(leaves(like), numbers, strict=True))
        return rebuild(like, shaped)

    def records(self, row: Sequence[Any]) -> tuple[Account, Record]:
        """Return the account and the record of a row."""
        after: tuple[Account, Record] = self._arrays(self.like, row)
        return after

    def observe(self, *numbers: Any) -> Any:
        """Return the account's part of the observation, from the leaves of account and known."""
        if self._observe is not None:
            return self._observe(*numbers)
        account, known = self._arrays((self.example.account, self.example.known), numbers)
        return observe(np, self.book, account, known, self.params)

    def advance(self, state: Sequence[Any], action: Any, known: Sequence[Any], outcome: Sequence[Any]) -> Any:
        """Return the leaves of account and record after a bar."""
        row = None
        if self._advance is not None:
            number = float(np.asarray(action).item()) if self.floats else np.asarray(action, np.float64)
            try:
                row = self._advance(*state, number, *known, *outcome)
            except ArithmeticError:  # floats refuse what arrays answer with infinity
                row = None
        if row is not None:
            return row
        account, now, then = self._arrays((self.example.account, *self.example[2:]), (*state, *known, *outcome))
        return self._numbers(advance(np, self.book, self.params, account, np.asarray(action), now, then))


def make_rules(book: RuleBook, params: RuleParams, known: Known, outcome: Outcome, *, discrete: bool) -> Rules:
    """Return the rules, written out for markets as the one whose row is given, leaves [N]."""
    calm = outcome._replace(
        gap=np.zeros_like(outcome.gap),
        move=np.zeros_like(outcome.move),
        **({} if outcome.exit is None else {"exit": np.zeros_like(outcome.exit)}),
    )
    account = open_account(np, book, outcome.gap)
    return Rules(book, params, Example(account, np.zeros(() if discrete else outcome.gap.shape), known, calm))


def _names(tree: Any, name: str) -> list[str]:
    """Return the names of the leaves of an account or a record; those of its tuples share one."""
    return [f"{name}.{field}" for field, each in tree._asdict().items() for _ in leaves((each,))]
