"""Policies that take over from one another: each decides its own bars, and one account goes through all of them.

This is how a walk-forward programme is judged: every bar is decided by a policy that was trained and chosen before it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.bundle import load_bundle, require_certificate
from eval_bridge.ensemble import Loaded, require_alike, shared_facts
from eval_bridge.market import load_markets, policy_sha256
from eval_bridge.policy import Bars, Decision, FloatArray, NumpyPolicy, Odds, make_policy
from eval_bridge.spec import Manifest
from eval_bridge.turns import RELAY, Turn, read_turns, spans_of
from jaxtrade.config import LoadConfig
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView

REMEDY = "The legs of a relay are policies of one programme: one configuration on the same data"


class Leg(NamedTuple):
    """One policy and the bars that it decides."""

    policy: NumpyPolicy
    features: FloatArray  # [T, N, F] normalised by its own statistics, those of the bars before `first` too
    first: int  # decisions first..last-1
    last: int
    bundle: str = ""  # path of its file, from the folder of relay.json
    sha256: str = ""  # of that file


class Relay(NumpyPolicy):
    """Legs that decide one after the other, wherever one policy would.

    An encoded bar holds the number of its leg in a last column, so that whoever asks need not know of legs.
    """

    def __init__(self, legs: Sequence[Leg]) -> None:
        """Take legs of one network and one kind of action that follow one another."""
        if any(one.last != other.first for one, other in pairwise(legs)):
            raise ValueError("the legs do not follow one another")
        self.legs = tuple(legs)
        first = self.legs[0].policy
        self.network, self.discrete, self.flat, self.bounds = first.network, first.discrete, first.flat, first.bounds
        self.borders = np.array([leg.first for leg in legs[1:]], np.intp)

    def market(self, rows: FloatArray, bars: Bars, origin: int = 0) -> FloatArray:
        """Encode bars, each by the leg that decides it and from the features of that leg.

        Args:
            rows: [T, N, F] of the same market; each leg has features of its own, so these are not looked at.
            bars: [n] indices of the rows to encode.
            origin: 0: the legs' features begin with the first bar of the data.

        Returns:
            [n, N, 2 * head + 1] rows for `head`; of a `flat_mlp` [n, 1, 2 * head + 1].
        """
        first, last = self.legs[0].first, self.legs[-1].last
        if origin or len(rows) != len(self.legs[0].features) or np.any((bars < first) | (bars >= last)):
            raise ValueError(f"the legs decide bars {first} to {last - 1} of {len(self.legs[0].features)}")
        number = np.searchsorted(self.borders, bars, side="right")
        parts = {k: self.legs[k].policy.market(self.legs[k].features, bars[number == k]) for k in np.unique(number)}
        market = _merged(number, parts)
        column = np.broadcast_to(number[:, None, None], (*market.shape[:-1], 1))
        return np.concatenate([market, column.astype(np.float32)], axis=-1)

    def head(self, market: FloatArray, view: AccountView) -> Decision:
        """Return the decision of each bar's leg, as `NumpyPolicy.head` does."""
        return Decision(*self._ask("head", market, view))

    def odds(self, market: FloatArray, view: AccountView) -> Odds:
        """Return the distribution of each bar's leg, as `NumpyPolicy.odds` does."""
        return Odds(*self._ask("odds", market, view))

    def _ask(self, ask: str, market: FloatArray, view: AccountView) -> Iterable[Any]:
        """Return the fields of what the legs answer."""
        number, rows = market[..., 0, -1].astype(np.intp), market[..., :-1]
        if number.ndim == 0:  # one bar, as in the backtester
            answer: Iterable[Any] = getattr(self.legs[int(number)].policy, ask)(rows, view)
            return answer
        answers = {}
        for k in np.unique(number):
            here = number == k
            answers[k] = getattr(self.legs[k].policy, ask)(
                rows[here], AccountView(view.assets[here], view.account[here])
            )
        fields = len(next(iter(answers.values())))
        return [_merged(number, {k: answer[n] for k, answer in answers.items()}) for n in range(fields)]


def _merged(number: npt.NDArray[np.intp], parts: dict[int, Any]) -> Any:
    """Return arrays of several legs, [n, ...] each, as one in the order of the bars; what no leg has stays so.

    Args:
        number: [...] of each bar's leg.
        parts: By number of the leg.
    """
    one = next(iter(parts.values()))
    if not isinstance(one, np.ndarray):
        return one
    merged = np.empty((*number.shape, *one.shape[1:]), one.dtype)
    for k, part in parts.items():
        merged[number == k] = part
    return merged


def load_relay(
    folder: Path, allow_uncertified: bool = False, data: str | None = None, load: LoadConfig | None = None
) -> tuple[Loaded, MarketTable]:
    """Load the relay of a folder with a relay.json, and its market.

    Args:
        folder: A programme's.
        allow_uncertified: Take bundles without a parity certificate.
        data: Another source than that of training.
        load: How that is read; by default as the data of training was.

    Returns:
        The policy with its bundles, and a table whose range `test` is what the legs decide together. Its features are
        NaN: each leg has its own.

    Raises:
        InputError: The file or a bundle is missing or damaged, a bundle is uncertified, or the legs do not belong or
            fit together.
    """
    turns = read_turns(folder)
    paths = tuple(folder / turn.bundle for turn in turns)
    bundles = tuple(load_bundle(path) for path in paths)
    for path, bundle, turn in zip(paths, bundles, turns, strict=True):
        if not allow_uncertified:
            require_certificate(path, bundle.manifest)
        require_unseen(path, bundle.manifest, turn)
    require_alike(paths, bundles, leg_facts, REMEDY)
    tables = load_markets([bundle.manifest for bundle in bundles], data, load)
    spans = spans_of(turns, tables[0].time, str(folder / RELAY))
    each = zip(turns, paths, bundles, tables, spans, strict=True)
    legs = [
        Leg(make_policy(bundle), table.features, *span, turn.bundle, policy_sha256([path]))
        for turn, path, bundle, table, span in each
    ]
    table = stitched_table(tables[-1], Range(legs[0].first, legs[-1].last), folder / RELAY)
    return Loaded(Relay(legs), bundles, paths, folder / RELAY), table


def leg_facts(manifest: Manifest) -> dict[str, Any]:
    """Return what legs have in common: all that seeds have, but for the split, and so the statistics of training."""
    facts = shared_facts(manifest)
    market = {name: value for name, value in facts["market"].items() if name != "split"}
    facts |= {"market": market, "data": manifest.data.sha256}
    return {name: value for name, value in facts.items() if name != "scaler"}


def require_unseen(path: Path, manifest: Manifest, turn: Turn) -> None:
    """Refuse a policy that would decide bars that it was trained or chosen on.

    Raises:
        InputError: Its turn begins before its validation range is over.
    """
    until = manifest.market.split.validation_until
    if turn.first < np.datetime64(str(until), "D") + 1:
        what = f"would decide from {turn.first} on, and was trained and chosen on bars until {until}"
        raise InputError(path, what, "Let it take over later: a relay is judged out of sample")


def stitched_table(table: MarketTable, span: Range, where: Path) -> MarketTable:
    """Return the market in which a relay trades: only the range `test`, and no features, since each leg has its own.

    Raises:
        InputError: The bars before the first decision are too few.
    """
    whole = Range(table.ranges["all"].first, len(table.time) - 1)
    if span.first < whole.first:
        what = f"decides at {table.time[span.first]}, and {whole.first} bars of history are needed before"
        raise InputError(f"{where} leg 1", what, "Give data with a longer history, or let it begin later")
    features = np.broadcast_to(np.float32(np.nan), table.features.shape)
    return replace(table, features=features, ranges={"all": whole, "test": span})


def require_test(folder: Path, split: str) -> None:
    """Refuse any range but the test range: the others belong to one leg each.

    Raises:
        InputError: It is another one.
    """
    if split != "test":
        remedy = f"Name the folder of one policy, such as {(folder / read_turns(folder)[-1].bundle).parent}"
        raise InputError(f"range '{split}'", "is not one of a relay, whose policies have ranges of their own", remedy)
