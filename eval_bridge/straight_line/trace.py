"""Record what a pure function of arrays computes: an array namespace whose arrays remember how they were made.

Given to the rules in the place of NumPy, it yields the list of their operations on one account. What depends on
constants alone is computed at once, and equal operations are recorded once.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eval_bridge.straight_line.nodes import (
    OPERATIONS,
    Node,
    Operand,
    UntraceableError,
    constant_key,
    is_constant,
    shape_of,
)
from eval_bridge.straight_line.shortcuts import SHORTENED, shortcut


class Trace:
    """The operations of one run.

    `assumed` numbers nodes that are taken to be False, as they are in the example: whoever runs the operations must
    look at them first. They become the `guards`.
    """

    float32, float64 = np.float32, np.float64

    def __init__(self, assumed: Sequence[int] = ()) -> None:
        self.nodes: list[Node] = []
        self.guards: list[Node] = []
        self.assumed = frozenset(assumed)
        self._known: dict[Any, Operand] = {}

    def input(self, name: str, value: Any) -> Any:
        """Return a node for an input."""
        return self._append("input", (name,), value)

    def _append(self, op: str, operands: tuple[Operand, ...], value: Any) -> Any:
        node = Node(self, op, operands, value)
        self.nodes.append(node)
        if node.number not in self.assumed:
            return node
        self.guards.append(node)
        return np.zeros(node.shape, bool)

    def record(self, op: str, *operands: Operand) -> Any:
        """Return the result of an operation: a node, one of the operands where that is the result, or a constant."""
        if op in SHORTENED and any(isinstance(each, Node) for each in operands):
            short = self._infinite(operands) if op == "multiply" else None
            short = shortcut(op, operands) if short is None else short
            if short is not None:
                return short
        values = [each.value if isinstance(each, Node) else each for each in operands]
        if not any(isinstance(each, Node) for each in operands):
            return OPERATIONS[op](*values)
        names = (("node", each.number) if isinstance(each, Node) else constant_key(each) for each in operands)
        key = (op, *names)
        if key not in self._known:
            self._known[key] = self._append(op, operands, OPERATIONS[op](*values))
        return self._known[key]

    def _infinite(self, operands: tuple[Operand, ...]) -> Any:
        """Return infinity for infinity times a single number, which a guard then holds above zero."""
        for x, y in (operands, operands[::-1]):
            single = y.operands[0] if isinstance(y, Node) and y.op == "expand" else y
            if is_constant(x, np.inf) and shape_of(single) == ():
                low = self.record("not", self.record("greater", single, 0))
                if not low.value.any():
                    self.guards.append(low)
                    return np.full(np.broadcast_shapes(np.shape(x), y.shape), np.inf)
        return None

    def where(self, mask: Operand, yes: Operand, no: Operand) -> Operand:
        """Choose."""
        return self.record("where", mask, yes, no)

    def sum(self, x: Operand, axis: int, keepdims: bool = False) -> Operand:
        """Sum over the symbols."""
        return self.record("total" if keepdims else "sum", _over_symbols(x, axis))

    def mean(self, x: Operand, axis: int) -> Operand:
        """Average over the symbols."""
        return self.record("mean", _over_symbols(x, axis))

    def stack(self, parts: Sequence[Operand], axis: int) -> Operand:
        """Stack along a new last axis."""
        if axis != -1:
            raise UntraceableError(f"a stack along axis {axis}")
        return self.record("stack", *parts)

    def astype(self, x: Operand, dtype: Any) -> Operand:
        """Convert to a floating type."""
        if isinstance(x, Node) and x.dtype == dtype:
            return x
        return self.record(np.dtype(dtype).name, x)

    def clip(self, x: Operand, low: Operand, high: Operand) -> Operand:
        """Clip, as NumPy does: the lower bound first."""
        return self.record("minimum", self.record("maximum", x, low), high)

    def broadcast_to(self, x: Operand, shape: tuple[int, ...]) -> Operand:
        """Return a constant in another shape; nodes are broadcast where they are used."""
        return x if isinstance(x, Node) else np.broadcast_to(x, shape)

    def zeros_like(self, x: Operand) -> Any:
        """Return a constant."""
        return np.zeros(shape_of(x), x.dtype)

    def ones_like(self, x: Operand) -> Any:
        """Return a constant."""
        return np.ones(shape_of(x), x.dtype)


def _unary(op: str) -> Callable[..., Operand]:
    return lambda self, *operands: self.record(op, *operands)


for _op in ("abs", "sign", "floor", "sqrt", "tanh", "exp", "log", "log1p", "maximum", "minimum", "isfinite", "isnan"):
    setattr(Trace, _op, _unary("absolute" if _op == "abs" else _op))


def _over_symbols(x: Operand, axis: int) -> Operand:
    if axis != -1 or len(shape_of(x)) != 1:
        raise UntraceableError("a sum over anything but symbols")
    return x
