"""The figures of a GPU: `python -m benchmarks.gpu [--smoke] [--seconds N] [--determinism]`; see gpu.sh.

Ours only, at counts that fill a GPU. A point that fails (out of memory, say) is reported and left out; once the time is
up, no further point begins. Every report is written as soon as its last point is measured.
"""

import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import AtMost, Rate, Report, Work, best_of, measure, option_parser, publish
from benchmarks.ours import random_market, train_work
from benchmarks.walks import gymnax_work, lanes_work
from eval_bridge.spec import NetworkConfig
from jaxtrade.config import EnvConfig
from jaxtrade.envs.trading import TradingCore, make_env_params
from jaxtrade.market.table import MarketTable
from train.config import LanesPPOConfig, TrainConfig
from train.learner import compile_chunk
from train.state import init_state, make_setup

NETWORKS = {
    "mlp": NetworkConfig(kind="mlp"),
    "lstm": NetworkConfig(kind="multiscale_lstm"),
    "lstm, bfloat16": NetworkConfig(kind="multiscale_lstm", precision="bfloat16"),
}


class Sizes(NamedTuple):
    """Numbers of environments of each measurement."""

    steps: tuple[int, ...] = (2**14, 2**17, 2**20)
    steps_many: tuple[int, ...] = (2**14, 2**17)  # 30 symbols
    gymnax: tuple[int, ...] = (2**17,)
    train: tuple[int, ...] = (2**14, 2**16, 2**18)
    many: int = 30
    bars: int = 5000
    length: int = 128
    repeats: int = 5


SMOKE = Sizes((64, 128), (64,), (64,), (64, 128), many=3, bars=1200, length=8, repeats=2)


class Session:
    """What has been measured, and how much time is left."""

    def __init__(self, seconds: float, sizes: Sizes, about: Mapping[str, Any]) -> None:
        self.end, self.sizes, self.about = time.monotonic() + seconds, sizes, dict(about)

    def measure(self, makers: Mapping[str, Callable[[], Work]]) -> tuple[dict[str, Rate], dict[str, str]]:
        """Measure each point that still has time. Return the rates, and why others have none."""
        rates: dict[str, Rate] = {}
        left_out: dict[str, str] = {}
        for name, maker in makers.items():
            if time.monotonic() > self.end:
                left_out[name] = "no time left"
                continue
            try:
                rates |= measure({name: maker()}, self.sizes.repeats)
                print(f"  {name}: {rates[name].median:,.0f}", flush=True)
            except Exception as error:  # out of memory, most likely: the other points still count
                left_out[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:150]}"
                print(f"  {name}: {left_out[name]}", flush=True)
        return rates, left_out

    def publish(
        self, name: str, unit: str, makers: Mapping[str, Callable[[], Work]], judge: Callable[[Any], Any]
    ) -> bool:
        """Measure, judge and write one report. Return whether every point was measured."""
        rates, left_out = self.measure(makers)
        ratios, targets = judge(rates)
        about = self.about | {"left out": left_out or "nothing"}
        publish(Report(name, unit, about, rates, ratios, targets), quick=False)
        return not left_out


def steps_makers(sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """Return the walks under random actions."""
    env = EnvConfig()
    tables = {count: random_market(count, sizes.bars, env.window) for count in (1, sizes.many)}

    def lanes(symbols: int, count: int) -> Callable[[], Work]:
        return lambda: lanes_work(tables[symbols], env, 4, count, sizes.length)

    def gymnax(count: int) -> Work:
        params = make_env_params(tables[1], tables[1].ranges["train"], env)
        return gymnax_work(TradingCore(env), params, 2, count, sizes.length)

    makers = {f"lanes, 1 symbol, {count} environments": lanes(1, count) for count in sizes.steps}
    makers |= {f"gymnax step, 1 symbol, {count} environments": partial(gymnax, count) for count in sizes.gymnax}
    many = {f"lanes, {sizes.many} symbols, {n} environments": lanes(sizes.many, n) for n in sizes.steps_many}
    return makers | many


def judge_steps(rates: dict[str, Rate]) -> tuple[dict[str, float], dict[str, float]]:
    """Hold the best walk of one symbol against 10^9 steps a second."""
    name, walks = "1 symbol, 10^9 steps per second", [each for each in rates if "1 symbol" in each]
    return ({name: rates[best_of(rates, walks)].median / 1e9}, {name: 1.0}) if walks else ({}, {})


def train_makers(sizes: Sizes) -> dict[str, Callable[[], Work]]:
    """Return the training of each network, the counts in turn, so that each network has some figure early."""
    table = random_market(1, sizes.bars, EnvConfig().window)

    def maker(kind: str, count: int) -> Callable[[], Work]:
        config = TrainConfig(num_envs=count, network=NETWORKS[kind])
        return lambda: train_work(table, config, 2)

    return {f"{kind}, {count} environments": maker(kind, count) for count in sizes.train for kind in NETWORKS}


def judge_training(rates: dict[str, Rate]) -> tuple[dict[str, float], dict[str, float | AtMost]]:
    """Hold the mlp against 10^7 samples a second, and the LSTM against the mlp, each at its best."""
    kinds = {kind: [each for each in rates if each.startswith(f"{kind}, ") and "bfl" not in each] for kind in NETWORKS}
    kinds["lstm, bfloat16"] = [each for each in rates if "bfloat16" in each]
    best = {kind: rates[best_of(rates, names)].median for kind, names in kinds.items() if names}
    ratios: dict[str, float] = {}
    targets: dict[str, float | AtMost] = {}
    if "mlp" in best:
        ratios["mlp, 10^7 training samples per second"] = best["mlp"] / 1e7
        targets["mlp, 10^7 training samples per second"] = 1.0
        for kind in best.keys() - {"mlp"}:
            ratios[f"time of a sample, {kind} / mlp"] = best["mlp"] / best[kind]
            targets[f"time of a sample, {kind} / mlp"] = AtMost(3.0)
    return ratios, targets


def same_twice(table: MarketTable, count: int) -> bool:
    """Train twice from one seed; return whether the parameters are equal to the last bit."""
    config = TrainConfig(num_envs=count, ppo=LanesPPOConfig(rollout_length=16))
    setup = make_setup(config, table.ranges["train"], len(table.symbols))
    market, chunk = make_env_params(table, table.ranges["train"], config.env), compile_chunk(setup)
    ends = [jax.device_get(chunk(init_state(setup, market), market, jnp.int32(2))[0].params) for _ in range(2)]
    return all(np.array_equal(one, two) for one, two in zip(*map(jax.tree.leaves, ends), strict=True))


def main() -> int:
    """Measure what there is time for."""
    parser = option_parser("The figures of a GPU.")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, on any device: does it run")
    parser.add_argument("--seconds", type=float, default=420, help="no further point begins after so many seconds")
    parser.add_argument("--determinism", action="store_true", help="train twice from one seed, compare, and end")
    parser.add_argument("--proofs", default="not run", help="the outcome of the proofs, for the record")
    options = parser.parse_args()
    sizes, prefix = (SMOKE, "gpu-smoke") if options.smoke else (Sizes(), "gpu")
    if not options.smoke and jax.default_backend() == "cpu":
        print("no accelerator: JAX runs on the CPU here. Install jax[cuda13], or try --smoke")
        return 2
    if options.determinism:
        same = same_twice(random_market(1, sizes.bars, EnvConfig().window), sizes.steps[0])
        print(f"same seed, same parameters to the last bit: {same}", flush=True)
        return 0 if same else 1
    about = {"proofs": options.proofs, "length of a walk": sizes.length}
    session = Session(options.seconds, sizes, about)
    whole = session.publish(f"{prefix}-env_steps", "steps per second", steps_makers(sizes), judge_steps)
    training = session.publish(f"{prefix}-train_sps", "samples per second", train_makers(sizes), judge_training)
    return 0 if whole and training else 1


if __name__ == "__main__":
    sys.exit(main())
