"""python -m eval_bridge.backtest refuses bad options in one line, before it writes or opens anything."""

from pathlib import Path

import pytest

from eval_bridge.backtest import parse_costs
from eval_bridge.evaluation import Options, check_options
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError
from tests.helpers.backtests import write_case
from tests.helpers.commands import Runner, assert_refused, contents, make_runner


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    monkeypatch.chdir(tmp_path)
    write_case(tmp_path)
    return make_runner(monkeypatch, capsys)


BAD = {
    "--costs buy_percnt=1": "--costs: unknown cost 'buy_percnt'. Did you mean 'buy_percent'?",
    "--costs buy_percent": "--costs: 'buy_percent' is no NAME=NUMBER. For example --costs buy_percent=0.05",
    "--costs buy_percent=": "--costs: 'buy_percent=' is no NAME=NUMBER",
    "--costs buy_percent=-1": "--costs buy_percent: must be at least 0, got -1.0",
    "--costs buy_percent=much": "--costs buy_percent: must be a number, got 'much'",
    "--costs buy_percent=nan": "--costs buy_percent: must be a number, got nan",
    "--costs buy_percent=100": "--costs buy_percent: must be less than 100, got 100.0",
    "--costs stamp_duty_side=up": "--costs stamp_duty_side: |got 'up'",
    "--costs buy_percent=1 buy_percent=2": "--costs: 'buy_percent' is given twice",
    "--delay -1": "--delay: must be at least 0, got -1",
    "--delay x": "argument --delay: invalid int value: 'x'",
    "--stochastic -3": "--stochastic: must be at least 0, got -3",
    "--lots lofi": "argument --lots: invalid choice: 'lofi'",
    "--format xlsx": "argument --format: invalid choice: 'xlsx'",
    "--strss": "unknown argument '--strss'. Did you mean '--stress'?",
    "--out prices.csv": "prices.csv: cannot be written (File exists). Free space, or choose another --out",
    "--out prices.csv/x": "prices.csv/x: cannot be written (Not a directory)",
    "--data none.csv": "none.csv: no such file or folder",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_options_leave_no_trace(tmp_path: Path, run: Runner, line: str) -> None:
    """Nothing is written and nothing is opened."""
    before = contents(tmp_path)
    assert_refused(run("backtest", "policy.npz", *line.split()), BAD[line])
    assert contents(tmp_path) == before


def test_no_delay_without_an_exposure_of_zero() -> None:
    env = EnvConfig(action="positions", positions=(0.5, 1.0))
    check_options(Options(), env, 1)
    with pytest.raises(InputError, match="no exposure of 0"):
        check_options(Options(delay=1), env, 1)
    with pytest.raises(InputError, match=r"--lots: unknown method 'lofi'\. Known: average, fifo, lifo"):
        check_options(Options(lots="lofi"), env, 1)  # type: ignore[arg-type]


def test_costs_by_name() -> None:
    assert parse_costs(["env.costs.buy-percent=0.2", "stamp_duty_side=both"]) == {
        "buy_percent": 0.2,
        "stamp_duty_side": "both",
    }
