"""A reward of the user's own, `package.module:function`: loaded, tried once, and refused in one line when it is bad."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from jaxtrade.assemble import rule_book
from jaxtrade.config import EnvConfig
from jaxtrade.custom import load_reward
from jaxtrade.errors import InputError
from jaxtrade.rules.rewards import REWARDS
from tests.helpers.plain_rewards import Numbers
from tests.helpers.reward_episodes import Episode, params_of, record_of, run
from tests.helpers.rule_worlds import WORLDS, trade

GOOD = """
from jaxtrade.rules import Reward


def growth(xp, record):
    return xp.log1p(record.pnl / record.equity_before)


def idle(xp, record):
    return -xp.mean(record.idle, axis=-1)


def step(xp, memory, record, params):
    (best,) = memory
    r = record.pnl / record.equity_before
    return (xp.maximum(best, r),), r - best * params.idle_decay


streak = Reward(step, start=(0.01,), scale=(10.0,))
"""

BAD = {
    "no such function": ("x = 1", "has no reward"),
    "not a function": ("reward = 3", "is no reward"),
    "a module that raises": ("raise RuntimeError('out of luck')", "cannot be imported: RuntimeError: out of luck"),
    "a module with an error of syntax": ("def reward(", "cannot be imported: SyntaxError"),
    "a function that raises": ("def reward(xp, record): return record.prophet", "fails: AttributeError"),
    "an if on an array": ("def reward(xp, record): return 1 if record.pnl > 0 else 0", "fails: ValueError"),
    "too few arguments": ("def reward(record): return record.pnl", "fails: TypeError"),
    "one number for all": ("def reward(xp, record): return xp.mean(record.pnl)", "does not return one finite number"),
    "one number a symbol": ("def reward(xp, record): return record.idle", "does not return one finite number"),
    "nothing": ("def reward(xp, record): record.pnl", "does not return one finite number"),
    "words": ("def reward(xp, record): return ['a', 'b', 'c']", "does not return one finite number"),
    "a ragged list": ("def reward(xp, record): return [[1.0], [1.0, 2.0], 3.0]", "does not return one finite number"),
    "a list": ("def reward(xp, record): return [1.0, 2.0, 3.0]", "does not return one finite number"),
    "yes and no": ("def reward(xp, record): return record.pnl > 0", "does not return one finite number"),
    "complex numbers": ("def reward(xp, record): return record.pnl * 1j", "does not return one finite number"),
    "NaN": ("def reward(xp, record): return record.pnl * float('nan')", "does not return one finite number"),
    "infinity": ("def reward(xp, record): return record.pnl + float('inf')", "does not return one finite number"),
    "memory without a scale": (
        "from jaxtrade.rules import Reward\nreward = Reward(lambda xp, m, r, p: (m, r.pnl), start=(0.0,))",
        "does not return one finite number",
    ),
    "memory that grows": (
        "from jaxtrade.rules import Reward\nreward = Reward(lambda xp, m, r, p: (m + m, r.pnl), (0.0,), (1.0,))",
        "does not return one finite number",
    ),
    "memory that is NaN": (
        "from jaxtrade.rules import Reward\n"
        "reward = Reward(lambda xp, m, r, p: ((m[0] * float('nan'),), r.pnl), (0.0,), (1.0,))",
        "does not return one finite number",
    ),
    "memory of one number": (
        "from jaxtrade.rules import Reward\nreward = Reward(lambda xp, m, r, p: ((0.0,), r.pnl), (0.0,), (1.0,))",
        "does not return one finite number",
    ),
    "memory that starts as a word": (
        "from jaxtrade.rules import Reward\nreward = Reward(lambda xp, m, r, p: (m, r.pnl), ('a',), (1.0,))",
        "fails: ValueError",
    ),
    "memory that is no tuple": (
        "from jaxtrade.rules import Reward\nreward = Reward(lambda xp, m, r, p: (m, r.pnl), 0.0, 1.0)",
        "fails: TypeError",
    ),
    "a scale that is NaN": (
        "from jaxtrade.rules import Reward\nreward = Reward(lambda xp, m, r, p: (m, r.pnl), (0.0,), (float('nan'),))",
        "does not return one finite number",
    ),
    "a module that exits": ("raise SystemExit(3)", "cannot be imported: SystemExit"),
    "no step": ("from jaxtrade.rules import Reward\nreward = Reward(None)", "fails: TypeError"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder; forget the modules that were imported from it."""
    monkeypatch.chdir(tmp_path)
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_a_function_of_a_module_in_the_current_folder(here: Path) -> None:
    (here / "my_growth.py").write_text(GOOD, encoding="utf-8")
    records = Episode().records
    path = list(sys.path)
    found = run(load_reward("my_growth:growth"), records)
    assert sys.path == path, "the path of imports is left as it was"
    np.testing.assert_array_equal(found, run(REWARDS["log_return"], records))


def test_the_path_of_imports_is_left_to_the_module(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that adds to the path keeps what it added, and the current folder goes."""
    (here / "my_path.py").write_text("import sys\nsys.path.append('/nowhere')\n" + GOOD, encoding="utf-8")
    path = list(sys.path)
    monkeypatch.setattr(sys, "path", list(path))
    load_reward("my_path:growth")
    assert sys.path == [*path, "/nowhere"]


def test_a_function_of_a_package_on_the_path(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = here / "elsewhere" / "my_rewards"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "deep.py").write_text(GOOD, encoding="utf-8")
    monkeypatch.syspath_prepend(str(here / "elsewhere"))
    monkeypatch.chdir(here.parent)
    found = run(load_reward("my_rewards.deep:idle"), [record_of(0.0, idle=[4.0, 6.0])])
    np.testing.assert_array_equal(found, [-5.0])


def test_a_reward_with_memory(here: Path) -> None:
    (here / "my_streak.py").write_text(GOOD, encoding="utf-8")
    reward = load_reward("my_streak:streak")
    records = [record_of(r) for r in (0.05, -0.02, 0.08, 0.0)]
    found = run(reward, records, params_of(Numbers(idle_decay=0.5)))
    np.testing.assert_allclose(found, [0.05 - 0.005, -0.02 - 0.025, 0.08 - 0.025, -0.04], rtol=1e-12)


def test_one_of_several_in_the_rule_book(here: Path) -> None:
    """Weighed beside a reward of ours, and paid by the rules."""
    (here / "my_part.py").write_text(GOOD, encoding="utf-8")
    env = EnvConfig(reward={"my_part:growth": 2.0, "calmar": 0.0, "my_part:streak": 0.0})
    assert rule_book(env).memory == (0.0, 0.0, 0.0, 0.01)
    world = WORLDS["weights"]._replace(lanes=2, bars=20)
    world = world._replace(env=world.env.model_copy(update={"reward": env.reward}))
    for moment in trade(world):
        growth = np.log1p(moment.record.pnl / moment.record.equity_before)
        np.testing.assert_allclose(moment.record.reward, 2 * growth, rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_reward_is_refused(kind: str, here: Path) -> None:
    text, complaint = BAD[kind]
    name = "bad_" + "".join(letter for letter in kind if letter.isalpha())
    (here / f"{name}.py").write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_reward(f"{name}:reward")
    assert f"env.reward '{name}:reward'" in str(error.value)
    assert complaint in str(error.value)
    assert "Give a function (xp, record)" in error.value.remedy


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("log_retrun", "Did you mean 'log_return'?"),
        ("differential_sharp", "Did you mean 'differential_sharpe'?"),
        ("xyz", "Known: calmar, differential_sharpe"),
        ("no_such_module:reward", "cannot be imported: ModuleNotFoundError"),
        (":reward", "cannot be imported"),
        ("json:", "has no"),
    ],
)
def test_an_unknown_name_says_what_there_is(name: str, complaint: str) -> None:
    with pytest.raises(InputError) as error:
        rule_book(EnvConfig(reward={name: 1.0}))
    assert f"env.reward '{name}'" in str(error.value)
    assert complaint in str(error.value)


def test_the_example_is_a_reward() -> None:
    """The file that the error points to."""
    for name in ("steady_growth", "shallow_drawdown"):
        assert np.all(np.isfinite(run(load_reward(f"examples.my_reward:{name}"), Episode().records)))
