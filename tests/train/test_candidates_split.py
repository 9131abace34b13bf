"""Candidates that are shared out among devices are the same as on one device.

The number of devices is fixed when JAX starts, so what needs several runs in a process of its own.
"""

import subprocess
import sys

import pytest

from train.programme import spread
from train.programme.spread import shares

DEVICES = "import jax\njax.config.update('jax_num_cpu_devices', {})\n"
TOY = """
import jax, jax.numpy as jnp, numpy as np
from train.compilation import Compilations
from train.programme import spread

def work(learner, market, count):
    drawn = jax.vmap(lambda key: jax.random.normal(key, (3,)))(learner["key"])
    moved = learner["w"] + drawn + market["prices"].sum() * count
    keys = jax.vmap(lambda key: jax.random.split(key)[0])(learner["key"])
    share = jnp.full(moved.shape[:1], moved.shape[0])
    return {"w": moved, "key": keys, "clock": learner["clock"] + count}, share, moved.sum()[None]

def run(candidates):
    learner = {"w": jnp.arange(3.0 * candidates).reshape(-1, 3), "clock": jnp.int32(0)}
    learner["key"] = jax.random.split(jax.random.key(1), candidates)
    axes = {"w": 0, "key": 0, "clock": None}
    program = spread.Spread(work, (axes, None, None), (axes, 0, 0))
    market = {"prices": jnp.arange(5.0)}
    program(learner, market, jnp.int32(2))
    with Compilations() as compilations:
        learner, share, sums = program(learner, market, np.int32(2))
        learner, share, sums = program(learner, {"prices": np.ones(5, np.float32)}, np.int32(3))
    assert compilations.total == 0, compilations.total
    assert {leaf.devices().pop().id for leaf in jax.tree.leaves(learner)} == {0}
    return learner, share, sums

for candidates, devices in ((6, 3), (5, 1)):
    split = run(candidates)
    with_all, spread.share_devices = spread.share_devices, lambda count: jax.devices()[:1]
    alone = run(candidates)
    spread.share_devices = with_all
    assert np.asarray(split[1]).tolist() == [candidates // devices] * candidates, split[1]
    assert split[2].shape == (devices,)
    np.testing.assert_allclose(split[2].sum(), alone[2][0], rtol=1e-6)
    assert int(split[0]["clock"]) == int(alone[0]["clock"]) == 5
    np.testing.assert_array_equal(split[0]["w"], alone[0]["w"])
    np.testing.assert_array_equal(*(jax.random.key_data(each[0]["key"]) for each in (split, alone)))
"""
UPDATES = """
import sys
from pathlib import Path
import jax, jax.numpy as jnp, numpy as np
from tests.helpers.programmes import small_programme
from train.leaves import to_host
from train.programme import spread
from train.programme.candidates import begin, compile_candidates, compile_scores
from train.programme.fleet import make_world, open_ground, seeds_of, setup_for, shape_of_start
from train.programme.open import resolve
from train.programme.phases import Knobs

config = small_programme(Path(sys.argv[1]), "split", candidates=4, vary={"ppo.learning_rate": [1e-3, 3e-3]})
ground = open_ground(config)
config = resolve(config, ground)
setup = setup_for(config, ground)
world = make_world(setup, config.lineup, ground.table(0), Knobs(None, 1.0, 1.0, config.ppo.epochs), 6)
contest = jax.jit(lambda world, seeds, start: begin(setup, world, seeds, start))(
    world, seeds_of(config.lineup), shape_of_start(setup, world)
)
copy = lambda: jax.tree.map(jnp.copy, contest)
two = compile_candidates(setup, contest, world)[0]
scores_of_two = compile_scores(setup, 40)(contest.learner.params, world.validation)
assert len(spread.share_devices(4)) == 2
spread.share_devices = lambda count: jax.devices()[:1]
one = compile_candidates(setup, contest, world)[0]
scores_of_one = compile_scores(setup, 40)(contest.learner.params, world.validation)
count = jnp.int32(2)
alone, figures_alone = one(copy(), world, count)
split, figures = two(copy(), world, count)
alone, mixed = one(alone, world, count)[0], one(split, world, count)[0]  # as a resume on another number of devices

def close(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, leaf in ours.items():
        np.testing.assert_allclose(leaf, theirs[name], rtol=1e-5, atol=1e-5, err_msg=name)

close(to_host(mixed), to_host(alone))
close(to_host(figures), to_host(figures_alone))
close(to_host(scores_of_two), to_host(scores_of_one))
moved = np.abs(np.asarray(alone.learner.params["actor_out"]["kernel"] - contest.learner.params["actor_out"]["kernel"]))
assert (moved.max(axis=(1, 2)) > 1e-4).all(), "nothing was learned"
"""


def run_with(devices: int, code: str, *arguments: str) -> None:
    """Run code in a process whose JAX has so many devices."""
    done = subprocess.run(
        [sys.executable, "-c", DEVICES.format(devices) + code, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(("candidates", "devices", "wanted"), [(8, 2, 2), (5, 2, 1), (6, 4, 3), (1, 16, 1), (3, 3, 3)])
def test_shares_are_equal_and_as_many_as_can_be(candidates: int, devices: int, wanted: int) -> None:
    assert shares(candidates, devices) == wanted


def test_devices_do_what_one_device_does() -> None:
    """Keys, what all share, the order of the candidates; nothing is compiled again, and all comes back."""
    run_with(4, TOY)


@pytest.mark.nightly
def test_candidates_learn_on_two_devices_as_on_one(tmp_path: object) -> None:
    """And one device goes on from where two have left off."""
    run_with(2, UPDATES, str(tmp_path))


@pytest.mark.parametrize("name", ["XLA_FLAGS", "JAX_NUM_CPU_DEVICES"])
def test_the_users_own_number_of_devices_stands(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.setattr("jax.config.update", lambda name, value: asked.append((name, value)))
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)
    assert spread.use_cores(6) == 3
    monkeypatch.setenv(name, f"--{spread.FLAG}=3" if name == "XLA_FLAGS" else "3")
    assert spread.use_cores(8) == 0
    assert asked == [("jax_num_cpu_devices", 3)]


def test_cores_are_not_asked_for_once_jax_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller's process keeps the devices that it has."""

    def refuse(name: str, value: int) -> None:
        raise RuntimeError(f"{name} cannot become {value}")

    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.delenv("JAX_NUM_CPU_DEVICES", raising=False)
    monkeypatch.setattr("jax.config.update", refuse)
    assert spread.use_cores(8) == 0
