"""The layers of the policies in NumPy."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy import add, multiply, tanh

FloatArray = npt.NDArray[np.float32]
Params = dict[str, FloatArray]
HALF = np.array([0.5], np.float32)  # NumPy is slower with numbers beside arrays


def product(x: FloatArray, kernel: FloatArray) -> FloatArray:
    """Return x @ kernel for x [..., K], as one product: NumPy takes a product for each of the leading axes."""
    result: FloatArray = (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])
    return result


def dense(params: Params, name: str, x: FloatArray) -> FloatArray:
    """Return x @ kernel + bias; the bias may be absent."""
    result = product(x, params[f"{name}/kernel"])
    bias = params.get(f"{name}/bias")
    return result if bias is None else result + bias


class Cell(NamedTuple):
    """An LSTM's parameters, gates in the order i, f, o, g.

    The first three are halved: sigmoid(z) = (1 + tanh(z / 2)) / 2, so that one tanh serves all four.
    """

    kernel_x: FloatArray  # [F, 4H]
    kernel_h: FloatArray  # [H, 4H]
    bias: FloatArray  # [4H]

    def project(self, rows: FloatArray) -> FloatArray:
        """Return what rows [..., F] add to the gates, [..., 4H]."""
        return product(rows, self.kernel_x) + self.bias

    def recur(self, state: "State") -> None:
        """Put into the gates what the outputs add to them."""
        hidden = state.output.shape[-1]
        np.matmul(state.output.reshape(-1, hidden), self.kernel_h, out=state.gates.reshape(-1, 4 * hidden))


def make_cell(params: Params, name: str) -> Cell:
    """Return the cell of `name`; its parameters hold the gates in the order i, f, g, o."""
    hidden = len(params[f"{name}/kernel_h"])
    scale = np.repeat(np.array([0.5, 0.5, 0.5, 1.0], np.float32), hidden)  # powers of two: nothing is rounded
    order = np.r_[: 2 * hidden, 3 * hidden : 4 * hidden, 2 * hidden : 3 * hidden]
    return Cell(*(params[f"{name}/{part}"][..., order] * scale for part in ("kernel_x", "kernel_h", "bias")))


class State:
    """States of an LSTM that are carried in place, [..., H], and the gates, [..., 4H], that carry them."""

    def __init__(self, gates: FloatArray, output: FloatArray, memory: FloatArray) -> None:
        hidden = output.shape[-1]
        self.gates, self.output, self.memory = gates, output, memory
        self.sigmoids = gates[..., : 3 * hidden]
        self.i, self.f, self.o, self.g = (gates[..., n * hidden : (n + 1) * hidden] for n in range(4))

    def step(self) -> None:
        """Carry the states by what the gates hold: a row and the output through the kernels of a `Cell`, with bias."""
        tanh(self.gates, self.gates)
        multiply(self.sigmoids, HALF, self.sigmoids)
        add(self.sigmoids, HALF, self.sigmoids)
        multiply(self.f, self.memory, self.memory)
        multiply(self.i, self.g, self.g)
        add(self.memory, self.g, self.memory)
        tanh(self.memory, self.g)
        multiply(self.o, self.g, self.output)


def zero_state(*shape: int) -> State:
    """Return zero states, [*shape]."""
    gates = np.zeros((*shape[:-1], 4 * shape[-1]), np.float32)
    return State(gates, np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def lstm_last(params: Params, name: str, length: int, rows: FloatArray, bars: npt.NDArray[np.intp]) -> FloatArray:
    """Return the last hidden state of an LSTM over the `length` rows that end at each bar, from a zero state.

    Args:
        params: Parameters by name.
        name: Prefix of kernel_x [F, 4H], kernel_h [H, 4H] and bias [4H]; gates in the order i, f, g, o.
        length: Rows of each window.
        rows: [T, N, F] features.
        bars: [n] indices of the windows' last rows.

    Returns:
        [n, N, H].
    """
    cell = make_cell(params, name)
    first = int(bars.min()) - length + 1
    projected = cell.project(rows[first : int(bars.max()) + 1])  # shared by all windows
    state = zero_state(len(bars), rows.shape[1], len(cell.kernel_h))
    for back in range(length - 1, -1, -1):
        if back < length - 1:  # the first output is zero
            cell.recur(state)
        state.gates += projected[bars - back - first]
        state.step()
    return state.output


class Chunks(NamedTuple):
    """How an `lstm` cuts the bars, by their number in the data."""

    chunk: int  # bars of a chunk
    burn_in: int  # bars before it from which its state is carried, out of zero


def lstm_chunks(
    cell: Cell, chunks: Chunks, rows: FloatArray, bars: npt.NDArray[np.intp], origin: int = 0
) -> FloatArray:
    """Return the hidden state at each bar, of the state that its chunk carries; all chunks are walked side by side.

    Args:
        cell: The LSTM.
        chunks: How the bars are cut.
        rows: [T, N, F] features.
        bars: [n] indices of rows.
        origin: Number of the bar of rows[0]. The chunk's rows must be there, from the first of its burn-in that
            exists on.

    Returns:
        [n, N, H].
    """
    size, burn_in = chunks
    numbers, which = np.unique((bars + origin) // size, return_inverse=True)
    first = numbers * size - burn_in  # bar at which a chunk's state is zero; none exist below 0
    if np.any(np.maximum(first, 0) < origin):
        raise ValueError(f"rows from bar {max(int(first.min()), 0)} on are needed, they begin at {origin}")
    steps = bars + origin - first[which]  # of each bar's state
    state = zero_state(len(numbers), rows.shape[1], len(cell.kernel_h))
    found = np.empty((len(bars), *state.output.shape[1:]), np.float32)
    for step in range(int(steps.max()) + 1):
        at = first + step
        exists = (at >= 0) & (at - origin < len(rows))
        cell.recur(state)
        state.gates += cell.project(rows[np.where(exists, at - origin, 0)])
        state.step()
        state.output[~exists] = state.memory[~exists] = 0
        found[steps == step] = state.output[which[steps == step]]
    return found
