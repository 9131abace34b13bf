"""Bars a second in the stateful backtester, its books checked at every bar: `python -m benchmarks.backtest_bars`.

The peer is the pandas and deque design of older systems under the same rules; it ends with the same equity, or nothing
is measured. Lanes are accounts side by side without ledgers, each with costs of its own, or at bars of its own.
Every backtest begins from nothing: what is prepared before its first bar is inside the measured time.
"""

from typing import Any

import numpy as np

from benchmarks.deque_backtester import DequeBacktester
from benchmarks.harness import Report, Work, measure, parse_options, publish
from eval_bridge.backtester import replay_actor, run_backtest
from eval_bridge.lanes import run_lanes
from jaxtrade.assemble import rule_params
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import synthetic_table
from jaxtrade.market.loading import load_table
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable

MANY, LANES, CALM = 30, (1000, 4000), 0.1
OURS, OLD, SELDOM = "jaxtrade", "pandas and deques", ", one order in ten"
PEERS = {  # of the window: bars, and whether its rows are turned into arrays when they are read
    OLD: (260, False),
    f"{OLD}, rows as arrays": (260, True),
    f"{OLD}, no window": (1, True),
}


def draw_actions(steps: int, *shape: int, share: float = 1.0) -> np.ndarray:
    """Return actions, a share of which is not zero; of those nine of ten ask for a trade."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (steps, *shape)).astype(np.float32)
    return np.where(rng.random(actions.shape) < share, actions, np.float32(0))


def ours(table: MarketTable, span: Range, config: EnvConfig, actions: np.ndarray) -> Work:
    """Return the work of one backtest: history, orders, trades and equity included."""

    def work() -> int:
        result = run_backtest(table, span, config, replay_actor(actions, span.first))
        if not (len(result.equity) == span.decisions + 1 and result.ledger.orders and result.ledger.trades):
            raise RuntimeError("the backtest is not whole")
        return span.decisions

    return work


def peer(table: MarketTable, span: Range, config: EnvConfig, actions: np.ndarray, kind: tuple[int, bool]) -> Work:
    """Return the work of the peer; it must end where ours does."""
    backtester = DequeBacktester(table, span, config, kind[0], as_arrays=kind[1])
    equity = run_backtest(table, span, config, replay_actor(actions, span.first)).equity
    apart = float(np.max(np.abs(np.array(backtester.run(actions)) / equity - 1)))
    if not apart < 1e-9:
        raise RuntimeError(f"the peer's equity is {apart:.2g} apart")

    def work() -> int:
        backtester.run(actions)
        return span.decisions

    return work


def lanes(table: MarketTable, config: EnvConfig, count: int, steps: int, shifted: bool) -> Work:
    """Return the work of lanes: each with costs of its own, or at bars of its own."""
    first, last = table.ranges["all"]
    actions, rng = draw_actions(steps, count, len(table.symbols)), np.random.default_rng(1)
    starts = rng.integers(first, last - steps, count) if shifted else np.full(count, first)
    params = rule_params(config, table.symbols)
    if not shifted:
        params = params._replace(buy_rate=np.linspace(0, 0.01, count)[:, None], slippage=np.full((count, 1), 1e-4))

    def work() -> int:
        numbers = iter(actions)
        run_lanes(table, starts, steps, config, lambda bars, view: next(numbers), params)
        return steps * count

    return work


def run(table: MarketTable, name: str, quick: bool) -> Report:
    """Measure everything on one market."""
    config, symbols = EnvConfig(), len(table.symbols)
    first, last = table.ranges["train"]
    span = Range(first, min(last, first + (600 if quick else 3000)))
    short = Range(first, first + (200 if quick else 600))
    actions, few = (draw_actions(span.decisions, symbols, share=share) for share in (1.0, CALM))
    subjects = {OURS: ours(table, span, config, actions), OURS + SELDOM: ours(table, span, config, few)}
    for each, kind in PEERS.items():
        subjects[each] = peer(table, short, config, actions[: short.decisions], kind)
    subjects[OLD + SELDOM] = peer(table, short, config, few[: short.decisions], PEERS[OLD])
    for count in LANES if symbols == 1 else (100,):
        for shifted in (False, True):
            label = f"lanes, {count} {'at bars of their own' if shifted else 'of a grid of costs'}"
            subjects[label] = lanes(table, config, count, 20 if quick else 100, shifted)
    rates = measure(subjects, repeats=3 if quick else 7)
    mine = rates[OURS].median
    ratios = {f"{OURS} / {each}": mine / rates[each].median for each in PEERS}
    ratios[f"the same{SELDOM}"] = rates[OURS + SELDOM].median / rates[OLD + SELDOM].median
    best = max((each for each in rates if each.startswith("lanes")), key=lambda each: rates[each].median)
    ratios[f"{best} / {OURS}"] = rates[best].median / mine
    ratios |= {f"{each}, thousand bars a second": rates[each].median / 1e3 for each in (OURS, best)}
    targets = {f"{OURS} / {OLD}": 20.0, f"{OURS}, thousand bars a second": 10.0}
    targets |= {f"{best}, thousand bars a second": 1000.0} if symbols == 1 else {}
    about: dict[str, Any] = {"symbols": symbols, "decisions": span.decisions, "action": config.action}
    about |= {"peer's decisions": short.decisions, "features": table.features.shape[-1]}
    orders = [run_backtest(table, span, config, replay_actor(each, first)).ledger.orders for each in (actions, few)]
    about |= {"orders": len(orders[0]), f"orders{SELDOM}": len(orders[1])}
    return Report(f"backtest_bars-{name}", "bars per second", about, rates, ratios, targets)


def main() -> None:
    """Measure one symbol of real bars, and many synthetic ones."""
    quick = parse_options("Bars per second in the backtester with full books.").quick
    window = EnvConfig().window
    publish(run(load_table("sample:nasdaq", MarketConfig(), window), "nasdaq", quick), quick)
    publish(run(synthetic_table(window, symbols=MANY, bars=5000), f"synthetic-{MANY}", quick), quick)


if __name__ == "__main__":
    main()
