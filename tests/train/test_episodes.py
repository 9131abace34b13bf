"""One row for each episode that ended, in order, with the figures of a plain replay."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.envs.stats import summarize
from jaxtrade.rules import Record
from tests.helpers.learning import QUICK, Fresh, Learner, fresh_of, learner_of
from tests.helpers.worlds import walk
from train.episodes import MOST, EpisodeLog, append, empty_log
from train.learner import move_lanes
from train.rollout import start_log

RUINS = "mlp, continuous, ruins"


def log_of(steps: list[tuple[list[float], list[bool]]], environments: int) -> EpisodeLog:
    """Return the log of steps of (returns, which ended)."""
    log = empty_log({"return": jnp.zeros(environments)}, environments)
    for returns, ended in steps:
        log = append(log, {"return": jnp.asarray(returns, jnp.float32)}, jnp.asarray(ended))
    return log


def test_rows_are_in_order_and_what_does_not_fit_is_counted() -> None:
    first, second = ([1.0, 2.0], [False, True]), ([3.0, 4.0], [True, True])
    log = log_of([first, ([8.0, 9.0], [False, False]), second], 2)
    np.testing.assert_array_equal(log.figures["return"], [2, 3, 4, 0])
    assert (log.rows, log.sums["return"]) == (3, 9)
    log = log_of([first, second, second, first], 2)
    np.testing.assert_array_equal(log.figures["return"], [2, 3, 4, 3])
    assert (log.rows, log.sums["return"]) == (6, 18)
    assert log.scalars.keys() == {"episode_count", "episode_return"}
    assert log.scalars["episode_count"] == 6


def test_the_room_is_bounded() -> None:
    assert empty_log({"return": jnp.zeros(4)}, 100_000).figures["return"].shape == (MOST,)


def figures_of(record: Record, reward: np.ndarray) -> dict[str, float]:
    """Return the figures of a life from the records of its steps, leaves [K, ...], in float64."""
    equity = np.append(1.0, np.asarray(record.equity, np.float64))
    growth, length = np.diff(np.log(equity)), len(reward)
    deviation = growth.std(ddof=1) if length > 1 else 0.0
    return {
        "return": float(reward.sum()),
        "length": length,
        "equity": float(equity[-1]),
        "sharpe_per_bar": float(growth.mean() / deviation) if deviation > 1e-8 else 0.0,
        "max_drawdown": float(np.max(1 - equity / np.maximum.accumulate(equity))),
        "turnover": float(np.sum(record.turnover)),
        "fees": float(np.sum(record.fees)),
        "trades": float(np.count_nonzero(record.fill_value)),
        "ruined": float(record.ruined[-1]),
    }


def lives(learner: Learner, fresh: Fresh) -> list[dict[str, float]]:
    """Return the figures of every life that ended in ruin, replayed by the environment alone, in order."""
    core, market = learner.setup.core, learner.market
    play = jax.jit(lambda actions, bar: walk(core, market, actions, bar)[1], compiler_options=QUICK)
    actions, ruined = np.asarray(fresh.rollout.action), np.asarray(fresh.rollout.terminated)
    begun, found = np.zeros(ruined.shape[1:], int), []
    for step, lane, number in np.argwhere(ruined):
        start = begun[lane, number]
        mine = actions[start:, lane, number]
        padded = np.concatenate([mine, np.zeros((start, *mine.shape[1:]), mine.dtype)])
        seen = play(padded, learner.state.lanes.bar[lane] + start)
        record, reward = jax.tree.map(np.asarray, (seen["record"], seen["reward"]))
        steps = slice(step + 1 - start)
        record = jax.tree.map(lambda leaf, steps=steps: leaf[steps], record)
        found.append(figures_of(record, reward[steps]))
        begun[lane, number] = step + 1
    return found


def test_every_ruin_is_a_row_of_its_replay() -> None:
    """More episodes end than there is room for: the first are kept, all are counted."""
    learner, fresh = learner_of(RUINS), fresh_of(RUINS)
    wanted, log = lives(learner, fresh), fresh.rollout.episodes
    assert log.rows == len(wanted) > 32
    assert log.figures.keys() == wanted[0].keys() == summarize(learner.state.env_state.stats).keys()
    for name, values in log.figures.items():
        replayed = np.array([life[name] for life in wanted])
        np.testing.assert_allclose(values, replayed[:32], rtol=2e-3, atol=1e-4, err_msg=name)
        np.testing.assert_allclose(log.sums[name], replayed.sum(), rtol=2e-3, atol=1e-3, err_msg=name)
    for name in ("length", "trades", "ruined"):
        np.testing.assert_array_equal(log.figures[name], [life[name] for life in wanted[:32]])


def test_a_lane_that_jumps_ends_its_episodes() -> None:
    """A row for each account of the lane that jumps, but for one that has just been ruined and has not begun."""
    setup, market, state = learner_of(RUINS)
    end = fresh_of(RUINS).end
    end = end.replace(stats=end.stats._replace(length=end.stats.length.at[:, 1].set(0)))
    jumped = np.flatnonzero(np.asarray(state.lanes.left) == 1)
    assert len(jumped) == 1
    _, log = move_lanes(setup, state, end, (market, jax.random.key(0)), start_log(end.stats))
    assert log.rows == 3
    wanted = {name: np.asarray(values)[jumped[0], [0, 2, 3]] for name, values in summarize(end.stats).items()}
    for name, values in log.figures.items():
        np.testing.assert_allclose(values[:3], wanted[name], rtol=1e-6, err_msg=name)
        assert not np.any(values[3:])
