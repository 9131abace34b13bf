"""The leak check of a policy: the market, the statistics, the environment, the backtester and live inference."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import unflatten_dict

from eval_bridge.leaks import BACK, Asked, policy_differences
from eval_bridge.policy import NumpyPolicy
from eval_bridge.spec import LeakCheck, Manifest
from jaxtrade.envs.trading import EnvParams, TradingCore, make_env_params
from jaxtrade.market.leaks import (
    RECURSION_LIMIT,
    Leak,
    change_after,
    fill_leaks,
    leak_texts,
    market_leaks,
    pick_cuts,
    rebuild,
    recursion,
    statistics_leaks,
)
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable, nothing_like
from train.config import TrainConfig
from train.evaluate import walk
from train.networks import make_policy
from train.programs import train_markets
from train.state import Setup

CELLS_AT_EXPORT = 2_000_000  # bars x symbols x cuts that an export spends on it
WalkBack = Callable[[Any, EnvParams], dict[str, jax.Array]]
SAMPLES = 4  # bars whose recursion and fills are looked at
AHEAD = 4  # rows after the bar of the last outcome that the environment gets


def cuts_at_export(table: MarketTable) -> int:
    """Return how many cuts an export can afford: some 16 for a sample, 2 for millions of bars."""
    return int(np.clip(CELLS_AT_EXPORT // table.mark.size, 2, 16))


def compile_walk_back(setup: Setup) -> WalkBack:
    """Return the environment's walk over the last decisions before a cut and the one at it."""
    return jax.jit(lambda params, env_params: walk(setup, params, env_params, BACK + 1)[1])


def check_leaks(
    manifest: Manifest, policy: NumpyPolicy, table: MarketTable, count: int, walk_back: WalkBack | None = None
) -> LeakCheck:
    """Return what the leak check found.

    Args:
        manifest: Of the policy's bundle.
        policy: The policy.
        table: The market to check on.
        count: Cuts, spread over all decisions.
        walk_back: The compiled walk of the policy's network under its rules; made for this check when None.
    """
    table.span("all")  # holds a decision, or the user is told
    cuts = pick_cuts(table, count)
    environment = Environment(manifest, policy, table, walk_back)
    own = table.data_hash == manifest.data.sha256
    leaks = statistics_leaks(table, own) if table.ranges["train"].decisions >= 1 else []
    leaks += selection_leaks(manifest, table) if table.ranges["validation"].decisions >= 1 else []
    few = cuts[:: max(1, len(cuts) // SAMPLES)]
    leaks += fill_leaks(table, few)
    asked = Asked(policy, table, manifest.env)
    known = {cut: asked.decisions(table, cut) for cut in cuts}
    for cut, other, found in market_leaks(table, cuts):
        leaks += found
        if found:
            continue  # what the policy then does with it is no news
        seen = seen_from(table, other, cut)
        names = policy_differences(known[cut], asked.decisions(seen, cut))
        names += environment.differences(seen, cut)
        leaks += [Leak(name, cut, "changed") for name in names]
    memory = recursion(table, few)
    slow = {name: apart for name, apart in memory.items() if apart > RECURSION_LIMIT}
    worst = max(memory, key=lambda name: memory[name])
    return LeakCheck(
        cuts=len(cuts),
        bars=len(table.time),
        findings=(*leak_texts(table, leaks), *(recursion_text(name, apart) for name, apart in slow.items())),
        recursion=memory[worst],
        recursion_feature=worst,
    )


def seen_from(table: MarketTable, other: MarketTable, cut: int) -> MarketTable:
    """Return the changed market as it is seen at a cut: padded to the old length, with the old past behind it.

    What happened before the cut is compared by itself; here it must be the same, because a symbol of which no bar
    follows counts as delisted.
    """
    length = len(table.time)

    def join(old: Any, new: Any) -> Any:
        return None if old is None else np.concatenate([old[:cut], stretch(old if new is None else new, length)[cut:]])

    whole = rows_from(other, 0, length)
    outcome = type(other.outcome)(*map(join, table.outcome, other.outcome))
    return dataclasses.replace(whole, time=table.time, outcome=outcome)


def rows_from(table: MarketTable, first: int, count: int) -> MarketTable:
    """Return `count` rows of a market, with nothing to know where it has no more."""

    def cut(leaf: Any) -> Any:
        return None if leaf is None else stretch(leaf[first : first + count], count)

    return dataclasses.replace(
        table,
        time=np.resize(table.time[first:], count),
        features=cut(table.features),
        known=type(table.known)(*map(cut, table.known)),
        outcome=type(table.outcome)(*map(cut, table.outcome)),
        mark=cut(table.mark),
    )


def stretch(leaf: Any, length: int) -> Any:
    """Return an array [n, ...] with rows of nothing behind it, up to a length of [length, ...]."""
    rest = np.full((max(0, length - len(leaf)), *leaf.shape[1:]), nothing_like(leaf))
    return np.concatenate([leaf, rest]) if len(rest) else leaf


class Environment:
    """The compiled environment, walked by the trained network up to a cut.

    It gets the rows around the cut alone: earlier ones are out of the network's reach, and later ones hold nothing.
    """

    def __init__(
        self, manifest: Manifest, policy: NumpyPolicy, table: MarketTable, walk_back: WalkBack | None = None
    ) -> None:
        self.params = unflatten_dict(
            {tuple(name.split("/")): jnp.asarray(leaf) for name, leaf in policy.params.items()}
        )
        self.env, self.network, self.first = manifest.env, manifest.network, table.ranges["all"].first
        self.program = walk_back or compile_walk_back(setup_of(manifest, len(table.symbols)))
        self.table, self.known = table, dict[int, Any]()

    def walk(self, table: MarketTable, cut: int) -> tuple[Any, Any]:
        """Return actions up to the cut, and the equity before its outcome."""
        first, reach = cut - BACK, self.network.reach
        grid = self.network.chunk if self.network.kind == "lstm" else 1  # its chunks begin where they do in the data
        begin = max(0, first - reach) // grid * grid
        rows = rows_from(table, begin, reach + grid + BACK + 1 + AHEAD)
        market = make_env_params(rows, Range(first - begin, cut + 1 - begin), self.env)
        walked = jax.device_get(self.program(self.params, market))
        return walked["action"], walked["equity"][:-1]

    def differences(self, seen: MarketTable, cut: int) -> list[str]:
        """Return what the environment does otherwise in a changed market."""
        if cut - BACK < self.first:
            return []  # another length would be another program
        if cut not in self.known:
            self.known[cut] = self.walk(self.table, cut)
        pairs = zip(("action", "equity"), self.known[cut], self.walk(seen, cut), strict=True)
        return [
            f"{name} of the environment" for name, old, new in pairs if not np.array_equal(old, new, equal_nan=True)
        ]


def setup_of(manifest: Manifest, symbols: int) -> Setup:
    """Return the static parts that a walk needs, for the policy of a bundle."""
    config = TrainConfig(network=manifest.network, env=manifest.env, market=manifest.market)
    network, distribution = make_policy(config.network, config.env, symbols)
    return Setup(config, TradingCore(config.env), network, distribution, None, None)  # type: ignore[arg-type]


def selection_leaks(manifest: Manifest, table: MarketTable) -> list[Leak]:
    """Return what training or validation would see of the bars after the validation range."""
    last = table.ranges["validation"].last
    other = rebuild(table, change_after(table.bars, last, "noise"), fit=True)
    found = []
    for name, one, two in zip(
        ("training", "validation"), train_markets(table, manifest.env), train_markets(other, manifest.env), strict=True
    ):
        pairs = zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True)
        if not all(np.array_equal(a, b, equal_nan=a.dtype != bool) for a, b in pairs):
            found.append(Leak(f"the market of {name}", last, "noise"))
    return found


def recursion_text(name: str, apart: float) -> str:
    """Return the finding of a feature that remembers more than its warm-up."""
    return f"feature '{name}' moves by {apart:.2g} standard deviations when its history is cut to its warm-up"


def describe(record: LeakCheck) -> str:
    """Return the result as lines to print."""
    lines = [
        f"{record.cuts} bars of {record.bars}, everything after each changed in three ways",
        f"history cut to the warm-up: worst is {record.recursion_feature}, {record.recursion:.1g} standard deviations",
    ]
    lines += [f"LEAK: {finding}" for finding in record.findings]
    count = len(record.findings)
    return "\n".join([*lines, f"{count} leak{'s' * (count > 1)}" if count else "no leak found"])
