"""Folds for cross-validation as ranges of bars: walk-forward, and combinatorial purged (Lopez de Prado 2018, ch. 12).

A decision belongs to a range only if bars t and t+1 both do, so no reward of a fold's training uses a bar of a reward
of its test. Purge and embargo put further bars between the two: purge after training and before a test, embargo after
what went before and at the beginning of what follows.
"""

from itertools import combinations, groupby, pairwise
from math import comb
from typing import Literal, NamedTuple

from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range

Kind = Literal["rolling", "expanding"]
MOST_FOLDS = 10_000
REMEDY = "Give more bars, fewer folds, or less purge and embargo"


class Fold(NamedTuple):
    """Where one model is trained and where it is tested."""

    name: str
    train: tuple[Range, ...]  # rising; each holds at least one decision
    test: tuple[Range, ...]  # rising; each holds at least one decision


def walk_forward(
    span: Range,
    train: int,
    test: int,
    step: int | None = None,
    kind: Kind = "rolling",
    purge: int = 0,
    embargo: int = 0,
) -> list[Fold]:
    """Return folds that train on `train` bars and test on the `test` bars that follow, moved on by `step` each time.

    Args:
        span: The bars to use; its first is the first that has its history. See `MarketTable.ranges["all"]`.
        train: Bars of training, the purged ones included; of the first fold if expanding.
        test: Bars of a test, the embargoed ones included.
        step: Bars from one fold to the next (default: `test`, so that the tests follow one another).
        kind: rolling: training has the same length in every fold. expanding: it always begins at `span.first`.
        purge: Bars left out at the end of training.
        embargo: Bars left out at the beginning of a test.

    Returns:
        The whole folds that fit; the bars after the last of them are not used.

    Raises:
        InputError: No fold fits, or purge or embargo leave a range no decision.
    """
    where, step = "walk-forward", test if step is None else step
    if min(train, test, step) < 1 or min(purge, embargo) < 0:
        what = f"train {train}, test {test}, step {step}, purge {purge}, embargo {embargo} are not all possible"
        raise InputError(where, what, "Give whole bars, at least 1 of the first three, none of the others below 0")
    bars = span.last + 1 - span.first
    if bars < train + test:
        raise InputError(where, f"{train} + {test} bars do not fit in {max(bars, 0)}", "Give more, or shorter folds")
    folds = []
    for number, cut in enumerate(range(span.first + train, span.last + 2 - test, step), start=1):
        first = span.first if kind == "expanding" else cut - train
        pair = Range(first, cut - 1 - purge), Range(cut + embargo, cut - 1 + test)
        for name, each in zip(("training", "the test"), pair, strict=True):
            if each.decisions < 1:
                raise InputError(where, f"purge {purge} and embargo {embargo} leave {name} no decision", REMEDY)
        folds.append(Fold(f"walk-{number}", *((each,) for each in pair)))
    return folds


def cpcv(span: Range, groups: int, k: int, purge: int = 0, embargo: int = 0) -> list[Fold]:
    """Return the C(N, k) folds of combinatorial purged cross-validation; each tests on k of N groups of bars.

    Groups that follow one another and train together are one range. Before a test group the last `purge` bars of
    training are left out, and after one the first `embargo`: an embargo of the length of the look-back keeps bars of
    the test out of the observations of the training that follows. No reward reaches beyond its range, so the embargo
    is also all that the purging after a test, which Lopez de Prado adds to it, would have to remove.

    Args:
        span: The bars to use; its first is the first that has its history.
        groups: N, into which the bars are cut as evenly as they go.
        k: Groups of a test.
        purge: Bars of training left out before a test.
        embargo: Bars of training left out after a test.

    Raises:
        InputError: The groups are too many or too short, or purge and embargo leave no training.
    """
    where = "cpcv"
    if not 1 <= k < groups or min(purge, embargo) < 0:
        what = f"{k} of {groups} groups, purge {purge} and embargo {embargo} are not possible"
        raise InputError(where, what, "Give at least 1 and fewer than all groups, and no bars below 0")
    count = comb(groups, k)
    if count > MOST_FOLDS:
        raise InputError(
            where, f"{k} of {groups} groups make {count} folds, more than {MOST_FOLDS}", "Give fewer groups"
        )
    blocks = _blocks(span, groups)
    folds = []
    for tested in combinations(range(groups), k):
        name = "cpcv-" + "-".join(str(group + 1) for group in tested)
        train = _between(blocks, tested, purge, embargo)
        if not train:
            raise InputError(where, f"purge {purge} and embargo {embargo} leave fold {name} no training", REMEDY)
        folds.append(Fold(name, train, tuple(blocks[group] for group in tested)))
    return folds


def _blocks(span: Range, groups: int) -> list[Range]:
    """Return the bars in groups whose sizes differ by one at most."""
    bars = max(span.last + 1 - span.first, 0)
    edges = [span.first + bars * group // groups for group in range(groups + 1)]
    blocks = [Range(first, after - 1) for first, after in pairwise(edges)]
    if min(block.decisions for block in blocks) < 1:
        raise InputError("cpcv", f"{bars} bars in {groups} groups leave one of them no decision", REMEDY)
    return blocks


def _between(blocks: list[Range], tested: tuple[int, ...], purge: int, embargo: int) -> tuple[Range, ...]:
    """Return what is left for training between the tested blocks, where it holds a decision."""
    runs = []
    for is_test, members in groupby(range(len(blocks)), key=lambda group: group in tested):
        if not is_test:
            run = list(members)
            first = blocks[run[0]].first + (embargo if run[0] > 0 else 0)
            last = blocks[run[-1]].last - (purge if run[-1] < len(blocks) - 1 else 0)
            runs.append(Range(first, last))
    return tuple(each for each in runs if each.decisions >= 1)


def paths(groups: int, k: int) -> list[list[tuple[int, int]]]:
    """Return the k/N C(N, k) = C(N-1, k-1) backtest paths of `cpcv`.

    Returns:
        One list for each path: for every group 0..N-1 in turn, (fold, group): the index of the fold, in the order of
        `cpcv`, whose test of that group the path takes. Every test of every fold is in exactly one path.
    """
    folds = list(combinations(range(groups), k))
    of_group = [[(fold, group) for fold, tested in enumerate(folds) if group in tested] for group in range(groups)]
    return [list(path) for path in zip(*of_group, strict=True)]
