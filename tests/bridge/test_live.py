"""One bar at a time: the live paths answer as the whole-table path does."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eval_bridge.layers import Chunks, lstm_chunks, make_cell
from eval_bridge.live import LiveHead, LiveWindow, LSTMCarrier
from eval_bridge.policy import NumpyPolicy
from eval_bridge.spec import NetworkConfig, parameter_shapes
from jaxtrade.rules import AccountView

FEATURES, BARS = 5, 60
SLIM = {"hidden": 8, "head": 12, "branches": (5, 1, 20)}


def policy_of(kind: str, symbols: int, choices: int | None, **form: Any) -> NumpyPolicy:
    """Return a policy of random parameters, large enough that the answers differ."""
    network, rng = NetworkConfig(kind=kind, **SLIM | form), np.random.default_rng(0)
    shapes = parameter_shapes(network, choices, symbols, FEATURES, 1)
    params = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    bundle: Any = SimpleNamespace(
        params=params, manifest=SimpleNamespace(network=network, env=SimpleNamespace(choices=choices))
    )
    return NumpyPolicy(bundle)


def inputs(symbols: int) -> tuple[np.ndarray, AccountView]:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(BARS, symbols, FEATURES)).astype(np.float32)
    return rows, AccountView(rng.uniform(-1, 1, (BARS, symbols, 4)), rng.uniform(0, 1, (BARS, 4)))


@pytest.mark.parametrize("choices", [None, 5])
@pytest.mark.parametrize("symbols", [1, 3])
@pytest.mark.parametrize("kind", ["mlp", "flat_mlp", "multiscale_lstm"])
def test_a_window_is_answered_as_the_table(kind: str, symbols: int, choices: int | None) -> None:
    policy, (rows, view) = policy_of(kind, symbols, choices), inputs(symbols)
    bars = np.arange(policy.network.reach - 1, BARS)
    table = policy.head(policy.market(rows, bars), AccountView(*(leaf[bars] for leaf in view)))
    live, wanted = LiveWindow(policy, symbols), policy.act(table)
    found = [live.decide(rows[: bar + 1], AccountView(*(leaf[bar] for leaf in view))) for bar in bars]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert wanted.shape == ((len(bars),) if choices else (len(bars), symbols))
    assert np.std(wanted) > 0.1
    late = [live.decide(rows[:bar], AccountView(*(leaf[bar] for leaf in view))) for bar in bars[1:]]
    assert np.max(np.abs(np.array(late) - wanted[1:])) > 0.1  # the comparison notices a row too few


def test_too_short_a_window_is_refused() -> None:
    policy, (rows, view) = policy_of("multiscale_lstm", 1, None), inputs(1)
    with pytest.raises(ValueError, match="looks back 20"):
        LiveWindow(policy, 1).decide(rows[:19], AccountView(view.assets[0], view.account[0]))
    with pytest.raises(ValueError, match="LSTMCarrier"):
        LiveWindow(policy_of("lstm", 1, None), 1)


def walked(params: dict[str, np.ndarray], rows: np.ndarray, bar: int, chunks: Chunks) -> np.ndarray:
    """Return the state at a bar, step by step from the zero of its chunk, with plain sigmoids."""
    kernel_x, kernel_h, bias = (params[f"encoder/lstm/{name}"] for name in ("kernel_x", "kernel_h", "bias"))
    output = memory = np.zeros((rows.shape[1], len(kernel_h)))
    for row in rows[max(0, bar // chunks.chunk * chunks.chunk - chunks.burn_in) : bar + 1]:
        i, f, g, o = np.split(row.astype(float) @ kernel_x + output @ kernel_h + bias, 4, axis=-1)
        memory = memory / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        output = np.tanh(memory) / (1 + np.exp(-o))
    return output


@pytest.mark.parametrize(("chunk", "burn_in"), [(8, 4), (8, 8), (4, 11), (5, 13), (6, 1), (100, 3)])
def test_chunks_are_carried_states(chunk: int, burn_in: int) -> None:
    """All bars at once, a part of the rows from elsewhere, and row by row: one function of the bar's number."""
    policy, (rows, _) = policy_of("lstm", 2, None, chunk=chunk, burn_in=burn_in), inputs(2)
    chunks, every = Chunks(chunk, burn_in), policy.encode(rows, np.arange(BARS))
    for bar in (0, 3, 17, 40, BARS - 1):
        np.testing.assert_allclose(every[bar], walked(policy.params, rows, bar, chunks), atol=1e-6)
    carrier = LSTMCarrier(policy, 2)
    fed: list[Any] = [carrier.feed(row) for row in rows]
    np.testing.assert_allclose(np.stack(fed), every, atol=1e-6)
    origin, bars = 17, np.arange(chunk + burn_in, BARS - 17)
    if len(bars):
        part = policy.encode(rows[origin:], bars, origin)
        np.testing.assert_allclose(part, every[bars + origin], atol=1e-6)
        shifted = policy.encode(rows[origin:], bars, origin + 1)  # numbered one bar wrong
        assert np.max(np.abs(shifted - every[bars + origin])) > 1e-4
    late = LSTMCarrier(policy, 2, bar=origin)
    for bar in range(origin, BARS):
        found = late.feed(rows[bar])
        assert (found is None) == (
            0 < max(bar // chunk * chunk - burn_in, 0) < origin or bar // chunk * chunk < burn_in
        )
        if found is not None:
            np.testing.assert_allclose(found, every[bar], atol=1e-6)


def test_rows_that_a_chunk_needs_must_be_there() -> None:
    policy, (rows, _) = policy_of("lstm", 1, None, chunk=8, burn_in=4), inputs(1)
    with pytest.raises(ValueError, match="rows from bar 12 on"):
        lstm_chunks(make_cell(policy.params, "encoder/lstm"), Chunks(8, 4), rows, np.array([3]), origin=15)


def test_a_carried_state_decides_as_the_table() -> None:
    policy, (rows, view) = policy_of("lstm", 2, None, chunk=8, burn_in=4), inputs(2)
    wanted = policy.act(policy.head(policy.market(rows, np.arange(BARS)), view))
    carrier, head = LSTMCarrier(policy, 2), LiveHead(policy, 2)
    for bar, row in enumerate(rows):
        embedding: Any = carrier.feed(row)
        found = head(embedding, AccountView(view.assets[bar], view.account[bar]))
        np.testing.assert_allclose(found, wanted[bar], atol=1e-6)
