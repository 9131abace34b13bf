"""How much cost and how much delay a policy bears: a grid of both, and the cost at which nothing is left.

Every cell is a lane of its own, whose account the policy sees: it may trade less where trading is dear. What scales is
what an order costs: commission and its minimum, stamp duty, spread and slippage. Financing does not.
"""

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from eval_bridge.delay import hold_action
from eval_bridge.lanes import Lanes, LanesActor, run_lanes
from eval_bridge.metrics import max_drawdown, periods_per_year, returns_of, sharpe, total_return
from jaxtrade.assemble import rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView, RuleParams

FloatArray = npt.NDArray[np.float64]
Watch = Callable[[int], None] | None  # told the decisions done
FEES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)  # multiples of the configured costs
DELAYS = (0, 1, 2, 3)  # bars
SCALED = ("buy_rate", "sell_rate", "min_commission", "duty_buy", "duty_sell", "half_spread", "slippage")
RATES = tuple(name for name in SCALED if name != "min_commission")
MOST = 20.0  # the largest multiple that is tried
FIRST_GRID = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 15.0, MOST)
ROUNDS, POINTS = 3, 8  # refinements of the bracket, and the multiples tried inside it
NOTE = (
    "Multiples of commission, minimum commission, stamp duty, spread and slippage; the policy is asked again in every "
    "cell. Break-even: the smallest multiple, searched up to 20, at which the total return is not above 0"
)


class Stress(NamedTuple):
    """What the stress test found."""

    grid: pd.DataFrame  # rows: fees (multiple), delay (bars), final_equity, total_return, sharpe, max_drawdown
    break_even: float | None  # multiple of the costs; None if the return stays above 0, or costs play no part
    break_even_bps: float | None  # what trading costs there, in basis points of the value traded


def run_stress(policy: Any, table: MarketTable, span: Range, config: EnvConfig, watch: Watch = None) -> Stress:
    """Trade the grid, and search for the break-even cost.

    Args:
        policy: A `NumpyPolicy`, or whatever answers like one.
        table: The market.
        span: Decisions to take.
        config: The rules.
        watch: Told the decisions done, of all passes together.
    """
    desk = _Desk(policy, table, span, config, watch)
    delays = DELAYS if _can_wait(config) else DELAYS[:1]
    cells = [(fees, delay) for delay in delays for fees in FEES if fees <= desk.most]
    lanes = desk.run([fees for fees, _ in cells], [delay for _, delay in cells])
    found = zip(cells, desk.figures(lanes), strict=True)
    rows = [{"fees": fees, "delay": delay} | figures for (fees, delay), figures in found]
    return Stress(pd.DataFrame(rows), *_break_even(desk))


def scaled_costs(params: RuleParams, factors: FloatArray) -> RuleParams:
    """Return the rules' numbers with the costs of trading multiplied by a factor for each lane, leaves [K, 1 or N]."""
    return params._replace(**{name: getattr(params, name) * factors[:, None] for name in SCALED})


def waiting(actor: LanesActor, delays: Sequence[int], hold: Any) -> LanesActor:
    """Return the actor whose actions in lane k reach the rules `delays[k]` bars late; the first bars hold."""
    recent: deque[Any] = deque(maxlen=max(delays) + 1)

    def act(bars: npt.NDArray[np.intp], view: AccountView) -> Any:
        action = np.asarray(actor(bars, view))
        if not recent:
            recent.extend([np.broadcast_to(hold, action.shape)] * max(delays))
        recent.append(action)
        return np.stack([recent[-1 - delay][lane] for lane, delay in enumerate(delays)])

    return act


def each_alone(policy: Any, market: npt.NDArray[np.float32], first: int) -> LanesActor:
    """Return the deterministic actor that answers lane by lane: a batch is rounded otherwise than one account."""

    def act(bars: npt.NDArray[np.intp], view: AccountView) -> Any:
        one_by_one = zip(bars - first, view.assets, view.account, strict=True)
        return np.stack([policy.act(policy.head(market[bar], AccountView(*seen))) for bar, *seen in one_by_one])

    return act


def watched(actor: LanesActor, watch: Watch) -> LanesActor:
    """Return the actor that tells how often it was asked."""
    if watch is None:
        return actor
    asked = itertools.count(1)

    def act(bars: npt.NDArray[np.intp], view: AccountView) -> Any:
        watch(next(asked))
        return actor(bars, view)

    return act


class _Desk:
    """One policy on one range, at whatever costs and delays are asked for."""

    def __init__(self, policy: Any, table: MarketTable, span: Range, config: EnvConfig, watch: Watch) -> None:
        self.table, self.span, self.config = table, span, config
        self.params = rule_params(config, table.symbols)
        market = policy.market(table.features, np.arange(span.first, span.last))
        self.actor = watched(each_alone(policy, market, span.first), watch)
        dearest = max(float(np.max(getattr(self.params, name))) for name in RATES)
        self.most = MOST if dearest * MOST < 1 else 0.99 / dearest  # a trade never costs more than its value
        self.costs_nothing = not any(np.any(getattr(self.params, name)) for name in SCALED)

    def run(self, fees: Sequence[float], delays: Sequence[int], keep: Sequence[str] = ()) -> Lanes:
        """Trade lanes of these multiples of the costs and these delays."""
        actor = waiting(self.actor, delays, hold_action(self.config, len(self.table.symbols)) if any(delays) else 0)
        starts, steps = [self.span.first] * len(fees), self.span.last - self.span.first
        params = scaled_costs(self.params, np.array(fees, float))
        return run_lanes(self.table, starts, steps, self.config, actor, params, keep)

    def figures(self, lanes: Lanes) -> list[dict[str, float]]:
        """Return the figures of each lane, over the bars that it lived."""
        return [lane_figures(self.table.time[self.span.first :], lanes, lane) for lane in range(len(lanes.starts))]

    def returns(self, fees: Sequence[float]) -> list[float]:
        """Return the total return at each multiple of the costs, without delay."""
        return [total_return(equity) for equity in self.run(fees, [0] * len(fees)).equity.T]

    def bps(self, fees: float) -> float | None:
        """Return what trading costs at a multiple of the costs, in basis points of the value traded, if any is."""
        lanes = self.run([fees], [0], keep=("turnover", "equity_before"))
        traded = float(np.sum(lanes.kept["turnover"] * lanes.kept["equity_before"]))
        paid = sum(float(lanes.sums[kind][0]) for kind in ("commission", "duty", "spread", "slippage"))
        return paid / traded * 1e4 if traded > 0 else None


def lane_figures(time: npt.NDArray[np.datetime64], lanes: Lanes, lane: int) -> dict[str, float]:
    """Return final equity, return, Sharpe ratio and drawdown of a lane; `time` begins at its first mark."""
    marks = int(lanes.lived[lane]) + 1
    equity = lanes.equity[:marks, lane]
    return {
        "final_equity": float(equity[-1]),
        "total_return": total_return(equity),
        "sharpe": float(sharpe(returns_of(equity), periods_per_year(time[:marks]))),
        "max_drawdown": max_drawdown(equity),
    }


def _can_wait(config: EnvConfig) -> bool:
    try:
        hold_action(config, 1)
    except InputError:
        return False
    return True


def _break_even(desk: _Desk) -> tuple[float | None, float | None]:
    """Return the smallest multiple at which the total return is not above 0, and what it costs."""
    if desk.costs_nothing:
        return None, None
    found = smallest_crossing(desk.returns, [*(point for point in FIRST_GRID if point < desk.most), desk.most])
    bps = None if found is None else desk.bps(found)
    return (found, bps) if bps is not None else (None, None)


def smallest_crossing(returns: Callable[[Sequence[float]], list[float]], grid: Sequence[float]) -> float | None:
    """Return the smallest point at which a function is not above 0, as far as a grid that is refined shows it.

    The function need not fall: a policy that sees its account trades otherwise at other costs.

    Args:
        returns: The function, of several points at once.
        grid: Where to look first, ascending.
    """
    points, values = list(grid), returns(grid)
    for _ in range(ROUNDS):
        at = next((n for n, value in enumerate(values) if value <= 0), None)
        if not at:
            return None if at is None else points[0]
        inside = np.linspace(points[at - 1], points[at], POINTS + 2)[1:-1].tolist()
        points = [points[at - 1], *inside, points[at]]
        values = [values[at - 1], *returns(inside), values[at]]
    at = next(n for n, value in enumerate(values) if value <= 0)
    share = values[at - 1] / (values[at - 1] - values[at])
    return points[at - 1] + share * (points[at] - points[at - 1])
