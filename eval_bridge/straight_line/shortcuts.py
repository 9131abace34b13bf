"""Operations whose result is known without computing it: x + 0, |x| of what cannot be negative, and the like.

They hold for finite numbers; what is not finite is caught where the books are compared.
"""

from typing import Any

import numpy as np

from eval_bridge.straight_line.nodes import Node, Operand, is_constant, shape_of

SHORTENED = frozenset(
    ("add", "subtract", "multiply", "divide", "and", "or", "where", "absolute", "maximum", "minimum", "greater_equal")
)


def shortcut(op: str, operands: tuple[Operand, ...]) -> Any:
    """Return the result where an operand is it, or it is a constant whatever the (finite) input; None otherwise."""
    shape = max(map(shape_of, operands), key=lambda each: (len(each), each))
    if op in ("where", "absolute"):
        return _one_of(operands, shape) if op == "where" else operands[0] if _positive(operands[0]) else None
    x, y = operands
    if op in ("maximum", "minimum", "greater_equal"):
        return _compared(op, x, y, shape)
    if op in ("multiply", "and") and (is_constant(x, 0) or is_constant(y, 0)):
        return np.zeros(shape, bool if op == "and" else np.result_type(*(_dtype(each) for each in operands)))
    if op == "subtract" and is_constant(x, np.inf):
        return np.full(shape, np.inf)
    neutral = {"add": 0, "multiply": 1, "or": False, "and": True, "subtract": 0, "divide": 1}[op]
    for result, other in ((x, y),) if op in ("subtract", "divide") else ((x, y), (y, x)):
        if is_constant(other, neutral) and shape_of(result) == shape:
            return result
    return _with_its_sign(x, y) if op == "multiply" else None


def _positive(x: Operand) -> bool:
    return isinstance(x, Node) and x.sign


def _with_its_sign(x: Operand, y: Operand) -> Any:
    """Return z for sign(z) * |z|."""
    if not (isinstance(x, Node) and isinstance(y, Node) and x.op == "sign"):
        return None
    size = y.operands[0] if y.op == "absolute" else y if y.sign else None
    return size if size is x.operands[0] else None


def _compared(op: str, x: Operand, y: Operand, shape: tuple[int, ...]) -> Any:
    """Shortcuts of what is not negative beside zero, of infinity, and of a share of y beside y."""
    if op == "greater_equal":
        return np.ones(shape, bool) if _positive(x) and is_constant(y, 0) else None
    if op == "maximum":
        return x if _positive(x) and is_constant(y, 0) and shape_of(x) == shape else None
    if is_constant(y, np.inf) and shape_of(x) == shape:
        return x
    if _positive(x) and is_constant(y, 0):
        return np.zeros(shape)
    if isinstance(x, Node) and x.op == "multiply" and x.operands[1] is y and _positive(y):
        share = x.operands[0]
        return x if not isinstance(share, Node) and np.all((share >= 0) & (share <= 1)) else None
    return None


def _dtype(operand: Operand) -> Any:
    return operand if isinstance(operand, int | float) else operand.dtype


def _one_of(operands: tuple[Operand, ...], shape: tuple[int, ...]) -> Any:
    """Return the branch that a `where` takes for sure, or None."""
    mask, yes, no = operands
    if is_constant(mask, True):
        return yes if shape_of(yes) == shape else None
    if is_constant(mask, False) or yes is no:
        return no if shape_of(no) == shape else None
    same = not isinstance(yes, Node) and not isinstance(no, Node) and np.all(np.asarray(yes) == no)
    return np.broadcast_to(yes, shape) if same else None
