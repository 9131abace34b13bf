"""The rules as straight-line code for one account: traced once, written as Python, run at every bar.

What is written are the operations of `jaxtrade.rules` themselves, in their order, in float64: with one symbol on plain
floats, which for so few numbers are faster than arrays, with more on arrays. No account is called or ruined in the
code; it finds out when one is, and leaves that bar to `advance`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from eval_bridge.straight_line.nodes import Node, UntraceableError
from eval_bridge.straight_line.trace import Trace
from eval_bridge.straight_line.writer import ArrayWriter, FloatWriter
from jaxtrade.rules import (
    Account,
    AccountView,
    Known,
    Outcome,
    RuleBook,
    RuleParams,
    advance,
    observe,
)


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of nested tuples, without those that are None."""
    if tree is None:
        return []
    return [leaf for each in tree for leaf in leaves(each)] if isinstance(tree, tuple) else [tree]


def rebuild(like: Any, numbers: Any) -> Any:
    """Return nested tuples as `like` with other leaves, taken from an iterator."""
    if like is None:
        return None
    if not isinstance(like, tuple):
        return next(numbers)
    parts = [rebuild(each, numbers) for each in like]
    return type(like)(*parts) if hasattr(like, "_fields") else tuple(parts)


class Example(NamedTuple):
    """One bar, to trace the rules on."""

    account: Account
    action: Any
    known: Known
    outcome: Outcome


def write_rules(book: RuleBook, params: RuleParams, example: Example) -> tuple[bool, Any, Any]:
    """Return whether the code works on floats, and `observe` and `advance` on leaves in a row.

    The functions are None where the rules cannot be traced: a reward of the user's may not be.
    """
    floats = example.account.position.shape == (1,)
    try:
        return floats, _write_observe(book, params, example), _write_advance(book, params, example)
    except Exception:  # whatever it is, the plain rules will tell
        return floats, None, None


def _writer(example: Example) -> FloatWriter:
    symbols = len(example.account.position)
    return FloatWriter() if symbols == 1 else ArrayWriter(symbols)


def _inputs(trace: Trace, book: RuleBook, example: Any) -> tuple[list[str], Any]:
    """Return the names of the inputs, and the example with nodes for leaves, but no lots where the book has none."""
    names = [f"x{n}" for n in range(len(leaves(example)))]
    nodes = [trace.input(name, leaf) for name, leaf in zip(names, leaves(example), strict=True)]
    traced = rebuild(example, iter(nodes))
    if not book.lots:
        traced = (traced[0]._replace(lots=trace.zeros_like(traced[0].lots)), *traced[1:])
    return names, traced


def _write_observe(book: RuleBook, params: RuleParams, example: Example) -> Callable[..., Any]:
    trace = Trace()
    names, (account, known) = _inputs(trace, book, (example.account, example.known))
    view: AccountView = observe(trace, book, account, known, params)
    return _writer(example).function(trace, names, view)


def _write_advance(book: RuleBook, params: RuleParams, example: Example) -> Callable[..., Any]:
    """Trace three times: to find the check at the open, then the one at the mark, then with both taken as passed."""
    assumed: list[int] = []
    for field in ("called", "ruined", None):
        trace = Trace(assumed)
        names, (account, action, known, outcome) = _inputs(trace, book, tuple(example))
        after, record = advance(trace, book, params, account, action, known, outcome)
        if field is not None and isinstance(getattr(record, field), Node):
            assumed.append(getattr(record, field).number)
    if not book.lots:
        after = after._replace(lots=np.zeros(account.position.shape))
    if any(bool(node.value.any()) for node in trace.guards):
        raise UntraceableError("the example is ruined")
    return _writer(example).function(trace, names, leaves((after, record)))
