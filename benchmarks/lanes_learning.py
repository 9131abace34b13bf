"""Do lanes and bar-wise minibatches cost learning? `python -m benchmarks.lanes_learning --gold FILE [--quick]`.

The same run with other numbers of lanes G and rollout lengths L, against a lane for every environment with shuffled
minibatches (classical PPO); every seed of every setting, on real gold bars and on a made-up market whose returns are
autocorrelated. What is compared is the mean validation log growth of the last quarter of a run, in float32, by the
compiled environment; intervals are 95 % of Student's t over the seeds, differences Welch's.
"""

import json
import statistics
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from scipy import stats

from benchmarks.harness import RESULTS, option_parser, surroundings
from jaxtrade.config import CostConfig, EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.envs.trading import make_env_params
from jaxtrade.market.loading import load_table
from jaxtrade.market.table import MarketTable, build_table
from train.config import TrainConfig
from train.evaluate import compile_evaluation
from train.learner import compile_chunk
from train.state import init_state, make_setup

ACCOUNTS, SAMPLES, WINDOW = 256, 1_000_000, 60
NETWORK = {"kind": "multiscale_lstm", "branches": (1, 8), "hidden": 16, "head": 32}


class Setting(NamedTuple):
    """How a rollout is laid out."""

    lanes: int
    length: int = 64
    cut: str = "lanes"

    @property
    def text(self) -> str:
        """Name of the setting."""
        return f"G={self.lanes} L={self.length} {'shuffled' if self.cut == 'samples' else 'by bars'}"


CLASSICAL = Setting(ACCOUNTS, cut="samples")
SETTINGS = (CLASSICAL, *(Setting(lanes) for lanes in (ACCOUNTS, 64, 16, 4, 1)), Setting(16, 32), Setting(16, 128))


def autocorrelated(bars: int = 6000, strength: float = 0.25, seed: int = 5) -> MarketTable:
    """Return a market whose daily returns follow their predecessors: r[t] = strength r[t-1] + noise of 1 %."""
    plain, rng = random_bars(bars, seed=seed), np.random.default_rng(seed)
    noise, returns = rng.normal(0, 0.01, (bars, 1)), np.zeros((bars, 1))
    for t in range(1, bars):
        returns[t] = strength * returns[t - 1] + noise[t]
    close = 100 * np.exp(np.cumsum(returns, axis=0))
    opening = np.concatenate([close[:1], close[:-1] * np.exp(rng.normal(0, 1e-4, (bars - 1, 1)))])
    high, low = np.maximum(opening, close), np.minimum(opening, close)
    return build_table(plain._replace(open=opening, high=high, low=low, close=close), MarketConfig(), WINDOW)


def config_of(setting: Setting) -> TrainConfig:
    """Return the run's configuration; all but the layout is the same for every setting."""
    return TrainConfig(
        num_envs=ACCOUNTS,
        total_timesteps=SAMPLES,
        env=EnvConfig(window=WINDOW, action="discrete9", costs=CostConfig(buy_percent=0.01, sell_percent=0.01)),
        network=NETWORK,
        ppo={
            "lanes": setting.lanes,
            "rollout_length": setting.length,
            "cut": setting.cut,
            "episode_bars": 256,
            "gamma": 0.95,
        },
    )


def growth_of(table: MarketTable, setting: Setting, seeds: range, share: float) -> tuple[list[float], float]:
    """Return each seed's validation log growth and the seconds of the runs; the program is compiled once."""
    config = config_of(setting)
    setup = make_setup(config, table.ranges["train"], len(table.symbols))
    train, validation = (make_env_params(table, table.ranges[name], config.env) for name in ("train", "validation"))
    chunk, evaluate = compile_chunk(setup), compile_evaluation(setup, table.ranges["validation"].decisions)
    updates = max(8, int(config.updates * share))
    steps = [updates * 3 // 4, *[max(1, updates // 16)] * 4]
    found, began = [], 0.0
    for number, seed in enumerate(seeds):
        state = init_state(setup._replace(config=config.model_copy(update={"seed": seed})), train)
        late = []
        for count in steps:
            for part in [64] * (count // 64) + [count % 64] * (count % 64 > 0):
                state, _ = chunk(state, train, jnp.int32(part))
            late.append(float(evaluate(state.params, validation)["log_growth"]))
        found.append(statistics.fmean(late[1:]))
        began = time.perf_counter() if number == 0 else began  # the first run compiles
    return found, time.perf_counter() - began


def interval(values: list[float]) -> tuple[float, float]:
    """Return the mean and half the width of its 95 % interval."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return statistics.fmean(values), float(half)


def compare(values: list[float], base: list[float]) -> tuple[float, float]:
    """Return the difference of the means and half the width of its 95 % interval."""
    found = stats.ttest_ind(values, base, equal_var=False).confidence_interval(0.95)
    return (found.high + found.low) / 2, (found.high - found.low) / 2


def run(table: MarketTable, name: str, quick: bool) -> dict[str, Any]:
    """Train every setting with every seed on a market and tell."""
    seeds, share = range(2 if quick else 5), 0.1 if quick else 1.0
    print(f"\n{name}: validation log growth, {len(seeds)} seeds, {ACCOUNTS} accounts; difference from {CLASSICAL.text}")
    rows: dict[str, Any] = {}
    for setting in SETTINGS[:3] if quick else SETTINGS:
        values, seconds = growth_of(table, setting, seeds, share)
        mean, half = interval(values)
        base = rows[CLASSICAL.text]["values"] if rows else values
        apart, width = compare(values, base) if rows else (0.0, 0.0)
        rows[setting.text] = {"values": values, "mean": mean, "half": half, "apart": apart, "apart_half": width}
        rows[setting.text]["seconds_a_run"] = seconds / (len(seeds) - 1)
        text = f"{mean:+.4f} ± {half:.4f}   {apart:+.4f} ± {width:.4f}   {rows[setting.text]['seconds_a_run']:6.1f} s"
        print(f"  {setting.text:26}{text}", flush=True)
    return rows


def main() -> None:
    """Compare on a made-up market, and on gold if its file is given."""
    parser = option_parser("Do lanes and bar-wise minibatches cost learning?")
    parser.add_argument("--gold", type=Path, help="a file of gold bars")
    options = parser.parse_args()
    markets = {"autocorrelated": autocorrelated()}
    if options.gold:
        markets["gold"] = load_table(str(options.gold), MarketConfig(), WINDOW)
    results = {name: run(table, name, options.quick) for name, table in markets.items()}
    about = {"name": "lanes_learning", "quick": options.quick, "accounts": ACCOUNTS, "samples": SAMPLES}
    about |= {"config": config_of(CLASSICAL).model_dump(mode="json"), "results": results} | surroundings()
    path = RESULTS / f"lanes_learning{'-quick' if options.quick else ''}.json"
    path.write_text(json.dumps(about, indent=2) + "\n")
    print(f"\n  written: {path.relative_to(RESULTS.parents[1])}")


if __name__ == "__main__":
    main()
