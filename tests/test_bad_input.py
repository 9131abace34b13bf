"""Bad input to the commands: exit code 2, one line that says where, what and how to mend it, and nothing written."""

import subprocess
from pathlib import Path

import pytest

from jaxtrade.market.loading import load_table
from tests.helpers.chain import config_for, price_lines, untrained
from tests.helpers.commands import Ran, Runner, assert_refused, contents, make_runner, refuse
from tests.helpers.planting import ROOT, run_python
from tests.helpers.price_files import write_lines
from train import checkpoint

LINES = price_lines()
HELP = "See python -m train.ppo --help"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    monkeypatch.chdir(tmp_path)
    return make_runner(monkeypatch, capsys)


COMMAND_LINES = {
    "unknown flag": ("ppo --num-env 4", "unknown argument '--num-env'. Did you mean '--num-envs'?"),
    "unknown dotted flag": ("ppo --ppo.lane 4", "unknown argument '--ppo.lane'. Did you mean '--ppo.lanes'?"),
    "no flag": ("ppo smoke", "python -m train.ppo: unknown argument 'smoke'. Known: --"),
    "no such no-flag": ("ppo --no-seed", "unknown argument '--no-seed'. Did you mean '--seed'?"),
    "zero": ("ppo --num-envs 0", f"--num-envs: input should be greater than or equal to 1, got '0'. {HELP}"),
    "text for a number": (
        "ppo --num-envs abc",
        f"--num-envs: input should be a valid integer|, or auto, got 'abc'. {HELP}",
    ),
    "text for one of many": (
        "ppo --network.branches 1 x",
        f"--network.branches: input should be a valid integer|'x'. {HELP}",
    ),
    "no value": ("ppo --num-envs", f"--num-envs: takes one value, got 0. {HELP}"),
    "two values": ("ppo --num-envs 4 5", f"--num-envs: takes one value, got 2. {HELP}"),
    "not finite": ("ppo --ppo.gamma nan", "--ppo.gamma: |, got 'nan'. "),
    "lanes": ("ppo --num-envs 40", f"--num-envs: num_envs 40 is not a multiple of ppo.lanes 16. {HELP}"),
    "minibatches": (
        "ppo --ppo.minibatches 7",
        "--ppo.minibatches: rollout_length 128 is not a multiple of minibatches 7",
    ),
    "both parts": ("ppo --ppo.lanes 5 --num-envs 16", "--ppo.lanes, --num-envs: num_envs 16 is not a multiple of"),
    "window": ("ppo --env.window 100 --name a", "--env.window: the network's reach of 120 bars does not fit"),
    "action": ("ppo --env.action foo", "--env.action: input should be 'continuous', |'orders', got 'foo'. " + HELP),
    "orders are for replays": ("ppo --env.action orders", "--env.action: env.action orders is for replays; choose"),
    "no such reward": ("ppo --env.reward sharp", "env.reward 'sharp': no such reward. Known: calmar"),
    "a reward of no module": (
        "ppo --env.reward nowhere:f",
        "env.reward 'nowhere:f': cannot be imported: ModuleNotFound",
    ),
    "a weight of no number": ("ppo --env.reward calmar=x", "--env.reward: must be a number, got |. " + HELP),
    "costs of an unknown symbol": (
        "ppo --env.costs.buy-percent AAPL=1 default=2",
        "env.costs.buy_percent: names 'AAPL', which is not traded. Symbols: nasdaq",
    ),
    "a range that falls": ("ppo --env.costs.slippage-bps 5 1", "--env.costs.slippage-bps: must rise from the lower"),
    "a range of capital by symbol": ("ppo --env.initial-cash a=1 b=2", "--env.initial-cash: must be a number, a range"),
    "negative cost": ("ppo --env.costs.borrow-percent -1", "--env.costs.borrow-percent: must be at least 0, got "),
    "short exposure": (
        "ppo --env.action positions --env.positions -1 0 1",
        "positions holds -1.0, which needs allow_sh",
    ),
    "date": (
        "ppo --market.split.train-until 2010-13-01",
        f"--market.split.train-until: must be a date such as|got '2010-13-01'. {HELP}",
    ),
    "config": ("ppo --config nope.yaml", "nope.yaml: no such configuration file or preset. Known: "),
    "preset": ("ppo --config smok", "smok: no such configuration file or preset. Did you mean 'smoke'?"),
    "resume nothing": ("ppo --resume runs/none", "runs/none: no run to resume: it holds no config.yaml. Name a folder"),
    "sample": ("ppo --data sample:nasdak", "E-DATA-001 sample:nasdak: no such sample (Did you mean 'nasdaq'?)"),
    "symbol": (
        "ppo --market.symbols nasdak",
        "E-DATA-009 sample:nasdaq: symbol 'nasdak' is not in the data (Did you mean 'nasdaq'?)",
    ),
    "window beyond the data": ("ppo --env.window 6000", "range 'train': holds no decision: 5031 bars, 6129 of them"),
    "dates in the wrong order": (
        "ppo --market.split.train-until 2017-01-01",
        "market.split: train_until 2017-01-01 does",
    ),
    "export nothing": ("export", "python -m train.export: the following arguments are required: run. See python -m"),
    "export nowhere": ("export runs/none", "runs/none: no run here: config.yaml is missing. Name a folder under runs/"),
    "export flag": ("export runs/none --chekpoint 3", "unknown argument '--chekpoint'. Did you mean '--checkpoint'?"),
    "backtest nothing": ("backtest", "python -m eval_bridge.backtest: the following arguments are required: policy"),
    "backtest nowhere": ("backtest runs/none", "runs/none: no such policy bundle. Train first, or run python -m train"),
    "backtest flag": ("backtest a --spilt test", "unknown argument '--spilt'. Did you mean '--split'?"),
    "backtest split": (
        "backtest a --split tset",
        "argument --split: invalid choice: 'tset'|'validation'|See python -m",
    ),
}


@pytest.mark.parametrize("what", COMMAND_LINES)
def test_command_lines(tmp_path: Path, run: Runner, what: str) -> None:
    line, pieces = COMMAND_LINES[what]
    refuse(run, tmp_path, pieces, *line.split())


DATA = {
    "missing": (
        None,
        "prices.csv: no such file or folder|Check the path, or use --data sample:nasdaq. Nothing was written",
    ),
    "empty": ([], "E-DATA-002 prices.csv: the file is empty|Give at least"),
    "only a header": (LINES[:1], "E-DATA-002 prices.csv: the file holds no rows|Give at least a few hundred bars"),
    "no close": (
        [LINES[0].replace("close", "clse"), *LINES[1:]],
        "prices.csv: column 'close' is missing; found|Add or",
    ),
    "text": (
        [*LINES[:5], LINES[5].replace("2000-01-07T00:00:00,", "2000-01-07,x"), *LINES[6:]],
        "E-DATA-020 prices.csv row 6 (2000-01-07T00:00:00Z) column 'open' symbol prices: 'x",
    ),
    "short": (LINES[:100], "range 'train': holds no decision: 99 bars, 389 of them needed as history|give more bars"),
}


@pytest.mark.parametrize("what", DATA)
def test_data_files(tmp_path: Path, run: Runner, what: str) -> None:
    lines, pieces = DATA[what]
    if lines is not None:
        (tmp_path / "prices.csv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    refuse(run, tmp_path, pieces, "ppo", "--data", "prices.csv", "--runs-dir", "made")


FILES = {
    "a.yaml": ("num_env: 4", "a.yaml: num_env: unknown key 'num_env'. Did you mean 'num_envs'?"),
    "b.yaml": (
        "env:\n  costs:\n    buy_percnt: 1",
        "b.yaml: env.costs.buy_percnt: unknown key|Did you mean 'buy_percent'?",
    ),
    "c.yaml": ("num_envs: true", "c.yaml: num_envs: must be a number, not true or false, got True. "),
    "d.yaml": ("ppo: {epochs: false}", "d.yaml: ppo.epochs: must be a number, not true or false, got False. "),
    "e.yaml": ("network: {branches: [1, true]}", "e.yaml: network.branches.1: must be a number, not true or false"),
    "f.yaml": ("env: 3", "f.yaml: env: input should be a valid dictionary|, got 3. "),
    "g.yaml": ("- 1", "g.yaml: does not hold a mapping of keys to values. See configs/default.yaml"),
    "h.yaml": ("0", "h.yaml: does not hold a mapping of keys to values. See configs/default.yaml"),
    "i.yaml": ("a: [1", "i.yaml: cannot be read: while parsing|Mend the file"),
    "j.json": ('{"num_envs": 32,', "j.json: cannot be read: Expecting|line 1|Mend the file"),
    "k.json": ('{"num_envs": "many"}', "k.json: num_envs: input should be a valid integer|got 'many'. "),
    "l.yaml": ("ppo: {minibatches: 7}", "l.yaml: ppo: rollout_length 128 is not a multiple of minibatches 7"),
    "m.yaml": ("seed: 1\nfoo: 1\nbar: 2", "m.yaml: foo: unknown key 'foo' (1 of 2 errors). Known: "),
    "n.yaml": ("x: !!python/object/apply:os.getcwd []", "n.yaml: cannot be read: could not determine a constructor"),
    "o.yaml": ("ppo: {learning_rate: .nan}", "o.yaml: ppo.learning_rate: input should be a finite number, got nan"),
}


@pytest.mark.parametrize("name", FILES)
def test_configuration_files(tmp_path: Path, run: Runner, name: str) -> None:
    text, pieces = FILES[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    refuse(run, tmp_path, pieces, "ppo", "--config", name)


@pytest.mark.parametrize("text", ["env: 3", "env:", "env: {costs: 1}"])
def test_flags_do_not_hide_a_section_that_is_none(tmp_path: Path, run: Runner, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8")
    pieces = "a.yaml: env|: input should be a valid dictionary"
    refuse(run, tmp_path, pieces, "ppo", "--config", "a.yaml", "--env.costs.buy-percent", "1")


def test_a_bad_variable_is_named(tmp_path: Path, run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAXTRADE_NUM_ENVS", "many")
    refuse(run, tmp_path, "JAXTRADE_NUM_ENVS: input should be a valid integer|got 'many'", "ppo")


def test_a_run_is_not_overwritten(tmp_path: Path, run: Runner) -> None:
    (tmp_path / "runs" / "old").mkdir(parents=True)
    refuse(
        run,
        tmp_path,
        "runs/old: this run exists already. Choose another --name, or go on with --resume",
        "ppo",
        "--name",
        "old",
    )
    write_lines(tmp_path / "file", ["not a folder"])
    refuse(run, tmp_path, "cannot be written (Not a directory). Choose another --runs-dir", "ppo", "--runs-dir", "file")


@pytest.mark.parametrize("make", ["runs", "runs/empty/checkpoints"])
def test_a_folder_without_a_run_is_not_resumed(tmp_path: Path, run: Runner, make: str) -> None:
    (tmp_path / make).mkdir(parents=True)
    pieces = "runs/empty: no run to resume: it holds no config.yaml. Name a folder under runs/"
    refuse(run, tmp_path, pieces, "ppo", "--resume", "runs/empty")
    refuse(run, tmp_path, "runs/empty: no ", "export", "runs/empty")


@pytest.fixture
def old_run(tmp_path: Path) -> Path:
    """A run with one checkpoint, of no update at all."""
    folder = tmp_path / "old"
    folder.mkdir()
    config = config_for(write_lines(tmp_path / "prices.csv", LINES))
    (folder / "config.yaml").write_text(config.model_dump_json(), encoding="utf-8")  # JSON is YAML
    facts = {"data_sha256": load_table(config.data, config.market, config.env.window).data_hash}
    with checkpoint.Checkpoints(folder, config.checkpoints, facts) as saves:
        saves.save(3, untrained().state, 0.5, {})
    return folder


def test_unknown_checkpoints(old_run: Path, run: Runner) -> None:
    for which in ("7", "bset", "-1", "3.0"):
        ran = run("export", str(old_run), f"--checkpoint={which}")
        assert_refused(ran, f"checkpoints: no checkpoint '{which}'. Choose best, latest or one of [3]")
        assert not (old_run / "policy.npz").exists()
    nowhere = run("export", str(old_run), "--out", "no/such/folder/policy.npz")
    assert_refused(nowhere, "no/such/folder: no bundle can be written here (No such file or directory). Name a file in")
    assert run("export", str(old_run), "--checkpoint", "3").code == 0
    assert (old_run / "policy.npz").stat().st_size > 10_000


def test_data_that_changed_its_columns_since_the_run(old_run: Path, run: Runner) -> None:
    write_lines(old_run.parent / "prices.csv", [LINES[0].replace("open", "start"), *LINES[1:]])
    assert_refused(run("export", str(old_run)), "prices.csv: column 'open' is missing; found|Add or rename the column")
    assert not (old_run / "policy.npz").exists()


def spawn(folder: Path, module: str, *arguments: str) -> Ran:
    """Run a command as a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; sys.argv[0] = {module!r}; "
    ran = run_python(folder, "-c", code + f"runpy.run_module({module!r}, run_name='__main__')", *arguments)
    return Ran(ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.parametrize(
    ("module", "arguments", "pieces"),
    [
        ("train.ppo", ("--num-env", "4"), "unknown argument '--num-env'. Did you mean '--num-envs'?"),
        ("train.ppo", ("--data", "none.csv"), "none.csv: no such file or folder|Check the path"),
        ("train.export", ("none",), "none: no run here: config.yaml is missing. Name a folder"),
        ("eval_bridge.backtest", ("none",), "none: no such policy bundle. Train first"),
    ],
)
def test_processes(tmp_path: Path, module: str, arguments: tuple[str, ...], pieces: str) -> None:
    assert_refused(spawn(tmp_path, module, *arguments), pieces)
    assert contents(tmp_path) == {}


WITHOUT_JAX = """
import sys
import {module} as command
sys.argv = ["command", *{arguments}]
try:
    code = command.main()
except SystemExit as stop:
    code = stop.code
heavy = {{"jax", "flax", "optax", "orbax", "gymnax"}} & {{name.split(".")[0] for name in sys.modules}}
print("exit", code, "heavy", sorted(heavy))
"""


@pytest.mark.parametrize("module", ["train.ppo", "train.export", "train.leakcheck", "eval_bridge.backtest"])
@pytest.mark.parametrize("argument", ["--help", "--hepl"])
def test_help_and_errors_do_not_wait_for_jax(module: str, argument: str) -> None:
    ran: subprocess.CompletedProcess[str] = run_python(
        ROOT, "-c", WITHOUT_JAX.format(module=module, arguments=[argument])
    )
    code = 0 if argument == "--help" else 2
    assert ran.stdout.splitlines()[-1] == f"exit {code} heavy []"
    assert ("usage: " in ran.stdout) == (argument == "--help")
    if argument == "--help":
        assert ran.stderr == ""
        assert f"python -m {module}" in ran.stdout


def test_the_harness_sees_a_traceback_and_a_written_file(tmp_path: Path, run: Runner) -> None:
    """What `refuse` asks for can fail: a crash, a second line, another exit code, a folder left behind."""
    bad = [
        Ran(1, "", "Traceback\n"),
        Ran(2, "", "error: a: b. c\nmore\n"),
        Ran(0, "", ""),
        Ran(2, "run\n", "error: a\n"),
    ]
    for ran in bad:
        with pytest.raises(AssertionError):
            assert_refused(ran, "a")
    with pytest.raises(AssertionError, match="is not in"):
        assert_refused(Ran(2, "", "error: a: b. c\n"), "d")
    with pytest.raises(AssertionError, match="wrote something"):
        refuse(lambda *arguments: (tmp_path / "made").mkdir() or Ran(2, "", "error: a: b. c\n"), tmp_path, "a", "ppo")
