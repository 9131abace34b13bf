"""Requests that only the data or a run's folder show to be impossible: refused before anything is written."""

from pathlib import Path

import pytest

from tests.helpers.commands import Runner, make_runner, refuse

REFUSED = {
    "two symbols": (
        "ppo --env.action discrete9 --data sample:both",
        "sample:both: action discrete9 trades one symbol, the data holds 2. Use --env.action continuous",
    ),
    "rollout": ("ppo --ppo.rollout-length 40000", "range 'train': holds 3132 decisions|Lower ppo.rollout_length"),
    "no validation": (
        "ppo --market.split.train-until 2018-12-28 --market.split.validation-until 2018-12-31",
        "range 'validation': holds no decision|train",
    ),
    "seed": ("ppo --seed 99999999999999999999", "--seed: input should be less than 2147483648"),
    "too many": ("ppo --num-envs 100000000000", "--num-envs: input should be less than or equal to 4194304"),
    "macd": ("ppo --market.features macd=1,x", "--market.features: macd: parameters must be numbers, got '1,x'"),
    "feature": ("ppo --market.features rsj=14", "market.features 'rsj': |Did you mean 'rsi'?"),
    "accept": (
        "ppo --market.load.accept E-DATA-022",
        "--market.load.accept: holds 'E-DATA-022', which cannot be accepted",
    ),
    "repair": ("ppo --market.load.repair mend", "--market.load.repair: |'drop-row', |got 'mend'"),
    "dividends twice": (
        "ppo --market.load.adjusted adj_close --market.load.events e.csv",
        "events are in adj_close already|leave out one",
    ),
    "sealed share": ("ppo --market.split.train-until 1.5", "--market.split.train-until: must lie between 0 and 1"),
    "export": ("export old", "old: holds no checkpoint. Train until the first validation"),
    "two starts": ("ppo --resume old --config smoke", "--config: cannot be given with --resume"),
    "resume": ("ppo --resume old", "old: its fingerprint.json is missing or damaged. Start a new run"),
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "config.yaml").write_text("name: old\n", encoding="utf-8")
    return make_runner(monkeypatch, capsys)


@pytest.mark.parametrize("what", REFUSED)
def test_refused(tmp_path: Path, run: Runner, what: str) -> None:
    words, pieces = REFUSED[what]
    refuse(run, tmp_path, pieces, *words.split())
