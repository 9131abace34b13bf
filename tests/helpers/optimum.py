"""What nobody can beat: the best growth with the future known, and the best band when only its law is known.

Both are dynamic programmes over exposures between which an account moves exactly: on markets that open at the last
close (`tests.helpers.ladder_markets`), trading all or nothing of one symbol, or, where trading is free, anything.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from eval_bridge.backtester import market_row
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Known, Outcome, advance, open_account

FloatArray = npt.NDArray[np.float64]
ROUNDING = 1e-9  # log growth of a bar


class Optimum(NamedTuple):
    """The best that can be done with the whole future known."""

    growth: float  # log growth over the range
    actions: npt.NDArray[np.intp]  # [K] that reach it


def step_growth(table: MarketTable, span: Range, env: EnvConfig) -> FloatArray:
    """Return the log growth of every decision, [K, 1 + A, A], as the rules themselves have it.

    Axis 1 is where the account stands: flat, then at each of the A exposures of `env.positions`; axis 2 is the action.

    Raises:
        AssertionError: An action leads elsewhere than to its exposure, and it matters; or an account is ruined.
    """
    exposures = np.array(env.positions)
    standing = np.array([0.0, *env.positions])
    shape = (span.decisions, len(standing), len(exposures))
    bars = np.arange(span.first, span.last)
    known, outcome = (
        type(leaves)(*(None if leaf is None else leaf.reshape(len(bars), 1, 1, *leaf.shape[1:]) for leaf in leaves))
        for leaves in market_row(table, bars)
    )
    assert isinstance(known, Known)
    assert isinstance(outcome, Outcome)
    book, params = rule_book(env), rule_params(env, table.symbols)
    position = np.broadcast_to(standing[:, None, None], (*shape, 1))
    account = open_account(np, book, position)._replace(cash=1 - position[..., 0], position=position, basis=position)
    action = np.broadcast_to(np.arange(len(exposures)), shape)
    after, record = advance(np, book, params, account, action, known, outcome)
    growth = np.log(record.equity)
    assert not np.any(record.ruined)
    arrived = np.abs(after.position[..., 0] / record.equity - exposures) < ROUNDING
    free = np.ptp(growth, axis=1, keepdims=True) < ROUNDING
    assert np.all(arrived | free), "the exposures do not stay exact on this market: no dynamic programme over them"
    return growth


def clairvoyant(table: MarketTable, span: Range, env: EnvConfig) -> Optimum:
    """Return the best log growth through the range for one who knows it all, by backward induction.

    V[K] = 0; V[k](p) = max over a of (growth[k](p, a) + V[k+1](a)).
    """
    growth = step_growth(table, span, env)
    value, best = np.zeros(growth.shape[1]), np.zeros(growth.shape[:2], np.intp)
    for k in range(len(growth) - 1, -1, -1):
        total = growth[k] + value[1:]
        best[k], value = np.argmax(total, axis=1), np.max(total, axis=1)
    actions, standing = np.zeros(len(growth), np.intp), 0
    for k, choices in enumerate(best):
        actions[k] = choices[standing]
        standing = 1 + actions[k]
    return Optimum(float(value[0]), actions)


def assert_not_better_than_clairvoyant(growth: float, bound: float) -> None:
    """The tripwire: who earns more than the clairvoyant has seen what the rules do not show, or found a hole in them.

    Args:
        growth: Log growth of a policy, through the backtester.
        bound: That of `clairvoyant` on the same market, range and rules.
    """
    assert np.isfinite(growth), f"log growth of {growth}"
    assert growth <= bound + 1e-7, f"log growth {growth:.9f} beats the clairvoyant's {bound:.9f}"


class OULaw(NamedTuple):
    """The log price: x' = keep x + noise z, z standard normal. Trading all or nothing of it."""

    keep: float  # share of a deviation that is left a bar later
    noise: float  # standard deviation of a bar
    buy_cost: float  # log growth lost by going from nothing to all
    sell_cost: float  # log growth lost by going from all to nothing

    @property
    def spread(self) -> float:
        """Standard deviation of the stationary law."""
        return float(self.noise / np.sqrt(1 - self.keep**2))


class Band(NamedTuple):
    """The best policy: buy below `enter`, sell above `leave`, else stay. Deviations, [] each; infinite: never."""

    enter: float
    leave: float


def ou_band(law: OULaw, points: int = 801, width: float = 6.0) -> Band:
    """Return the band with the largest average log growth, by value iteration on a grid of deviations.

    D(x), the worth of holding all rather than nothing, is that of holding it for a bar and of what follows, unless
    changing over is better, which bounds it by the costs (relative values h(x, all) - h(x, nothing)):

        D(x) = clip((keep - 1) x + E[D(x') | x], -sell_cost, buy_cost)

    Args:
        law: The process and the costs.
        points: Of the grid.
        width: Of the grid to each side, in standard deviations of the stationary law.
    """
    grid = np.linspace(-width, width, points) * law.spread
    edges = np.concatenate([[-np.inf], (grid[1:] + grid[:-1]) / 2, [np.inf]])
    chance = np.diff(ndtr((edges[None, :] - law.keep * grid[:, None]) / law.noise), axis=1)  # [X, X']
    worth, before = np.zeros(points), np.full(points, np.inf)
    while np.max(np.abs(worth - before)) > 1e-12:
        before = worth
        staying = (law.keep - 1) * grid + chance @ before
        worth = np.clip(staying, -law.sell_cost, law.buy_cost)
    return Band(_crossing(grid, staying - law.buy_cost), _crossing(grid, staying + law.sell_cost))


def _crossing(grid: FloatArray, falling: FloatArray) -> float:
    """Return where a falling function crosses zero, interpolated; infinite where it does not."""
    if falling[0] <= 0:
        return -np.inf
    if falling[-1] >= 0:
        return np.inf
    return float(np.interp(0.0, -falling, grid))
