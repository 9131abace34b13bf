"""Evaluations made by hand, for the report: plausible numbers, and the cases that break pages."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from eval_bridge.evaluation import Baseline, Comparison, Evaluation, Tables
from eval_bridge.metrics import curve_metrics, drawdowns
from eval_bridge.metrics.catalog import FIGURES

SEED = 71
CAPITAL = 100_000.0
TITLES = {
    "cash": "Cash",
    "buy_and_hold": "Buy and hold",
    "equal_weight": "Equal weight",
    "random": "Random",
    "momentum": "Momentum",
}
SIGNATURE = "<script>window.stolen = true</script>"  # a symbol or a path may hold anything


@dataclass
class Case:
    """What is made."""

    symbols: tuple[str, ...] = ("XAUUSD",)
    bars: int = 800
    trades: int = 60
    hours: int = 24
    equity: Any = None  # [K + 1], or a random walk
    significant: bool = False
    undefined: dict[str, str] = field(default_factory=dict)
    text: str = "gold.csv"


CASES = {
    "single": Case(),
    "panel": Case(symbols=("AAPL", "MSFT", "XOM", "JPM", "BRK.B"), bars=1500, trades=240, significant=True),
    "ruin": Case(bars=6, trades=2, equity=CAPITAL * np.array([1, 0.9, 0.7, 0.4, 0.1, 1e-9, 0.0]) + 0.0),
    "cash": Case(bars=300, trades=0, equity=np.full(301, CAPITAL)),
    "one": Case(bars=1, trades=1),
    "long": Case(bars=57_000, trades=20_000, hours=1),
    "wide": Case(symbols=tuple(f"SYMBOL{n}" for n in range(40)), bars=57_000, trades=20_000, hours=1),
    "hostile": Case(symbols=(SIGNATURE, "<img src=x onerror=alert(1)>&amp;"), bars=120, trades=30, text=SIGNATURE),
}


def evaluation(name: str) -> Evaluation:
    """Return the evaluation of a case."""
    case, generator = CASES[name], np.random.default_rng(SEED)
    count = case.bars + 1
    time = np.datetime64("2016-01-04", "s") + np.arange(count) * np.timedelta64(case.hours, "h")
    mark = 100 * np.exp(np.cumsum(generator.normal(0.0002, 0.011, (count, len(case.symbols))), axis=0))
    equity = case.equity if case.equity is not None else _walk(generator, count)
    baselines = _baselines(generator, time, mark)
    trades = _trades(generator, case, time, mark)
    table = SimpleNamespace(symbols=case.symbols, mark=np.concatenate([np.ones((5, len(case.symbols))), mark]))
    result: Any = SimpleNamespace(
        time=time, equity=equity, capital=CAPITAL, table=table, span=SimpleNamespace(first=5, last=5 + case.bars)
    )
    figures, undefined = _figures(time, equity, baselines["buy_and_hold"].equity, trades)
    return Evaluation(
        split="test",
        about=_about(case),
        warnings=(f"12% of opens equal the previous close in {case.text}",) if name != "single" else (),
        config="data: gold.csv\nenv:\n  action: discrete\n  costs: {commission_percent: 0.05}\n",
        provenance={"data_sha256": "ab" * 32, "versions": {"numpy": "2.3"}, "path": case.text, "openings": 2},
        result=result,
        tables=Tables(
            equity=_equity_table(generator, time, equity, trades),
            trades=trades,
            orders=pd.DataFrame(),
            positions=_positions(generator, case, time, mark, trades),
        ),
        figures=figures,
        undefined=undefined,
        baselines=baselines,
        honesty=_honesty(generator, case),
        constraints={"max_position": 14, "lot_size": 3, "funds": 0} if len(trades) else {"max_position": 0},
        rewards=pd.DataFrame({each: generator.normal(0, 0.01, case.bars) for each in ("profit", "sharpe", "sortino")}),
        stress=_stress() if name == "panel" else None,
        break_even=1.74 if name == "panel" else None,
        break_even_bps=17.4 if name == "panel" else None,
        stochastic=pd.DataFrame({"sample": range(60), "total_return": generator.normal(0.2, 0.1, 60)})
        if name == "panel"
        else None,
    )


def comparison() -> Comparison:
    """Return three runs, one of them with a name that is markup."""
    generator = np.random.default_rng(SEED)
    time = np.datetime64("2016-01-04", "s") + np.arange(601) * np.timedelta64(1, "D")
    names = ("gold-7", "gold-8", SIGNATURE)
    equity = {name: _walk(generator, 601) for name in (*names, "buy_and_hold")}
    return Comparison(
        names=names,
        time=time,
        equity=equity,
        figures={name: curve_metrics(time, values, equity["buy_and_hold"]).values for name, values in equity.items()},
        honesty={name: _honesty(generator, CASES["single"]) for name in names},
        superior={"p_value": 0.31, "lower": 0.24, "upper": 0.38, "best": "gold-7", "resamples": 2000},
        about={"data": SIGNATURE, "split": "test"},
    )


def _walk(generator: np.random.Generator, count: int) -> Any:
    steps = generator.standard_t(4, count - 1) * 0.0065 + 0.0003
    scale = min(1.0, np.sqrt(2500 / count))
    return CAPITAL * np.exp(np.concatenate([[0.0], np.cumsum(steps * scale)]))


def _baselines(generator: np.random.Generator, time: Any, mark: Any) -> dict[str, Baseline]:
    hold = CAPITAL * np.mean(mark / mark[0], axis=1)
    curves = {"cash": np.full(len(time), CAPITAL), "buy_and_hold": hold, "equal_weight": hold * 0.998}
    curves |= {name: _walk(generator, len(time)) for name in ("random", "momentum")}
    note = "Trades at the next open, at the same costs"
    return {
        name: Baseline(TITLES[name], note, curve, curve_metrics(time, curve, hold).values)
        for name, curve in curves.items()
    }


def _figures(time: Any, equity: Any, hold: Any, trades: pd.DataFrame) -> tuple[dict[str, float], dict[str, str]]:
    found = curve_metrics(time, equity, hold)
    values, undefined = dict(found.values), dict(found.undefined)
    for name, figure in FIGURES.items():
        if name in values:
            continue
        if len(trades) or figure.group == "cost":
            values[name] = {"money": 512.25, "percent": 0.53, "count": len(trades), "days": 21.5}.get(figure.kind, 1.4)
        else:
            values[name], undefined[name] = float("nan"), "there is no closed trade"
    return values, undefined


def _trades(generator: np.random.Generator, case: Case, time: Any, mark: Any) -> pd.DataFrame:
    count = case.trades
    entry = np.sort(generator.integers(0, max(1, case.bars - 1), count))
    held = np.minimum(generator.integers(1, 20, count), case.bars - entry)
    symbol = generator.integers(0, len(case.symbols), count)
    side = np.where(generator.random(count) < 0.6, "long", "short")
    quantity = np.round(generator.uniform(5, 200, count), 2)
    sign = np.where(side == "long", 1, -1)
    start, end = mark[entry, symbol], mark[entry + held, symbol]
    fees = quantity * (start + end) * 0.0005
    profit = sign * quantity * (end - start) - fees
    exits = pd.Series(time[entry + held])
    is_open = np.arange(count) == count - 1
    return pd.DataFrame(
        {
            "symbol": [case.symbols[n] for n in symbol],
            "side": side,
            "quantity": quantity,
            "entry_time": time[entry],
            "exit_time": exits.mask(is_open) if count else exits,
            "bars_held": held,
            "entry_price": start,
            "exit_price": end,
            "fees": fees,
            "slippage": fees / 3,
            "profit": profit,
            "return": profit / (quantity * start),
            "mae": -np.abs(generator.normal(0, 0.02, count)),
            "mfe": np.abs(generator.normal(0, 0.02, count)),
            "closed_by": np.where(is_open, "", "order"),
            "status": np.where(is_open, "open", "closed"),
        }
    )


def _equity_table(generator: np.random.Generator, time: Any, equity: Any, trades: pd.DataFrame) -> pd.DataFrame:
    count = len(time)
    traded = (generator.random(count) < 0.1) if len(trades) else np.zeros(count, bool)
    net = np.repeat(generator.choice([0.0, 0.5, 1.0, -0.4], count // 20 + 1), 20)[:count] * bool(len(trades))
    kinds = {"commission": 8, "stamp_duty": 0, "spread": 5, "slippage": 3, "borrow": 0.4, "interest": 0, "exit_loss": 0}
    paid = {name: traded * scale * generator.random(count) for name, scale in kinds.items()}
    frame = {"time": time, "equity": equity, "gross": np.abs(net), "net": net, "drawdown": drawdowns(equity)}
    return pd.DataFrame(frame | paid | {"shortfall": np.zeros(count)})


def _positions(generator: np.random.Generator, case: Case, time: Any, mark: Any, trades: pd.DataFrame) -> pd.DataFrame:
    rows = min(len(time), 3000) if len(trades) else 0
    parts = [
        pd.DataFrame(
            {"time": time[:rows], "symbol": symbol, "weight": np.repeat(generator.normal(0, 0.2, rows), 15)[:rows]}
        )
        for symbol in case.symbols
    ]
    return pd.concat(parts, ignore_index=True)


def _honesty(generator: np.random.Generator, case: Case) -> dict[str, Any]:
    p_value = 0.012 if case.significant else 0.312
    words = "evidence of skill: p = 0.012" if case.significant else "no evidence of skill: p = 0.31"
    return {
        "p_value": p_value,
        "verdict": f"{words} (5 trials on this data)",
        "significant": case.significant,
        "shift_null": {"p_value": p_value, "observed": 0.9, "shifts": 499, "median": 0.1, "high": 1.2}
        | {"values": generator.normal(0.1, 0.6, 499).tolist()},
        "probabilistic_sharpe": 0.81,
        "deflated_sharpe": 1 - p_value,
        "trials": 5,
        "trial_sharpe_deviation": 0.021,
        "sharpe_threshold": 0.034,
        "minimum_track_record_years": None,
        "correlation_with_buy_and_hold": 0.13,
        "undefined": {"minimum_track_record_years": "the Sharpe ratio is not above 0"},
        "track_record_years": 2.19,
        "sharpe_standard_error": 0.0123,
        "minimum_backtest_length_years": 1.3,
        "intervals": {"total_return": [-0.21, 0.74], "sharpe": [-0.52, 1.91], "max_drawdown": [0.08, 0.31]},
        "interval_level": 0.95,
        "block_length": 7.3,
        "resamples": 2000,
    }


def _stress() -> pd.DataFrame:
    rows = [
        {"fees": fees, "delay": delay, "total_return": 0.31 - 0.17 * fees - 0.06 * delay, "sharpe": 1 - fees / 2}
        for delay in range(4)
        for fees in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)
    ]
    return pd.DataFrame(rows)


def _about(case: Case) -> dict[str, str]:
    return {
        "symbols": ", ".join(case.symbols),
        "data": case.text,
        "network": "multiscale_lstm",
        "fill": "the next open",
        "costs": "commission_percent 0.05, spread_percent 0.02",
        "parity": "certified over 1400 validation bars and 212 fills",
        "parity (a) same actions, both engines": "equity 2.1e-07 apart over the range",
        "leak check": "nothing changes with later bars (24 of 1400 bars, three ways)",
        "trial ledger": "5 on this data; this range opened 2 times",
    }
