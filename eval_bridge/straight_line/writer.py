"""Write the operations of a trace as Python: on floats for one symbol, on arrays for more."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eval_bridge.straight_line.nodes import OPERATIONS, Node, UntraceableError
from eval_bridge.straight_line.trace import Trace

SCALAR = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "and": "{0} and {1}",
    "or": "{0} or {1}",
    "less": "{0} < {1}",
    "less_equal": "{0} <= {1}",
    "greater": "{0} > {1}",
    "greater_equal": "{0} >= {1}",
    "equal": "{0} == {1}",
    "not_equal": "{0} != {1}",
    "negative": "-{0}",
    "not": "not {0}",
    "absolute": "abs({0})",
    "where": "{1} if {0} else {2}",
    "maximum": "{0} if {0} >= {1} or {0} != {0} else {1}",
    "minimum": "{0} if {0} <= {1} or {0} != {0} else {1}",
    "sign": "1.0 if {0} > 0 else -1.0 if {0} < 0 else {0}",
    "floor": "{0} // 1.0",
    "isfinite": "isfinite({0})",
    "isnan": "isnan({0})",
    "float32": "float(float32({0}))",
    "float64": "float({0})",
    **{name: f"float({name}({{0}}))" for name in ("tanh", "exp", "log", "log1p", "sqrt")},
}
FUNCTIONS = {name: getattr(np, name) for name in ("float32", "float64", "array", "tanh", "exp", "log", "log1p", "sqrt")}
FUNCTIONS |= {"isfinite": math.isfinite, "isnan": math.isnan, "inf": math.inf, "nan": math.nan}
ROUNDED = ("add", "subtract", "multiply", "divide")  # of float32, computed in float64
SAME = ("expand", "sum", "total", "mean")  # of one symbol, these change nothing
UFUNCS = {name: each for name, each in OPERATIONS.items() if isinstance(each, np.ufunc)}


class FloatWriter:
    """Writes for one symbol: every number is a float."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = dict(FUNCTIONS)
        self.lines: list[str] = []

    def function(self, trace: Trace, inputs: Sequence[str], outputs: Sequence[Any]) -> Callable[..., Any]:
        """Return the function of the inputs that returns the outputs, or None where a guard is True."""
        needed, guards = _needed([*outputs, *trace.guards]), {node.number for node in trace.guards}
        for node in self.ordered([node for node in trace.nodes if node.number in needed], outputs):
            if node.op != "input":
                self.write(node)
            if node.number in guards:
                self.lines.append(f"if {self.name(node)}: return None")
        result = ", ".join(map(self.final, outputs))
        text = "\n    ".join([f"def straight({', '.join(inputs)}):", *self.lines, f"return ({result},)"])
        exec(compile(text, "<the rules>", "exec"), self.names)
        return self.names["straight"]  # type: ignore[no-any-return]

    def ordered(self, nodes: list[Node], outputs: Sequence[Any]) -> list[Node]:
        """Return the nodes in the order in which they are written."""
        del outputs
        return nodes

    def write(self, node: Node) -> None:
        """Write one operation."""
        self.lines.append(f"{self.name(node)} = {self.expression(node)}")

    def name(self, node: Node) -> str:
        """Return the name of a node's value."""
        return str(node.operands[0]) if node.op == "input" else f"v{node.number}"

    def expression(self, node: Node) -> str:
        """Return one operation as an expression."""
        values = [self.operand(each, node) for each in node.operands]
        if node.op == "stack":
            return f"array(({', '.join(values)},)).reshape({node.shape})"
        return values[0] if node.op in SAME else self.number(node, values)

    def number(self, node: Node, values: Sequence[str]) -> str:
        """Return an operation on numbers."""
        text = SCALAR[node.op].format(*values)
        return f"float(float32({text}))" if node.op in ROUNDED and node.dtype == np.float32 else text

    def operand(self, operand: Any, user: Node) -> str:
        """Return an operand as it is written."""
        del user
        return self.name(operand) if isinstance(operand, Node) else _literal(operand)

    def final(self, output: Any) -> str:
        """Return an output as it is written."""
        return self.operand(output, output)


class ArrayWriter(FloatWriter):
    """Writes for several symbols: arrays are computed in place, and sums that can be taken together are.

    All arrays have a number per symbol, even where one would do: NumPy is slow where shapes differ. What is returned
    is always an array of its own; the others are overwritten at the next bar.
    """

    def __init__(self, symbols: int) -> None:
        super().__init__()
        self.symbols, self.fresh = symbols, set[int]()
        self.names |= {f"np_{name}": each for name, each in UFUNCS.items()}
        self.names |= {"np_where": np.where, "sums": np.add.reduce, "copyto": np.copyto}
        self.places: dict[int, str] = {}  # names of the arrays that nodes are computed in
        self.groups: dict[int, list[Node]] = {}  # sums that are taken together, under each one's number

    def ordered(self, nodes: list[Node], outputs: Sequence[Any]) -> list[Node]:
        """Put the sums that depend on equally many sums before each other side by side, and find places for all."""
        level: dict[int, int] = {}
        for node in nodes:
            before = max((level[each.number] for each in node.operands if isinstance(each, Node)), default=0)
            level[node.number] = before + (node.op == "sum")
        self.fresh = {each.number for each in outputs if isinstance(each, Node)}
        for depth in set(level.values()):
            group = [node for node in nodes if node.op == "sum" and level[node.number] == depth]
            self.groups |= {node.number: group for node in group}
            self._gather([node.operands[0] for node in group])
        for node in nodes:
            if node.op == "stack" and node.ndim > 1:
                self._gather(node.operands)
        return sorted(nodes, key=lambda node: (level[node.number], node.op != "sum", node.number))

    def _gather(self, operands: Sequence[Any]) -> None:
        """Let nodes be computed in the rows of one matrix, where they can and have no place yet."""
        matrix = np.zeros((len(operands), self.symbols))
        for row, each in zip(matrix, operands, strict=True):
            if isinstance(each, Node) and self._in_place(each) and each.number not in self.places:
                self.places |= {each.number: self.constant(row)} if each.dtype == row.dtype else {}
        self.names[self._matrix(operands)] = matrix

    def _matrix(self, operands: Sequence[Any]) -> str:
        return "m" + "_".join(str(each.number) if isinstance(each, Node) else "c" for each in operands)

    def _in_place(self, node: Node) -> bool:
        return node.op in UFUNCS and node.shape != () and node.number not in self.fresh

    def name(self, node: Node) -> str:
        """Return the name of a node's value."""
        return self.places.get(node.number) or super().name(node)

    def write(self, node: Node) -> None:
        """Write one operation, or all sums of a group at its first."""
        if node.op == "sum":
            self._write_sums(node)
        elif node.op in ("expand", "total") or self._in_place(node):
            values = ", ".join(self.operand(each, node) for each in node.operands)
            if node.number not in self.places:
                self.places[node.number] = self.constant(np.zeros(self.symbols, node.dtype))
            name = self.places[node.number]
            single = {"expand": f"{name}.fill({values})", "total": f"{name}.fill(sums({values}))"}
            self.lines.append(single.get(node.op, f"np_{node.op}({values}, out={name})"))
        else:
            super().write(node)

    def _write_sums(self, node: Node) -> None:
        group = self.groups[node.number]
        if node is group[0]:
            matrix = self._filled([each.operands[0] for each in group], node)
            results = ", ".join(f"v{each.number}" for each in group)
            self.lines.append(f"{results}, = sums({matrix}, 1).tolist()")

    def _filled(self, operands: Sequence[Any], user: Node) -> str:
        """Write what copies the operands that have another place into their matrix; return its name."""
        name = self._matrix(operands)
        for row, each in zip(self.names[name], operands, strict=True):
            value = self.operand(each, user)
            if not (value in self.names and np.shares_memory(self.names[value], row)):
                self.lines.append(f"copyto({self.constant(row)}, {value})")
        return name

    def expression(self, node: Node) -> str:
        """Return one operation as an expression."""
        if node.op == "stack" and node.ndim > 1:
            return f"{self._filled(node.operands, node)}.T.copy()"
        values = [self.operand(each, node) for each in node.operands]
        if node.op == "stack":
            return f"array(({', '.join(values)},))"
        if node.op == "mean":
            return f"float(sums({values[0]})) / {self.symbols}"
        if node.op in ("float32", "float64") and node.shape != ():
            return f"{values[0]}.astype({node.op})"
        return self.number(node, values) if node.shape == () else f"np_{node.op}({', '.join(values)})"

    def operand(self, operand: Any, user: Node) -> str:
        """Return an operand as it is written; beside arrays, constants are arrays."""
        if isinstance(operand, Node) or user.shape == ():
            return super().operand(operand, user)
        typed = [each.dtype for each in user.operands if isinstance(each, Node) and each.dtype != bool]
        value = np.asarray(operand, typed[0] if isinstance(operand, int | float) and typed else None)
        return self.constant(np.broadcast_to(value, self.symbols))

    def constant(self, value: Any) -> str:
        """Name an array; that of a constant is copied."""
        name = f"c{len(self.names)}"
        self.names[name] = value if value.base is not None and value.flags.writeable else np.array(value)
        return name

    def final(self, output: Any) -> str:
        """Return an output as it is written."""
        if isinstance(output, Node) or np.shape(output) == ():
            return super().operand(output, output)
        return self.constant(output)


def _literal(value: Any) -> str:
    value = np.asarray(value)
    if value.size != 1:
        raise UntraceableError("a vector beside a number")
    return f"({value.item()!r})"


def _needed(outputs: Sequence[Any]) -> set[int]:
    found: set[int] = set()
    waiting = [each for each in outputs if isinstance(each, Node)]
    while waiting:
        node = waiting.pop()
        if node.number not in found:
            found.add(node.number)
            waiting += [each for each in node.operands if isinstance(each, Node)]
    return found
