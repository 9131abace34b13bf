"""`--num-envs auto`: try a few numbers of environments on the real training program, and take the fastest that fits."""

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.market.table import MarketTable
from train.config import AUTO, TrainConfig
from train.memory import Need, free_bytes, gigabytes
from train.programs import Training, compile_training, does_not_fit, setup_for
from train.state import TrainState

LEAST, FIRST, MOST = 256, 4096, 2**18  # counts tried; on two cores the time below ends it long before the last
BUDGET_SECONDS = 55.0  # for all trials; the one under way is always finished
MIN_TRIALS = 3  # however slow the machine is: fewer say nothing
TRIAL_SECONDS = 1.5  # of updates at each count, or two updates, or one that takes longer
EQUAL = 0.97  # of the best speed: as good, and a smaller count learns in more updates
MIN_UPDATES = 10  # that the run must still have


class Trial(NamedTuple):
    """What was seen at one number of environments."""

    need: Need
    rate: float  # samples per second; 0: does not fit
    seconds: float  # of the trial, with its compilation
    training: Training

    @property
    def record(self) -> dict[str, Any]:
        """The trial as calibration.json shows it."""
        return {
            "num_envs": self.need.num_envs,
            "samples_per_second": round(self.rate),
            "memory_bytes": self.need.needed,
            "fits": self.need.comfortable,
            "trial_seconds": round(self.seconds, 1),
        }

    def __str__(self) -> str:
        """Return a row of the table that people see."""
        rate = f"{self.rate:12,.0f}" if self.rate else " does not fit"
        return f"  {self.need.num_envs:>8}  {rate} samples/s  {gigabytes(self.need.needed):>8}  {self.seconds:5.1f} s"


def resolve_num_envs(
    config: TrainConfig, table: MarketTable
) -> tuple[TrainConfig, Training | None, dict[str, Any] | None]:
    """Return the configuration with a number of environments, its compiled program, and the calibration's record.

    Raises:
        InputError: Not even the smallest number fits the memory.
    """
    if config.num_envs != AUTO:
        return config, None, None
    began = time.perf_counter()
    bench = Bench(config, table)
    sys.stdout.write("--num-envs auto: trying a few numbers of environments, about a minute\n")
    trials = search(bench.try_count, choices(config), BUDGET_SECONDS)
    chosen = choose(trials)
    if not trials[chosen].rate:
        raise does_not_fit(config.model_copy(update={"num_envs": chosen}), table, trials[chosen].need)
    record = {
        "chosen": chosen,
        "rule": f"the smallest number within {1 - EQUAL:.0%} of the fastest seen",
        "device": jax.devices()[0].device_kind,
        "free_bytes": trials[chosen].need.free,
        "seconds": round(time.perf_counter() - began, 1),
        "trials": [trials[count].record for count in sorted(trials)],
    }
    sys.stdout.write(f"--num-envs {chosen}: {record['rule']}\n")
    return config.model_copy(update={"num_envs": chosen}), trials[chosen].training, record


def choices(config: TrainConfig) -> list[int]:
    """Return the counts that may be tried, rising by two: whole accounts in every lane, and enough updates."""
    count = config.ppo.lanes
    while count < LEAST:
        count *= 2
    counts = [count]
    while counts[-1] * 2 <= MOST and counts[-1] * 2 * config.ppo.rollout_length * MIN_UPDATES <= config.total_timesteps:
        counts.append(counts[-1] * 2)
    return counts


def choose(trials: dict[int, Trial]) -> int:
    """Return the smallest count that is about as fast as the fastest."""
    best = max(trial.rate for trial in trials.values())
    return min(count for count, trial in trials.items() if trial.rate >= EQUAL * best)


def search(try_count: Callable[[int], Trial], counts: list[int], budget: float) -> dict[int, Trial]:
    """Climb by four while it pays, then look at both neighbours of the best, as long as the time allows."""
    first = max((count for count in counts if count <= FIRST), default=counts[0])
    trials = {first: try_count(first)}
    left = budget - trials[first].seconds
    while True:
        best = choose(trials)
        steps = [best * 4, best * 2, best // 2] if best == max(trials) else [best * 2, best // 2]
        costs = {count: expected_seconds(trials, count) for count in steps if count in counts and count not in trials}
        count = next((count for count, seconds in costs.items() if seconds <= left), None)
        if count is None and costs and len(trials) < MIN_TRIALS:
            count = min(costs, key=lambda each: (costs[each], each))
        if count is None:
            return trials
        trials[count] = try_count(count)
        left -= trials[count].seconds


def expected_seconds(trials: dict[int, Trial], count: int) -> float:
    """Return about how long a trial takes: as long as the longest so far, and longer for a larger count."""
    longest, least, largest = max(trial.seconds for trial in trials.values()), min(trials), max(trials)
    slope = TRIAL_SECONDS / least
    if len(trials) > 1:
        slope = max(0.0, (trials[largest].seconds - trials[least].seconds) / (largest - least))
    return longest + slope * max(0, count - largest)


class Bench:
    """Runs the real training program at any number of environments."""

    def __init__(self, config: TrainConfig, table: MarketTable) -> None:
        self._config, self._table = config, table
        self._market = make_env_params(table, table.ranges["train"], config.env)
        self._base: Training | None = None

    def try_count(self, count: int) -> Trial:
        """Compile and time the program at one count, and print what was seen."""
        began = time.perf_counter()
        config = self._config.model_copy(update={"num_envs": count})
        training = compile_training(setup_for(config, self._table), self._market)
        self._base = self._base or training
        need = Need(count, training.needed, free_bytes(jax.devices()[0]))
        rate = config.samples / self._seconds_of_an_update(training) if need.comfortable else 0.0
        trial = Trial(need, rate, time.perf_counter() - began, training)
        sys.stdout.write(f"{trial}\n")
        sys.stdout.flush()
        return trial

    def _seconds_of_an_update(self, training: Training) -> float:
        """Return the time of the fastest of a few updates."""
        assert self._base is not None
        state, one = widen(self._base, training, self._market), jnp.int32(1)
        seen: list[float] = []
        while len(seen) < 2 or sum(seen) < TRIAL_SECONDS:
            began = time.perf_counter()
            state, figures = training.chunk(state, self._market, one)
            jax.block_until_ready(figures)
            seen.append(time.perf_counter() - began)
            if seen[-1] > 2 * TRIAL_SECONDS:
                break
        return min(seen)


def widen(base: Training, training: Training, market: EnvParams) -> TrainState:
    """Return a state of `training`'s size from the program of `base`, accounts repeated: one compilation less."""
    seed = jnp.int32(0)
    wanted = jax.eval_shape(training.start, seed, market)

    def fit(have: jax.Array, want: jax.ShapeDtypeStruct) -> jax.Array:
        if have.shape == want.shape:
            return have
        return have[:, jnp.arange(want.shape[1]) % have.shape[1]]  # [G, A, ...]

    return jax.device_put(jax.tree.map(fit, base.start(seed, market), wanted), jax.devices()[0])
