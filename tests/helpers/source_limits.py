"""How long a file and a function may be, and how deep `def` may be nested."""

import ast
from collections.abc import Iterator

FILE_LINES, FUNCTION_LINES, NESTED_DEFS = 299, 39, 2  # the most that is allowed

Function = ast.FunctionDef | ast.AsyncFunctionDef


def complaints(source: str) -> list[str]:
    """Return what is too long or too deep in a module's text, one line each."""
    found = []
    lines = len(source.splitlines())
    if lines > FILE_LINES:
        found.append(f"file of {lines} lines")
    for function, nested in functions_of(ast.parse(source)):
        where = f"line {function.lineno}: {function.name}"
        if (length := function_length(function)) > FUNCTION_LINES:
            found.append(f"{where} has {length} lines")
        if nested > NESTED_DEFS:
            found.append(f"{where} is nested {nested} deep")
    return found


def functions_of(node: ast.AST, nested: int = 0) -> Iterator[tuple[Function, int]]:
    """Yield every function below a node and in how many functions it lies."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield child, nested
            yield from functions_of(child, nested + 1)
        else:
            yield from functions_of(child, nested)


def function_length(function: Function) -> int:
    """Return the lines from `def` to the end, decorators and docstring left out."""
    length = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function, clean=False) is None:
        return length
    text = function.body[0]
    return length - (text.end_lineno - text.lineno + 1)
