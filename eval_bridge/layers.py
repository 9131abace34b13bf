"""The layers of the policies in NumPy."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]


def sigmoid(x: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x)), without overflow."""
    result: FloatArray = np.float32(0.5) * (np.tanh(np.float32(0.5) * x) + np.float32(1.0))
    return result


def dense(params: dict[str, FloatArray], name: str, x: FloatArray) -> FloatArray:
    """Return x @ kernel + bias; the bias may be absent."""
    result: FloatArray = x @ params[f"{name}/kernel"]
    bias = params.get(f"{name}/bias")
    return result if bias is None else result + bias


def lstm_last(
    params: dict[str, FloatArray], name: str, length: int, rows: FloatArray, bars: npt.NDArray[np.intp]
) -> FloatArray:
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
    kernel_h, bias = params[f"{name}/kernel_h"], params[f"{name}/bias"]
    first = int(bars.min()) - length + 1
    projected = rows[first : int(bars.max()) + 1] @ params[f"{name}/kernel_x"] + bias  # shared by all windows
    output = np.zeros((len(bars), rows.shape[1], len(kernel_h)), np.float32)
    memory = np.zeros_like(output)
    for back in range(length - 1, -1, -1):
        i, f, g, o = np.split(projected[bars - back - first] + output @ kernel_h, 4, axis=-1)
        memory = sigmoid(f) * memory + sigmoid(i) * np.tanh(g)
        output = sigmoid(o) * np.tanh(memory)
    return output
