"""A policy for one bar at a time: the latest window in, the decision out, with nothing allocated on the way.

`LiveWindow` is the actor alone, its first layer one product and the branches of a multi-scale LSTM side by side;
`LSTMCarrier` carries the states of an `lstm` from row to row.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy import add, dot, tanh

from eval_bridge.layers import Cell, Chunks, State, make_cell, product, zero_state
from eval_bridge.policy import NumpyPolicy, squashed
from jaxtrade.rules import AccountView

FloatArray = npt.NDArray[np.float32]


class LiveHead:
    """The deterministic actor on an embedding and an account.

    Its first layer multiplies one vector per symbol: embedding, mean embedding, the symbol's and the account's figures.
    """

    def __init__(self, policy: NumpyPolicy, symbols: int) -> None:
        """Stack the kernels of the first layer and set the buffers up.

        Args:
            policy: The policy.
            symbols: Symbols that it trades here.
        """
        params, self.discrete, self.flat, self.bounds = policy.params, policy.discrete, policy.flat, policy.bounds
        rows = 1 if self.flat else symbols
        names = ("from_symbol", *(() if self.flat else ("from_panel",)), "from_assets", "from_account")
        width = params["actor_hidden/kernel"].shape[0]
        kernels = [params[f"{name}/kernel"][:, :width] for name in names]
        ends = np.cumsum([0, *map(len, kernels)])
        self.first = np.concatenate([*kernels, params["from_symbol/bias"][None, :width]])
        self.hidden, self.out = (params["actor_hidden/kernel"], params["actor_hidden/bias"]), policy.actor_out
        inputs = np.ones((rows, len(self.first)), np.float32)  # the last stays 1, for the bias
        self.panel = None if self.flat else inputs[:, ends[1] : ends[2]]
        self.symbol = inputs[:, : ends[1]].reshape(symbols, -1) if self.flat else inputs[:, : ends[1]]
        self.assets = inputs[:, ends[-3] : ends[-2]]
        if rows == 1:
            self.assets = self.assets.reshape(symbols, 4)
        self.account = inputs[:, ends[-2] : -1]
        buffers = [np.zeros((rows, size), np.float32) for size in (width, width, self.out[0].shape[1])]
        # One row goes as a vector through the matrices: that is faster than a matrix of one row.
        self.vectors = tuple(each[0] if rows == 1 else each for each in (inputs, *buffers))
        self.output = buffers[-1][0] if self.discrete or self.flat else buffers[-1][:, 0]

    def __call__(self, embedding: FloatArray, view: AccountView) -> Any:
        """Return the action: an index, or one number per symbol, [N].

        Args:
            embedding: [N, D]; of a `flat_mlp` the features, [N, F].
            view: The account, leaves [N, 4] and [3 + M].
        """
        self.symbol[...] = embedding
        if self.panel is not None:
            self.panel[...] = embedding if len(embedding) == 1 else embedding.mean(axis=0)
        self.assets[...] = view.assets
        self.account[...] = view.account
        x, first, second, out = self.vectors
        (kernel_2, bias_2), (kernel_3, bias_3) = self.hidden, self.out
        dot(x, self.first, first)
        tanh(first, first)
        dot(first, kernel_2, second)
        add(second, bias_2, second)
        tanh(second, second)
        dot(second, kernel_3, out)
        add(out, bias_3, out)
        if self.discrete:
            return int(self.output.argmax())
        return self.output.copy() if self.bounds is None else squashed(self.output, *self.bounds)


class LiveWindow:
    """`decide(window, view) -> action` for the networks that look at a window: all but the `lstm`."""

    def __init__(self, policy: NumpyPolicy, symbols: int) -> None:
        """Prepare the policy for one bar at a time.

        Args:
            policy: The policy.
            symbols: Symbols that it trades here.
        """
        if policy.network.kind == "lstm":
            raise ValueError("an lstm carries its state from bar to bar: use LSTMCarrier")
        self.policy, self.head, self.reach = policy, LiveHead(policy, symbols), policy.network.reach
        multiscale = policy.network.kind == "multiscale_lstm"
        self.branches = Branches(policy, symbols) if multiscale else None

    def decide(self, window: FloatArray, view: AccountView) -> Any:
        """Return the action at the last of the rows.

        Args:
            window: [W, N, F] features, at least `reach` rows.
            view: The account, leaves [N, 4] and [3 + M].
        """
        if len(window) < self.reach:
            raise ValueError(f"{len(window)} rows, the network looks back {self.reach}")
        if self.policy.flat:
            return self.head(window[-1], view)
        if self.branches is not None:
            return self.head(self.branches(window), view)
        return self.head(self.policy.encode(window, np.array([len(window) - 1]))[0], view)


class Branches:
    """The branches of a multi-scale LSTM on one window, side by side: the longest begins, the others join it."""

    def __init__(self, policy: NumpyPolicy, symbols: int) -> None:
        """Stack the branches, longest first.

        Args:
            policy: The policy.
            symbols: Symbols of the window.
        """
        lengths, hidden = policy.network.branches, policy.network.hidden
        order = sorted(range(len(lengths)), key=lambda n: -lengths[n])
        cells = [make_cell(policy.params, f"encoder/lstm_{lengths[n]}") for n in order]
        self.kernel_x = np.concatenate([cell.kernel_x for cell in cells], axis=1)
        self.bias = np.concatenate([cell.bias for cell in cells])
        self.kernels = [cell.kernel_h for cell in cells]
        self.lengths, self.places = [lengths[n] for n in order], np.argsort(order)
        whole = self.state = zero_state(len(order), symbols, hidden)
        self.phases = []  # of 1, 2, ... branches: their state, and each one's kernel, output and gates
        for count in range(1, len(order) + 1):
            first = State(whole.gates[:count], whole.output[:count], whole.memory[:count])
            shape = (-1,) if symbols == 1 else (symbols, -1)  # a vector through a matrix is faster
            each = [
                (self.kernels[n], whole.output[n].reshape(shape), whole.gates[n].reshape(shape)) for n in range(count)
            ]
            self.phases.append((first, each))

    def __call__(self, window: FloatArray) -> FloatArray:
        """Return the embedding of the last row of a window [W, N, F], [N, branches * hidden]."""
        branches, symbols, _ = self.state.output.shape
        rows = window[-self.lengths[0] :]
        projected = product(rows, self.kernel_x) + self.bias
        projected = projected.reshape(len(rows), symbols, branches, -1).swapaxes(1, 2)
        self.state.output[:] = self.state.memory[:] = 0
        ends = [*self.lengths[1:], 0]
        for (state, each), begin, end in zip(self.phases, self.lengths, ends, strict=True):
            gates, step = state.gates, state.step
            for row in projected[len(rows) - begin : len(rows) - end, : len(each)]:
                for kernel, output, own in each:
                    dot(output, kernel, own)
                add(gates, row, gates)
                step()
        return self.state.output[self.places].swapaxes(0, 1).reshape(symbols, -1)


class LSTMCarrier:
    """The states of an `lstm`, carried from row to row: that of the chunk at hand and those that warm up."""

    def __init__(self, policy: NumpyPolicy, symbols: int, bar: int = 0) -> None:
        """Begin before a bar.

        Args:
            policy: The policy.
            symbols: Symbols that it trades here.
            bar: Number in the data of the first row that will be fed.
        """
        network = policy.network
        self.cell: Cell = make_cell(policy.params, "encoder/lstm")
        self.chunks, self.bar, self.first = Chunks(network.chunk, network.burn_in), bar, bar
        waiting = -(-network.burn_in // network.chunk) + 1  # chunks whose states are carried at once
        self.state = zero_state(waiting, symbols, network.hidden)

    def feed(self, row: FloatArray) -> FloatArray | None:
        """Take the features of the next bar, [N, F]; return its embedding [N, H], or None where rows were missed."""
        size, burn_in = self.chunks
        number, place = divmod(self.bar, size)
        if place == 0 and self.bar > self.first:  # the chunk is over: the next takes its place
            for each in (self.state.output, self.state.memory):
                each[:-1] = each[1:].copy()
                each[-1] = 0
        begun = min(len(self.state.output), (place + burn_in) // size + 1)
        state = State(self.state.gates[:begun], self.state.output[:begun], self.state.memory[:begun])
        self.cell.recur(state)
        add(state.gates, self.cell.project(row), state.gates)
        state.step()
        self.bar += 1
        return state.output[0].copy() if max(number * size - burn_in, 0) >= self.first else None
