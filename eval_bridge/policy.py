"""The policy in NumPy: the forward pass of train/networks.py, from a bundle."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.bundle import GOLDEN_TOLERANCE, Bundle
from eval_bridge.layers import Chunks, dense, lstm_chunks, lstm_last, make_cell, product
from eval_bridge.spec import LOG_STD_SPAN
from jaxtrade.errors import InputError
from jaxtrade.rules import AccountView

FloatArray = npt.NDArray[np.float32]
Bars = npt.NDArray[np.intp]
BARS_AT_ONCE = 512


class Decision(NamedTuple):
    """What a policy answers."""

    output: FloatArray  # [..., choices] logits, or [..., N] means
    value: FloatArray  # [...]


class Odds(NamedTuple):
    """The distribution that a policy's actions are drawn from in training."""

    action: npt.NDArray[Any]  # [...] or [..., N] the most likely one, as `act` gives it
    probabilities: FloatArray | None  # [..., choices]; None for continuous actions
    deviation: FloatArray | None  # [..., N] standard deviation of a Gaussian; None for discrete actions
    mean: FloatArray | None = None  # [..., N] of the Gaussian, before the tanh of a squashed one
    members: tuple["Odds", ...] = ()  # of an ensemble, one by one


class NumpyPolicy:
    """A policy that needs NumPy alone."""

    def __init__(self, bundle: Bundle) -> None:
        self.params = bundle.params
        self.network = bundle.manifest.network
        self.discrete = bundle.manifest.env.choices is not None
        self.flat = self.network.kind == "flat_mlp"  # all symbols are one vector
        squashed = self.network.squash == "tanh" and not self.discrete
        self.bounds = bundle.manifest.env.bounds if squashed else None
        kernel, bias = bundle.params["actor_out/kernel"], bundle.params["actor_out/bias"]
        means = len(bias) // 2 if self.network.std == "state" and not self.discrete else len(bias)
        self.actor_out = kernel[:, :means].copy(), bias[:means].copy()  # less the deviations: it acts with the mode
        self.deviations = (kernel[:, means:].copy(), bias[means:].copy()) if means < len(bias) else None

    def market(self, rows: FloatArray, bars: Bars, origin: int = 0) -> FloatArray:
        """Encode bars, once each.

        Args:
            rows: [T, N, F] features.
            bars: [n] indices of the rows to encode.
            origin: Number of the bar of rows[0] in the data, which cuts an `lstm`'s chunks.

        Returns:
            [n, N, 2 * head] rows for `head`; of a `flat_mlp` [n, 1, 2 * head].
        """
        if self.network.kind == "lstm":  # chunks are shared by their bars
            return self._first_layer(self.encode(rows, bars, origin))
        parts = np.array_split(bars, max(1, -(-len(bars) // BARS_AT_ONCE)))
        return np.concatenate([self._first_layer(self.encode(rows, part, origin)) for part in parts])

    def encode(self, rows: FloatArray, bars: Bars, origin: int = 0) -> FloatArray:
        """Return the embeddings of bars, [n, N, D]; see `market`."""
        network = self.network
        if network.kind == "flat_mlp":
            return rows[bars].reshape(len(bars), 1, -1)
        if network.kind == "mlp":
            symbol = rows[bars]
            for number in range(2):
                symbol = np.tanh(dense(self.params, f"encoder/dense_{number}", symbol))
            return symbol
        if network.kind == "lstm":
            cell = make_cell(self.params, "encoder/lstm")
            return lstm_chunks(cell, Chunks(network.chunk, network.burn_in), rows, bars, origin)
        return np.concatenate(
            [lstm_last(self.params, f"encoder/lstm_{length}", length, rows, bars) for length in network.branches],
            axis=-1,
        )

    def _first_layer(self, symbol: FloatArray) -> FloatArray:
        first = dense(self.params, "from_symbol", symbol)
        return first if self.flat else first + dense(self.params, "from_panel", symbol.mean(axis=-2, keepdims=True))

    def head(self, market: FloatArray, view: AccountView) -> Decision:
        """Return the decision for encoded bars [..., N, 2 * head] and the accounts that stand there."""
        actor, critic = self._hidden(market, view)
        pooled = np.tanh(dense(self.params, "critic_hidden", critic)).mean(axis=-2)
        return Decision(self._last(actor, self.actor_out), dense(self.params, "critic_out", pooled)[..., 0])

    def odds(self, market: FloatArray, view: AccountView) -> Odds:
        """Return the distribution of the action, for what `head` takes."""
        actor, _ = self._hidden(market, view)
        output = self._last(actor, self.actor_out)
        action = self.act(Decision(output, output))
        if self.discrete:
            return Odds(action, softmax(output), None)
        if self.deviations is None:
            log_std = np.broadcast_to(self.params["log_std"], output.shape)
        else:  # bounded as in training
            raw = self._last(actor, self.deviations) / np.float32(LOG_STD_SPAN)
            log_std = np.float32(self.network.log_std) + np.float32(LOG_STD_SPAN) * np.tanh(raw)
        return Odds(action, None, np.exp(log_std), output)

    def sample(self, odds: Odds, generator: np.random.Generator) -> npt.NDArray[Any]:
        """Draw an action for each of the odds, of the shape that `act` gives."""
        if odds.probabilities is not None:
            reached = np.cumsum(odds.probabilities, axis=-1, dtype=np.float64)
            drawn = generator.random(reached.shape[:-1])[..., None] * reached[..., -1:]
            return np.asarray(np.sum(drawn >= reached[..., :-1], axis=-1))
        if odds.mean is None or odds.deviation is None:
            raise ValueError("the odds hold neither probabilities nor a mean and a deviation")
        number = odds.mean + odds.deviation * generator.standard_normal(odds.mean.shape, np.float32)
        return number if self.bounds is None else squashed(number, *self.bounds)

    def _hidden(self, market: FloatArray, view: AccountView) -> list[FloatArray]:
        """Return what goes into the actor's and the critic's second layers, [..., N, head] each."""
        assets = np.asarray(view.assets, np.float32)
        account = np.asarray(view.account, np.float32)
        if self.flat:
            assets = assets.reshape(*assets.shape[:-2], 1, -1)
        from_account = dense(self.params, "from_account", account)[..., None, :]
        return np.split(np.tanh(market + dense(self.params, "from_assets", assets) + from_account), 2, axis=-1)

    def _last(self, actor: FloatArray, layer: tuple[FloatArray, FloatArray]) -> FloatArray:
        """Return the actor's output [..., choices] or [..., N] of one of its last layers."""
        hidden = np.tanh(dense(self.params, "actor_hidden", actor))
        output = product(hidden, layer[0]) + layer[1]
        return output[..., 0, :] if self.discrete or self.flat else output[..., 0]

    def act(self, decision: Decision) -> npt.NDArray[Any]:
        """Return the most likely action: an index [...], or one number per symbol [..., N]."""
        if self.discrete:
            return np.asarray(np.argmax(decision.output, axis=-1))
        return decision.output if self.bounds is None else squashed(decision.output, *self.bounds)


def softmax(logits: FloatArray) -> FloatArray:
    """Return the probabilities of choices, [..., choices]."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


def squashed(number: FloatArray, low: float, high: float) -> FloatArray:
    """Return the tanh of a number, stretched over (low, high)."""
    center, half = np.float32((low + high) / 2), np.float32((high - low) / 2)
    return center + half * np.tanh(number)


def make_policy(bundle: Bundle) -> NumpyPolicy:
    """Return the policy after it has given the answers that are stored in its bundle.

    The golden rows count as bars 0, 1, 2 and so on.

    Raises:
        InputError: It answers something else.
    """
    policy, golden = NumpyPolicy(bundle), bundle.golden
    bars = np.arange(policy.network.reach - 1, len(golden["rows"]))
    decision = policy.head(policy.market(golden["rows"], bars), AccountView(golden["assets"], golden["account"]))
    error = max(_apart(decision.output, golden["output"]), _apart(decision.value, golden["value"]))
    if not error <= GOLDEN_TOLERANCE:
        raise InputError("policy bundle", f"its golden test differs by {error:.2g}", "Export the policy again")
    return policy


def _apart(found: FloatArray, wanted: FloatArray) -> float:
    """Return the largest difference, relative to the largest answer where that exceeds 1: logits may be large."""
    return float(np.max(np.abs(found - wanted)) / max(1.0, float(np.max(np.abs(wanted)))))
