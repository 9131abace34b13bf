"""relay.json and the bundles it names: what does not fit together is refused in one line."""

import json
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_bridge.relay import load_relay
from eval_bridge.turns import RELAY, Turn, is_relay, make_turns, read_turns, spans_of, write_relay
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.windows import Sizes, prepare, walk_forward_splits, window_table
from tests.helpers.bundles import SMALL_LSTM, SMALL_MLP, write_random_bundle
from tests.helpers.commands import assert_refused, contents, make_runner
from tests.helpers.inference import MARKET, WINDOW, write_panel
from tests.helpers.relays import ENDS, NINE, PANEL, SPANS, Case, made_up, name_of, relay_case

TIME = made_up(1).time
LEGS = [Range(span.first, end) for span, end in zip(SPANS, ENDS, strict=True)]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return relay_case(tmp_path_factory.mktemp("relay"))


@pytest.fixture
def case(original: Case, tmp_path: Path) -> Case:
    shutil.copytree(original.folder, tmp_path / "walk")
    return original._replace(folder=tmp_path / "walk")


def test_turns_are_kept(tmp_path: Path) -> None:
    """Each policy decides until the next one begins; the file says it in UTC, and the same bytes each time."""
    turns = make_turns([name_of(leg) for leg in range(3)], SPANS, TIME)
    assert not is_relay(tmp_path)
    path = write_relay(tmp_path, turns)
    first = path.read_bytes()
    assert is_relay(tmp_path)
    assert read_turns(tmp_path) == tuple(turns)
    assert spans_of(turns, TIME) == LEGS
    assert json.loads(first) == {
        "schema": 1,
        "legs": [
            {"bundle": name_of(leg), "first": str(TIME[span.first]), "last": str(TIME[span.last - 1])}
            for leg, span in enumerate(LEGS)
        ],
    }
    write_relay(tmp_path, read_turns(tmp_path))
    assert path.read_bytes() == first
    assert [each.name for each in tmp_path.iterdir()] == [RELAY]


def test_the_windows_of_a_walk_forward_make_a_relay(case: Case) -> None:
    """As a programme does it: the test ranges of its windows one after the other, the bars between them included."""
    prepared = prepare(str(case.data), MARKET, WINDOW)
    splits = walk_forward_splits(TIME, prepared.span, 3, Sizes(100, 30, 40), purge=2, embargo=3)
    tables = [window_table(prepared, split) for split in splits]
    spans = [table.ranges["test"] for table in tables]
    assert all(two.first > one.last for one, two in pairwise(spans)), "bars lie between"
    for leg, table in enumerate(tables):
        write_random_bundle(case.bundle(leg), table, PANEL, source=str(case.data))
    write_relay(case.folder, make_turns([name_of(leg) for leg in range(3)], spans, TIME))
    loaded, table = load_relay(case.folder)
    legs = loaded.policy.legs
    assert [leg.first for leg in legs] == [span.first for span in spans]
    assert [leg.last for leg in legs] == [*(span.first for span in spans[1:]), len(TIME) - 1]
    assert table.ranges["test"] == Range(spans[0].first, len(TIME) - 1)


def moved(leg: int, first: int, last: int) -> Callable[[Case], None]:
    """Return the change that lets a leg decide other bars."""

    def change(case: Case) -> None:
        turns = list(read_turns(case.folder))
        turns[leg] = Turn(turns[leg].bundle, TIME[first], TIME[last])
        write_relay(case.folder, turns)

    return change


def swapped(case: Case) -> None:
    one, two, three = read_turns(case.folder)
    write_relay(case.folder, [one, three, two])


def text(change: Callable[[dict[str, Any]], Any]) -> Callable[[Case], None]:
    """Return the change of the JSON itself."""

    def damage(case: Case) -> None:
        path = case.folder / RELAY
        found = json.loads(path.read_text())
        change(found)
        path.write_text(json.dumps(found))

    return damage


def cut_off(case: Case) -> None:
    (case.folder / RELAY).write_text((case.folder / RELAY).read_text()[:-9])


def no_bundle(case: Case) -> None:
    case.bundle(1).unlink()


def damaged_bundle(case: Case) -> None:
    case.bundle(1).write_bytes(case.bundle(1).read_bytes()[:-100])


def bundle(leg: int = 1, **fields: Any) -> Callable[[Case], None]:
    """Return the change that writes a leg's bundle with other fields."""

    def write(case: Case) -> None:
        given = {"env": PANEL, "network": SMALL_MLP, "source": str(case.data)} | fields
        write_random_bundle(case.bundle(leg), case.tables[leg], **given)

    return write


def other_symbols(case: Case) -> None:
    symbols = ("AAA", "BBB", "CCC", "EEE")
    spec = {"source": str(case.data), "sha256": case.tables[0].data_hash, "symbols": symbols}
    bundle(data=spec | {"ranges": {}, "warning": None, "report": {}})(case)


def other_data(case: Case) -> None:
    spec = {"source": str(case.data), "sha256": "0" * 64, "symbols": case.tables[0].symbols}
    bundle(data=spec | {"ranges": {}, "warning": None, "report": {}})(case)


def other_features(case: Case) -> None:
    bundle(market=case.tables[1].config.model_copy(update={"clip": 4.0}))(case)


REFUSED: dict[str, tuple[Callable[[Case], None], str]] = {
    "out of order": (swapped, "relay.json leg 2|leaves 40 bars without a policy: "),
    "backwards": (moved(1, 120, 140), "would decide from 2020-06-22"),
    "overlap": (moved(1, 189, 229), "leg 2: begins before the one before it ends: 2020-09-25|and 2020-09-25"),
    "gap": (moved(1, 191, 229), "leg 2: leaves 1 bar without a policy"),
    "no bars": (moved(1, 200, 199), "leg 2: holds no bar: 2020-10-12"),
    "no bar follows": (moved(2, 230, 299), "leg 3: decides at |and no bar follows in the data"),
    "sees its validation": (moved(0, 146, 189), "was trained and chosen on bars until 2020-07-28"),
    "cut off": (cut_off, "relay.json: Invalid JSON"),
    "no legs": (text(lambda found: found["legs"].clear()), "relay.json: legs: Tuple should have at least 1 item"),
    "another schema": (text(lambda found: found.update(schema=2)), "relay.json: schema: Input should be 1"),
    "unknown key": (text(lambda found: found["legs"][1].update(weight=1)), "relay.json: legs.1.weight: Extra inputs"),
    "no time": (text(lambda found: found["legs"][1].pop("first")), "relay.json: legs.1.first: Field required"),
    "a zone": (
        text(lambda found: found["legs"][0].update(first="2020-08-03T00:00:00+01:00")),
        "legs.0.first: |timezone",
    ),
    "no name": (text(lambda found: found["legs"][0].update(bundle="")), "legs.0.bundle: String should have at least"),
    "missing bundle": (no_bundle, "iteration-02/policy.npz: no such policy bundle"),
    "damaged bundle": (damaged_bundle, "iteration-02/policy.npz: damaged or not a policy bundle"),
    "uncertified": (bundle(certificate=None), "iteration-02/policy.npz: not certified: it holds no parity certificate"),
    "action": (bundle(env=PANEL.model_copy(update={"max_leverage": 2.0})), "env.max_leverage: 2.0 and 1.0"),
    "network": (bundle(network=SMALL_LSTM), "differs from |network.kind: multiscale_lstm and mlp"),
    "symbols": (other_symbols, "iteration-02/policy.npz: differs from |symbols"),
    "data": (other_data, "iteration-02/policy.npz: differs from |data"),
    "features": (other_features, "market.clip: 4.0 and 5.0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_together(name: str, case: Case) -> None:
    change, pieces = REFUSED[name]
    change(case)
    with pytest.raises(InputError) as refused:
        load_relay(case.folder)
    line = str(refused.value)
    assert "\n" not in line
    for piece in pieces.split("|"):
        assert piece in line, line


def test_it_begins_after_the_history(case: Case) -> None:
    """On other data the first leg may come too early; then there is one line too."""
    short = made_up()
    late = type(short)(short.time[140:], short.symbols, *(leaf[140:] for leaf in short[2:7]))
    data = write_panel(case.folder / "late.csv", late)
    with pytest.raises(InputError, match=r"relay\.json leg 1: decides at .* bars of history are needed before"):
        load_relay(case.folder, data=str(data))


def test_other_bars_of_the_same_time_are_traded(case: Case) -> None:
    """The legs are found by their times, also where the data begin later or go on."""
    longer = made_up(bars=320)
    later = type(longer)(longer.time[20:], longer.symbols, *(leaf[20:] for leaf in longer[2:7]))
    loaded, table = load_relay(case.folder, data=str(write_panel(case.folder / "longer.csv", later)))
    assert table.ranges["test"] == Range(SPANS[0].first - 20, ENDS[-1] - 20)
    assert [(leg.first, leg.last) for leg in loaded.policy.legs] == [(leg.first - 20, leg.last - 20) for leg in LEGS]
    np.testing.assert_array_equal(table.time[table.ranges["test"].first], TIME[SPANS[0].first])


def test_the_command_leaves_no_trace(
    case: Case, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A range that a relay does not have, and a bundle that is not certified."""
    run, before = make_runner(monkeypatch, capsys), contents(case.folder.parent)
    for split in ("train", "validation", "all"):
        ran = run("backtest", str(case.folder), "--split", split)
        assert_refused(ran, f"range '{split}': is not one of a relay|such as {case.folder / 'iteration-03'}")
    assert contents(case.folder.parent) == before
    bundle(0, certificate=None)(case)
    before = contents(case.folder.parent)
    assert_refused(run("backtest", str(case.folder)), "iteration-01/policy.npz: not certified")
    bundle(0, env=NINE.model_copy(update={"action": "target_weight"}))(case)
    assert_refused(run("backtest", str(case.folder)), "iteration-02/policy.npz: differs from |env.action")
    assert set(contents(case.folder.parent)) == set(before)
