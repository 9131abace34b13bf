"""The policy in users' hands: `from eval_bridge import Policy`."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import eval_bridge
from eval_bridge import Policy
from eval_bridge.inference.holdings import Holdings, Position
from jaxtrade import trials
from jaxtrade.errors import InputError
from tests.helpers.inference import SYMBOLS, Place, make_place

DAY = "2021-02-10"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return make_place(tmp_path_factory.mktemp("place"))


def test_the_package_costs_nothing_to_import() -> None:
    """Neither NumPy nor pandas is there before something is asked for."""
    code = "import sys, eval_bridge; assert not {'numpy', 'pandas', 'pydantic'} & set(sys.modules), sys.modules.keys()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert eval_bridge.Policy is Policy
    assert eval_bridge.StatefulTradingEnv.__name__ == "StatefulTradingEnv"
    with pytest.raises(AttributeError, match="has no attribute 'Infer'"):
        eval_bridge.Infer  # noqa: B018


def test_top_buys_and_sells_are_sorted(place: Place) -> None:
    made = Policy.load(place.bundle).infer_date(DAY, account={"positions": {"AAA": 10}})
    frame = made.frame.set_index("symbol")
    for side, top in (("buy", made.top_buys(10)), ("sell", made.top_sells(10))):
        assert set(top["symbol"]) == set(frame.index[frame["action"] == side])
        assert (np.diff(top["order_weight"].abs()) <= 0).all()
    both = [*made.top_buys(1)["symbol"], *made.top_sells(1)["symbol"]]
    largest = frame["order_weight"].abs().idxmax()
    assert largest in both
    assert len(made.top_sells(1)) <= 1


def test_the_latest_answer_is_remembered(place: Place) -> None:
    policy = Policy.load(str(place.folder))
    with pytest.raises(InputError, match="is stale"):
        policy.top_buys()
    made = policy.infer_date(DAY)
    assert policy.latest is made
    for n in (1, 10):
        assert policy.top_buys(n).equals(made.top_buys(n))
        assert policy.top_sells(n).equals(made.top_sells(n))
    assert made.only(("CCC",)).frame["symbol"].tolist() == ["CCC"]


def test_accounts_of_every_form(place: Place, tmp_path: Path) -> None:
    policy = Policy.load(place.bundle)
    held = {"cash": 7000.0, "positions": {"AAA": 5.0, "BBB": -1.0}}
    (tmp_path / "a.json").write_text(__import__("json").dumps(held))
    forms = [held, str(tmp_path / "a.json"), tmp_path / "a.json"]
    forms.append(Holdings(7000.0, {"AAA": Position(5.0), "BBB": Position(-1.0)}))
    assert len({policy.infer_date(DAY, account=form).to_json() for form in forms}) == 1
    fresh = policy.infer_date(DAY)
    assert (fresh.cash, fresh.equity, fresh.frame["held_quantity"].tolist()) == (10_000.0, 10_000.0, [0.0] * 4)


def test_files_are_written(place: Place, tmp_path: Path) -> None:
    made = Policy.load(place.bundle).infer_date(DAY)
    assert made.to_json(tmp_path / "a.json") == (tmp_path / "a.json").read_text()
    assert made.to_csv(str(tmp_path / "a.csv")) == (tmp_path / "a.csv").read_text()
    with pytest.raises(InputError, match="cannot be written"):
        made.to_csv(tmp_path / "none" / "a.csv")
    assert str(made).splitlines()[0] == made.stamp
    assert all(symbol in str(made) for symbol in SYMBOLS)


def test_a_backtest(place: Place) -> None:
    """The whole evaluation, as the command gives it; the opening of the test range is recorded."""
    policy = Policy.load(place.bundle)
    found = policy.backtest("validation")
    assert found.split == "validation"
    assert len(found.result.steps) == place.table.ranges["validation"].decisions
    assert "p =" in found.verdict
    assert set(found.rewards) >= {"calmar", "profit"}
    before = len(trials.read(trials.ledger_path(place.bundle)))
    policy.backtest("test", delay=1)
    events = [entry.event for entry in trials.read(trials.ledger_path(place.bundle))][before:]
    assert events[0] == "open-test"
    with pytest.raises(InputError):
        policy.backtest("validation", lots="hifo")
