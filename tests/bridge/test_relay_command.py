"""The stitched backtest of a programme: the command, the function, the figures of its legs, and the ledger."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eval_bridge import Policy, console
from eval_bridge.compare import backtest_folder, names_of
from eval_bridge.evaluation import Evaluation, Options
from eval_bridge.files import write_evaluation
from eval_bridge.relay import load_relay
from eval_bridge.stitched import leg_figures, stitched_curve, stitched_evaluation
from eval_bridge.turns import OUT_OF_SAMPLE, read_turns, spans_of, write_relay
from jaxtrade import trials
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from tests.helpers.backtests import no_pictures, read_metrics
from tests.helpers.bundles import write_random_bundle
from tests.helpers.commands import Runner, make_runner
from tests.helpers.relays import ENDS, PANEL, SPANS, Case, relay_case

LEGS = [Range(span.first, end) for span, end in zip(SPANS, ENDS, strict=True)]
WILD = {"max_leverage": 7.0, "maintenance_margin_percent": 5.0, "trade_limit_percent": 100.0}
TABLES = ("equity", "baselines", "trades", "orders", "positions", "rewards")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return relay_case(tmp_path_factory.mktemp("relay"))


@pytest.fixture
def case(original: Case, tmp_path: Path) -> Case:
    shutil.copytree(original.folder, tmp_path / "runs" / "walk")
    return original._replace(folder=tmp_path / "runs" / "walk")


@pytest.fixture(scope="module")
def evaluation(original: Case) -> Evaluation:
    return stitched_evaluation(original.folder)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    no_pictures(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(console.WIDTH))
    return make_runner(monkeypatch, capsys)


def entries(case: Case, event: str) -> list[trials.Entry]:
    return [entry for entry in trials.read(trials.ledger_path(case.bundle(0))) if entry.event == event]


def test_the_command(case: Case, run: Runner, evaluation: Evaluation) -> None:
    """The files as ever, and what each leg was; grid, samples and delay work on a relay too."""
    ran = run("backtest", str(case.folder), "--stress", "--stochastic", "2", "--delay", "1")
    assert (ran.code, ran.err) == (0, ""), ran
    out = case.folder / "backtest" / "test"
    made = {path.name for path in out.iterdir()}
    files = {f"{name}.csv" for name in (*TABLES, "stress", "stochastic")}
    assert made == files | {"metrics.json", "provenance.json", "report.html", "plots"}
    found, facts = read_metrics(out), json.loads((out / "provenance.json").read_text())
    assert [(leg["bundle"], leg["first"], leg["last"]) for leg in facts["legs"]] == [
        (turn.bundle, str(turn.first), str(turn.last)) for turn in read_turns(case.folder)
    ]
    assert len({leg["sha256"] for leg in facts["legs"]}) == len(facts["seeds"]) == 3
    assert found["about"]["policy"].startswith(
        "relay of 3, deterministic, each out of sample until the next takes over"
    )
    assert "from 2020-09-28 seed 6, update 1; from 2020-11-23 seed 7" in found["about"]["policy"]
    assert found["about"]["parity"] == "certified over 300 validation bars and 150 fills", "all three together"
    assert found["calendar"]["bars"] == ENDS[-1] - SPANS[0].first
    assert found["policy"]["fills"] > 0
    stress = pd.read_csv(out / "stress.csv")
    late = stress[(stress["fees"] == 1.0) & (stress["delay"] == 1)]["final_equity"].item()
    assert late == pytest.approx(found["policy"]["final_equity"], rel=1e-9), "the cell of this very delay"
    plain = stress[(stress["fees"] == 1.0) & (stress["delay"] == 0)]["final_equity"].item()
    assert plain == pytest.approx(evaluation.figures["final_equity"], rel=1e-9)
    assert "relay of 3" in (out / "report.html").read_text("utf-8")
    assert "split:" not in evaluation.config, "each leg has its own"


def test_resumed_it_is_the_same_and_no_trial(
    case: Case, tmp_path: Path, evaluation: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A programme that is killed in its stitched backtest and resumed leaves the same files and ledger."""
    no_pictures(monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("eval_bridge.steps.record", killed)
        with pytest.raises(KeyboardInterrupt):
            stitched_evaluation(case.folder)
    write_evaluation(tmp_path / "one", stitched_evaluation(case.folder))
    once = trials.read(case.folder.parent / trials.NAME)
    write_evaluation(tmp_path / "two", stitched_evaluation(case.folder))
    assert trials.read(case.folder.parent / trials.NAME) == once, "beside the programme"
    assert [entry.event for entry in once] == ["open-test", "result"]
    assert once[0].range == once[1].range == (SPANS[0].first, ENDS[-1])
    write_evaluation(tmp_path / "never killed", evaluation)
    for name in ("metrics.json", *(f"{table}.csv" for table in TABLES)):
        made = [(tmp_path / each / name).read_bytes() for each in ("one", "two", "never killed")]
        assert made[0] == made[1] == made[2], name
    one, two = ((tmp_path / each / "provenance.json").read_bytes() for each in ("one", "two"))
    assert one == two


def killed(*arguments: object) -> None:
    raise KeyboardInterrupt


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the bootstrap, which takes most of the time of a small backtest."""
    monkeypatch.setattr("eval_bridge.steps.judged", lambda *arguments: {"verdict": ""})


@pytest.mark.usefixtures("unjudged")
def test_whoever_opens_it_by_hand_is_counted(case: Case) -> None:
    """The programme opens the range once; the command, and Python, each time; and none of it is another trial."""
    first = stitched_evaluation(case.folder)
    again = Policy.load(case.folder).backtest()
    assert len(entries(case, "open-test")) == 2 == again.provenance["test_openings"]
    assert len(entries(case, "result")) == 1
    assert first.figures == again.figures
    one, two, three = read_turns(case.folder)
    day = np.timedelta64(1, "D")
    write_relay(case.folder, [one._replace(last=two.first), two._replace(first=two.first + day), three])
    other = stitched_evaluation(case.folder)
    assert len(entries(case, "result")) == 2, "other borders are another policy"
    assert other.provenance["policy_sha256"] != first.provenance["policy_sha256"]


@pytest.mark.usefixtures("unjudged")
def test_an_option_reaches_it(case: Case) -> None:
    """Without a trace in the results: those are of policies as they were trained."""
    ledger = case.folder / "elsewhere.jsonl"
    told: list[str] = []
    watch = lambda what, done, total: told.append(what)  # noqa: E731
    late = stitched_evaluation(case.folder, Options(delay=2), watch, ledger)
    assert [entry.event for entry in trials.read(ledger)] == ["open-test"]
    assert late.provenance["options"]["delay"] == 2
    assert "trading" in told
    with pytest.raises(InputError, match="--delay: must be at least 0"):
        stitched_evaluation(case.folder, Options(delay=-1))


def test_figures_by_leg(evaluation: Evaluation) -> None:
    """They add up to the whole, and are those of the equity between the borders."""
    figures = leg_figures(evaluation, LEGS)
    equity, start = evaluation.result.equity, SPANS[0].first
    total = sum(each["log_growth"] for each in figures)
    assert total == pytest.approx(np.log(equity[-1] / equity[0]), rel=1e-12)
    assert sum(each["trades"] for each in figures) == evaluation.figures["trades"] > 10
    trades, time = evaluation.tables.trades, evaluation.result.table.time
    ends = np.searchsorted(time, trades[trades["status"] == "closed"]["exit_time"].to_numpy().astype(time.dtype))
    by_hand = [int(np.sum((ends > leg.first) & (ends <= leg.last))) for leg in LEGS]
    assert [each["trades"] for each in figures] == by_hand
    assert np.isin(ends, ENDS[:2]).any(), "none is closed by the last decision of a leg"
    assert min(by_hand) > 0
    for leg, each in zip(LEGS, figures, strict=True):
        marks = equity[leg.first - start : leg.last - start + 1]
        returns = marks[1:] / marks[:-1] - 1
        years = (evaluation.result.time[-1] - evaluation.result.time[0]) / np.timedelta64(31_556_952, "s")
        ratio = returns.mean() / returns.std(ddof=1) * np.sqrt((len(equity) - 1) / years)
        assert each["sharpe"] == pytest.approx(ratio, rel=1e-9)
        assert each["max_drawdown"] == pytest.approx(np.max(1 - marks / np.maximum.accumulate(marks)), rel=1e-9)
        assert each["log_growth"] == pytest.approx(np.sum(np.log1p(returns)), rel=1e-9)
    deepest = max(each["max_drawdown"] for each in figures)
    assert deepest <= evaluation.figures["max_drawdown"] + 1e-12


def test_the_curve(evaluation: Evaluation, original: Case) -> None:
    curve = stitched_curve(evaluation, LEGS)
    assert list(curve.columns) == ["time", "equity", "buy_and_hold", "leg"]
    assert curve["leg"].value_counts().to_dict() == {1: 41, 2: 40, 3: 38}, "the first mark belongs to the first leg"
    assert curve["leg"].is_monotonic_increasing
    last = curve[curve["leg"] == 1].iloc[-1]
    assert last["time"] == evaluation.result.table.time[ENDS[0]], "the mark that its last decision leads to"
    np.testing.assert_array_equal(curve["equity"], evaluation.tables.equity["equity"])
    np.testing.assert_array_equal(curve["buy_and_hold"], evaluation.baselines["buy_and_hold"].equity)
    spans = spans_of(read_turns(original.folder), evaluation.result.table.time)
    pd.testing.assert_frame_equal(curve, stitched_curve(evaluation, spans))


@pytest.mark.usefixtures("unjudged")
def test_a_ruined_account_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    """The legs after the ruin have traded nothing, and what was lost stays with the leg that lost it."""
    case = relay_case(tmp_path, PANEL.model_copy(update=WILD))
    ruined = stitched_evaluation(case.folder)
    start, until = ruined.result.span.first, ruined.result.span.first + len(ruined.result.history)
    assert until < ENDS[-1] - 2
    legs = [Range(start, until + 1), Range(until + 1, until + 2), Range(until + 2, ENDS[-1])]
    first, *later = leg_figures(ruined, legs)
    assert first["log_growth"] < -0.5
    assert first["max_drawdown"] > 0.5
    assert first["trades"] == ruined.figures["trades"]
    assert later == [{"log_growth": 0.0, "sharpe": None, "max_drawdown": 0.0, "trades": 0}] * 2
    assert set(stitched_curve(ruined, legs)["leg"]) == {1}


def test_the_newest_policy_is_asked(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A programme's folder gives advice by its last leg; a range that a relay has not is refused."""
    programme, newest = Policy.load(case.folder), Policy.load(case.bundle(2))
    one, other = (policy.infer_date("2021-02-10", allow_outside=True) for policy in (programme, newest))
    pd.testing.assert_frame_equal(one.frame, other.frame)
    older = Policy.load(case.bundle(0)).infer_date("2021-02-10", allow_outside=True)
    assert not np.allclose(one.frame["raw_action"], older.frame["raw_action"])
    with pytest.raises(InputError, match="range 'validation': is not one of a relay"):
        programme.backtest("validation")


@pytest.mark.usefixtures("unjudged")
def test_a_leg_without_a_certificate_is_named_on_everything(case: Case) -> None:
    write_random_bundle(case.bundle(1), case.tables[1], PANEL, source=str(case.data), certificate=None)
    with pytest.raises(InputError, match=r"iteration-02/policy\.npz: not certified"):
        Policy.load(case.folder).backtest()
    found = Policy.load(case.folder, allow_uncertified=True).backtest()
    assert found.warnings == ("NOT CERTIFIED: it holds no parity certificate",)
    assert found.about["parity"] == "NOT CERTIFIED: it holds no parity certificate"


def test_a_programme_is_compared_by_its_stitched_backtest(case: Case, evaluation: Evaluation) -> None:
    folder = case.folder / OUT_OF_SAMPLE
    folder.mkdir()
    (folder / "metrics.json").write_text("{}")
    assert backtest_folder(case.folder, "test") == folder
    assert names_of([case.folder], [folder]) == ["walk"]
    with pytest.raises(InputError, match="holds no backtest of the validation range"):
        backtest_folder(case.folder, "validation")


def test_the_relay_is_loaded_the_same_from_anywhere(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundles are named from the folder of relay.json, wherever the command is run."""
    here = load_relay(case.folder)[0]
    monkeypatch.chdir(case.folder.parent)
    there = load_relay(Path("walk"))[0]
    assert [leg.sha256 for leg in here.policy.legs] == [leg.sha256 for leg in there.policy.legs]
