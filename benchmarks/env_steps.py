"""Environment steps per second under random actions: `python -m benchmarks.env_steps [--quick]`.

Ours twice: through gymnax's `step` (a clock, a key and a reset for every account), and as PPO walks it (`lanes`: the
accounts of a lane share its bars). The peers are the NumPy environment of the same rules, at its best batch size and
with one account; that one account in the vector environments of stable-baselines3; and gymnax's CartPole, as the ideal
of a cheap environment. Every subject draws its actions and produces its observations, rewards and ends of episodes
inside the measured time.
"""

import gymnax
import numpy as np

from benchmarks.harness import Rate, Report, Work, best_of, measure, missing, parse_options, publish, ratio
from benchmarks.numpy_env import NumpyEnv, market_of, rules_of
from benchmarks.numpy_single import SingleEnv
from benchmarks.walks import ACCOUNTS, LENGTH, gymnax_work, lanes_work
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import synthetic_table
from jaxtrade.envs.trading import TradingCore, make_env_params
from jaxtrade.market.loading import load_table
from jaxtrade.market.table import MarketTable

BATCHES = (16, 64, 256, 1024, 4096, 16384)
MANY = 30  # symbols of the second market
LANES, STEP, SINGLE = "jaxtrade, lanes", "jaxtrade, gymnax step", "NumPy, 1 account"
CARTPOLE, DUMMY, SUBPROC = "gymnax CartPole-v1", "SB3 DummyVecEnv x8", "SB3 SubprocVecEnv x8"


def batched_work(table: MarketTable, config: EnvConfig, accounts: int, total: int) -> Work:
    """Return the work of the batched NumPy environment, about `total` steps."""
    env = NumpyEnv(market_of(table, table.ranges["train"]), rules_of(config), accounts)
    rng, steps = np.random.default_rng(0), max(4, total // accounts)
    env.reset()

    def work() -> int:
        for _ in range(steps):
            env.step(rng.random((accounts, env.symbols), np.float32) * 2 - 1)
        return steps * accounts

    return work


def single_work(table: MarketTable, config: EnvConfig, steps: int) -> Work:
    """Return the work of the NumPy environment with one account."""
    env = SingleEnv(market_of(table, table.ranges["train"]), rules_of(config))
    rng = np.random.default_rng(0)
    env.reset()

    def work() -> int:
        for _ in range(steps):
            result = env.step(rng.random(len(env.symbols), np.float32) * 2 - 1)
            if result.terminated or result.truncated:
                env.reset()
        return steps

    return work


def sb3_works(table: MarketTable, config: EnvConfig, quick: bool) -> dict[str, Work]:
    """Return the work of the vector environments of stable-baselines3; none without it.

    Processes take long to start and are the slower by far: the quick tier leaves them out.
    """
    if missing("stable_baselines3"):
        return {}
    from benchmarks.sb3_ppo import walk_work

    market, rules = market_of(table, table.ranges["train"]), rules_of(config)
    steps = (400 if quick else 2000) // (4 if len(table.symbols) > 1 else 1)
    works = {DUMMY: walk_work(market, rules, 8, steps)}
    return works if quick else works | {SUBPROC: walk_work(market, rules, 8, steps // 2, processes=True)}


def batches(quick: bool) -> tuple[int, ...]:
    """Return the batch sizes of the NumPy environment that are tried."""
    return BATCHES[-3:] if quick else BATCHES


def subjects_of(table: MarketTable, quick: bool) -> dict[str, Work]:
    """Return everything that is measured on one market."""
    config, calls = EnvConfig(), 1 if quick else 4
    scale = (1 if quick else 4) / len(table.symbols)
    params = make_env_params(table, table.ranges["train"], config)
    many, (cartpole, cartpole_params) = len(table.symbols) > 1, gymnax.make("CartPole-v1")
    return {
        LANES: lanes_work(table, config, calls),
        STEP: gymnax_work(TradingCore(config), params, max(1, calls // 2)),
        **({} if many else {CARTPOLE: gymnax_work(cartpole, cartpole_params, max(1, calls // 2))}),
        SINGLE: single_work(table, config, int(10_000 * scale)),
        **sb3_works(table, config, quick),
        **{
            f"NumPy, {each} accounts": batched_work(table, config, each, int(150_000 * scale))
            for each in batches(quick)
        },
    }


def ratios_of(rates: dict[str, Rate], many: bool) -> tuple[dict[str, Rate], dict[str, float]]:
    """Return the ratios and the targets of some of them."""
    batched = best_of(rates, (name for name in rates if name.startswith("NumPy") and name != SINGLE))
    wanted = {(LANES, batched): 1.3, (LANES, DUMMY): 40.0} if many else {(LANES, SINGLE): 150.0, (LANES, CARTPOLE): 1.5}
    pairs = [(LANES, batched), (STEP, batched), (LANES, SINGLE), (LANES, CARTPOLE), (STEP, CARTPOLE)]
    pairs += [(LANES, DUMMY), (LANES, SUBPROC), (STEP, DUMMY), (batched, SINGLE)]
    pairs = [pair for pair in pairs if pair[1] in rates]
    ratios = {f"{ours} / {peer}": ratio(rates[ours], rates[peer]) for ours, peer in pairs}
    return ratios, {f"{ours} / {peer}": limit for (ours, peer), limit in wanted.items() if peer in rates}


def run(table: MarketTable, name: str, quick: bool) -> Report:
    """Measure everything on one market."""
    rates = measure(subjects_of(table, quick), repeats=3 if quick else 7)
    ratios, targets = ratios_of(rates, many=len(table.symbols) > 1)
    about = {"accounts": ACCOUNTS, "steps": LENGTH, "symbols": len(table.symbols), "action": EnvConfig().action}
    about |= {"features": table.features.shape[-1], "bars": table.ranges["train"].decisions}
    return Report(f"env_steps-{name}", "steps per second", about, rates, ratios, targets)


def main() -> None:
    """Measure one symbol of real bars, and many synthetic ones."""
    quick = parse_options("Environment steps per second under random actions.").quick
    window = EnvConfig().window
    publish(run(load_table("sample:nasdaq", MarketConfig(), window), "nasdaq", quick), quick)
    table = synthetic_table(window, symbols=MANY, bars=5000)
    publish(run(table, f"synthetic-{MANY}", quick), quick)


if __name__ == "__main__":
    main()
