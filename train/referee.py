"""The programs that examine a policy, compiled once for all windows of a market."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxtrade.market.splits import Range
from train.batched import Batched
from train.evaluate import BARS_AT_ONCE, walk
from train.forward import compile_forward, exact
from train.leaks import compile_walk_back
from train.parity import compile_steps
from train.state import Setup

Walked = dict[str, np.ndarray]  # `action` [K, ...] and `equity` [K] of a walk


class Referee(NamedTuple):
    """What certifies and leak-checks policies of one network under one set of rules, on any range up to a length.

    Parameters, market and range are arguments of its programs: a market with as many bars, symbols and features
    compiles nothing anew. Ranges and batches are filled up to fixed sizes; what was filled in is cut off again before
    anything is compared or counted.
    """

    setup: Setup  # with the network as it is exported
    decisions: int  # of the longest range
    walks: Callable[..., dict[str, jax.Array]]  # (params, env_params, draw) -> `action`, `equity` [decisions, ...]
    forward: Batched  # ((params, rows), (bars, view)) -> answers
    steps: Batched  # (rules, bars) -> record, choices
    walk_back: Callable[..., dict[str, jax.Array]]  # (params, env_params) -> the same of the leak check's short walks

    def walk(self, params: Any, env_params: Any, span: Range, draw: bool) -> Walked:
        """Return what happens on the way through a range, with the most likely actions or with drawn ones."""
        walked = jax.device_get(self.walks(params, env_params, draw))
        return {name: leaf[: span.decisions] for name, leaf in walked.items()}


def make_referee(setup: Setup, decisions: int) -> Referee:
    """Return the programs; each is compiled when it is first used.

    Args:
        setup: The static parts.
        decisions: Of the longest range that will be certified.
    """
    setup = exact(setup)
    return Referee(
        setup=setup,
        decisions=decisions,
        walks=jax.jit(partial(_walk, setup, decisions)),
        forward=compile_forward(setup, min(BARS_AT_ONCE, decisions)),
        steps=compile_steps(setup.core.book, min(BARS_AT_ONCE, decisions)),
        walk_back=compile_walk_back(setup),
    )


def referee_for(referee: Referee | None, setup: Setup, span: Range) -> Referee:
    """Return the referee, or a new one for a range when None.

    Raises:
        ValueError: It was made for another network, other rules or shorter ranges: it would judge something else.
    """
    if referee is None:
        return make_referee(setup, span.decisions)
    own, asked = referee.setup, exact(setup)
    if (own.policy, own.config.env) != (asked.policy, asked.config.env):
        raise ValueError("the referee was made for another network or other rules")
    if span.decisions > referee.decisions:
        raise ValueError(f"the referee was made for {referee.decisions} decisions, the range holds {span.decisions}")
    return referee


def _walk(setup: Setup, decisions: int, params: Any, env_params: Any, draw: jax.Array) -> dict[str, jax.Array]:
    return walk(setup, params, env_params, decisions, draw)[1]
