"""The search of `--num-envs auto`, on speeds that are given."""

from collections.abc import Callable

import pytest

from tests.conftest import small_config
from train.calibrate import Trial, choices, choose, search
from train.memory import Need
from train.programs import Training

COUNTS = [2**power for power in range(8, 17)]
PROGRAM = Training(start=None, chunk=None, figures=(), needed=0)


def trials_of(rate: Callable[[int], float], seconds: Callable[[int], float] = lambda count: 1.0) -> dict[int, Trial]:
    return search(lambda count: Trial(Need(count, count, None), rate(count), seconds(count), PROGRAM), COUNTS, 55.0)


RATES = {
    "grows for ever": (lambda count: count, 65536),
    "levels out": (lambda count: count / (1 + count / 1000), 65536),
    "flat": (lambda count: 100.0, 256),
    "flat from 2048 on": (lambda count: min(count, 2048), 2048),
    "within three per cent from 4096 on": (lambda count: min(count, 4096) * (1 + count / 1e7), 4096),
    "falls": (lambda count: 1 / count, 256),
    "best in the middle": (lambda count: -abs(count - 8192) + 1e6, 8192),
    "does not fit above 3000": (lambda count: count if count < 3000 else 0.0, 2048),
    "fits the smallest only": (lambda count: 1.0 if count == 256 else 0.0, 256),
}


@pytest.mark.parametrize("shape", RATES)
def test_the_search_finds_the_smallest_of_the_fastest(shape: str) -> None:
    rate, wanted = RATES[shape]
    trials = trials_of(rate)
    found = choose(trials)
    best = max(rate(count) for count in COUNTS)
    assert rate(found) >= 0.97 * best if shape != "levels out" else rate(found) >= 0.9 * best
    if shape not in ("levels out", "best in the middle"):
        assert found == wanted


def test_the_time_is_kept() -> None:
    """Trials that take longer and longer: the last is begun only if it is expected to end in time."""
    trials = trials_of(lambda count: count, lambda count: 8 + count / 2000)
    assert list(trials) == [4096, 16384, 32768]  # 65,536 would take 41 seconds, and then 131,072 far too long
    assert sum(trial.seconds for trial in trials.values()) < 55


def test_a_slow_machine_still_compares() -> None:
    """Three trials are made however long they take, the cheapest first."""
    assert list(trials_of(lambda count: count, lambda count: 1000.0)) == [4096, 2048, 8192]


def test_the_counts_fill_every_lane_and_leave_enough_updates() -> None:
    ppo = {"rollout_length": 16, "episode_bars": 64}
    config = small_config(num_envs="auto", total_timesteps=16 * 10 * 1000, ppo=ppo | {"lanes": 3})
    assert choices(config) == [384, 768]
    config = small_config(num_envs="auto", total_timesteps=1, ppo=ppo | {"lanes": 512})
    assert choices(config) == [512]
    config = small_config(num_envs="auto", total_timesteps=10**12, ppo=ppo | {"lanes": 16})
    assert choices(config) == [2**power for power in range(8, 19)]
