"""The values of a trace: what they were made of."""

from collections.abc import Callable
from typing import Any

import numpy as np

Operand = Any  # a Node, or a constant: array or Python number


class UntraceableError(Exception):
    """The function does something that cannot be recorded, such as a branch on a value."""


def constant_key(value: Any) -> Any:
    """Return what tells constants apart."""
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.str, value.shape, value.tobytes()
    return type(value), value


def is_constant(value: Operand, number: float) -> bool:
    """Tell whether an operand is a constant equal to `number` everywhere."""
    if isinstance(value, np.ndarray):
        return value.size > 0 and value.item(0) == number and bool((value == number).all())
    return not isinstance(value, Node) and bool(value == number)


def shape_of(operand: Operand) -> tuple[int, ...]:
    """Return the shape of an operand."""
    return operand.value.shape if isinstance(operand, Node) else np.shape(operand)


class Node:
    """A value that depends on the inputs, with the one that it has in the example that is traced."""

    __array_ufunc__ = None  # NumPy's arrays leave operators with a Node to the Node
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, trace: Any, op: str, operands: tuple[Operand, ...], value: Any) -> None:
        self.trace, self.op, self.operands, self.value = trace, op, operands, np.asarray(value)
        self.number = len(trace.nodes)
        self.sign = _nonnegative(op, operands)

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)

    def __bool__(self) -> bool:
        raise UntraceableError("a branch on a value")

    __float__ = __int__ = __index__ = __len__ = __iter__ = __bool__

    def __getitem__(self, key: Any) -> Any:
        if key != (Ellipsis, None):
            raise UntraceableError(f"an index {key}")
        return self.trace.record("expand", self)

    def __neg__(self) -> Any:
        return self.trace.record("negative", self)

    def __invert__(self) -> Any:
        return self.trace.record("not", self)

    def __abs__(self) -> Any:
        return self.trace.record("absolute", self)


def _nonnegative(op: str, operands: tuple[Operand, ...]) -> bool:
    """Tell whether a result cannot be negative, from the operation alone."""
    if op == "input":
        return False
    signs = [each.sign if isinstance(each, Node) else bool(np.all(np.asarray(each) >= 0)) for each in operands]
    if op in ("absolute", "sqrt"):
        return True
    if op in ("add", "multiply", "divide", "minimum", "sum", "mean", "expand"):
        return all(signs)
    return any(signs) if op == "maximum" else op == "where" and all(signs[1:])


BINARY: dict[str, tuple[str, Callable[..., Any]]] = {
    "add": ("__{}add__", np.add),
    "subtract": ("__{}sub__", np.subtract),
    "multiply": ("__{}mul__", np.multiply),
    "divide": ("__{}truediv__", np.true_divide),
    "and": ("__{}and__", np.logical_and),
    "or": ("__{}or__", np.logical_or),
    "less": ("__{}lt__", np.less),
    "less_equal": ("__{}le__", np.less_equal),
    "greater": ("__{}gt__", np.greater),
    "greater_equal": ("__{}ge__", np.greater_equal),
    "equal": ("__{}eq__", np.equal),
    "not_equal": ("__{}ne__", np.not_equal),
}
OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: function for name, (_, function) in BINARY.items()},
    **{name: getattr(np, name) for name in ("negative", "absolute", "sign", "floor", "sqrt", "where", "isnan")},
    **{name: getattr(np, name) for name in ("tanh", "exp", "log", "log1p", "maximum", "minimum", "isfinite")},
    "not": np.logical_not,
    "expand": lambda x: x[..., None],
    "sum": lambda x: np.sum(x, axis=-1),
    "total": lambda x: np.sum(x, axis=-1, keepdims=True),
    "mean": lambda x: np.mean(x, axis=-1),
    "float32": lambda x: x.astype(np.float32),
    "float64": lambda x: x.astype(np.float64),
    "stack": lambda *parts: np.stack(parts, axis=-1),
}


def _operator(op: str, swapped: bool) -> Callable[[Node, Operand], Operand]:
    def apply(self: Node, other: Operand) -> Operand:
        return self.trace.record(op, *((other, self) if swapped else (self, other)))

    return apply


for _op, (_name, _) in BINARY.items():
    setattr(Node, _name.format(""), _operator(_op, swapped=False))
    if _op in ("add", "subtract", "multiply", "divide", "and", "or"):
        setattr(Node, _name.format("r"), _operator(_op, swapped=True))
