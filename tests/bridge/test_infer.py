"""`python -m eval_bridge.infer`: what it prints and writes, and one clear line for each thing it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eval_bridge import Policy
from eval_bridge.bundle import load_bundle
from eval_bridge.inference.asof import Asked, find_bar, market_as_of, parse_age, parse_date, require_fresh
from eval_bridge.inference.feature_range import MARGIN, feature_range, require_inside
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError
from tests.helpers.bundles import SMALL_LSTM, write_random_bundle
from tests.helpers.commands import assert_refused, contents
from tests.helpers.inference import PANEL, SYMBOLS, WINDOW, Ask, Place, asking, make_place, weekday_bars, write_panel

DAY = "2021-02-10"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_place(tmp_path)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    return asking(monkeypatch, capsys)


REFUSED = {
    "before the warm-up": (
        ["--date", "2020-01-20"],
        "date 2020-01-20: is before the warm-up: 11 bars, 25 are needed; the first decision is due at 2020-02-07.",
    ),
    "before the data": (
        ["--date", "2019-05-01"],
        "date 2019-05-01: is before the data, which begins with the bar of 2020-01-06.",
    ),
    "a weekend": (
        ["--date", "2021-02-13"],
        "date 2021-02-13: no bar on that Saturday; those around it are of 2021-02-12 and 2021-02-15. Choose one",
    ),
    "a time without a bar": (
        ["--date", "2021-02-10T15:30"],
        "date 2021-02-10T15:30:00: no bar at that time; those around it are of 2021-02-10 and 2021-02-11",
    ),
    "after the data": (
        ["--date", "2022-01-03"],
        "date 2022-01-03: is after the data, which ends with the bar of 2021-03-26. Give newer data",
    ),
    "no date": (["--date", "soon"], "date: 'soon' is none. Write 2024-07-01"),
    "stale data": ([], "data: is stale: its latest bar, 2021-03-26, is |days old, 7 allowed. Give newer data"),
    "stale by its own measure": (["--max-age", "36h"], "data: is stale: |1.5 allowed"),
    "no age": (["--max-age", "long"], "max-age: 'long' is no age. Write 90m, 36h, 10d or 2w"),
    "an unknown symbol": (
        ["--date", DAY, "--symbols", "AAB", "BBB"],
        "symbols: 'AAB' is not in the data. Did you mean 'AAA'?",
    ),
    "a position in one": (
        ["--date", DAY, "--positions", "BBB=1,CCCC=2"],
        "positions: symbol 'CCCC' is not in the data. Did you mean 'CCC'?",
    ),
    "a position twice": (["--date", DAY, "--positions", "AAA=1,AAA=2"], "positions: names AAA twice"),
    "no quantity": (["--date", DAY, "--positions", "AAA=x"], "positions: quantity of AAA is 'x', no number"),
    "no position": (["--date", DAY, "--positions", "AAA"], "positions: |'AAA', no number"),
    "ruin": (["--date", DAY, "--cash", "-5"], "account: an equity of -5.00 is ruin. The rules need more than 100"),
    "a liquidation": (
        ["--date", DAY, "--cash", "-500", "--positions", "AAA=6"],
        "account: would be liquidated at once under the rules",
    ),
    "two accounts": (["--date", DAY, "--account", "a.json", "--positions", "AAA=1"], "--positions: cannot be given"),
    "no account": (["--date", DAY, "--account", "a.json"], "a.json: cannot be read (No such file"),
    "no top": (["--date", DAY, "--top", "0"], "--top: 0 is below 1"),
    "an unknown flag": (["--dates", DAY], "unknown argument '--dates'. Did you mean '--date'?"),
    "nowhere to write": (["--date", DAY, "--out", "none/out.txt"], "none/out.txt: cannot be written"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_refuses_in_one_line(what: str, place: Place, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, pieces = REFUSED[what]
    monkeypatch.chdir(place.folder)
    before = contents(place.folder)
    assert_refused(ask(place.bundle, *arguments), pieces)
    assert {name: data for name, data in contents(place.folder).items() if name != "trials.jsonl"} == before


def test_data_outside_the_range_of_training(place: Place, ask: Ask) -> None:
    """Ten times the volatility, beyond what the clipped features of training reached."""
    bars = weekday_bars()
    for leaf in (bars.open, bars.high, bars.low, bars.close):
        leaf[285:, 2] *= 1.25
    write_panel(place.folder / "wild.csv", bars)
    arguments = (place.bundle, "--data", place.folder / "wild.csv", "--date", "2021-02-09")
    refused = ask(*arguments)
    pieces = "error: feature 'return_2': CCC is 5, training saw -|; so are 1 more. Train on such data, or use --allow-"
    assert_refused(refused, pieces)
    assert ask(*arguments, "--allow-outside").code == 0
    assert ask(place.bundle, "--data", place.folder / "wild.csv", "--date", "2021-02-05").code == 0, (
        "it is not there yet"
    )


def test_the_margin_of_the_feature_range() -> None:
    rows = np.zeros((2, 2, 2), np.float32)
    ranges = ((-1.0, 1.0), (0.0, 10.0))
    for value, fine in ((1.19, True), (1.21, False), (-1.19, True), (-1.21, False)):
        rows[0, 1, 0] = value
        if fine:
            require_inside(rows, ranges, ("a", "b"), ("X", "Y"))
        else:
            with pytest.raises(InputError, match=r"feature 'a': Y is -?1\.21, training saw -1 to 1\. Train"):
                require_inside(rows, ranges, ("a", "b"), ("X", "Y"))
    rows[1, 0, 1] = 30.0
    with pytest.raises(InputError, match=r"feature 'b': X is 30, training saw 0 to 10; so are 1 more"):
        require_inside(rows, ranges, ("a", "b"), ("X", "Y"))
    rows[:] = np.nan
    with pytest.raises(InputError, match="is nan"):
        require_inside(rows, ranges, ("a", "b"), ("X", "Y"))
    assert MARGIN == 0.1


def test_the_feature_range_is_that_of_training_alone(place: Place) -> None:
    table = place.table
    train = table.ranges["train"]
    rows = table.features[table.ranges["all"].first - WINDOW + 1 : train.last + 1]
    found = np.array(load_bundle(place.bundle).manifest.feature_range)
    np.testing.assert_array_equal(found, np.stack([rows.min(axis=(0, 1)), rows.max(axis=(0, 1))], axis=1))
    wild = table.features.copy()
    wild[train.last + 1 :] = 4.9
    assert feature_range(replace(table, features=wild)) == feature_range(table)


def test_an_uncertified_bundle_is_refused(place: Place, ask: Ask) -> None:
    write_random_bundle(place.bundle, place.table, PANEL, source=str(place.data), certificate=None)
    assert_refused(ask(place.bundle, "--date", DAY), "policy.npz: not certified: it holds no parity certificate")
    allowed = ask(place.bundle, "--date", DAY, "--allow-uncertified")
    assert "warning: NOT CERTIFIED: it holds no parity certificate" in allowed.out


def test_the_wrong_number_of_symbols(tmp_path: Path, ask: Ask) -> None:
    place = make_place(tmp_path, EnvConfig(action="discrete9", window=WINDOW))
    panel = write_panel(tmp_path / "panel.csv", weekday_bars())
    assert_refused(ask(place.bundle, "--data", panel, "--date", DAY), "holds 4 symbols, the policy trades one")


def test_the_table(place: Place, ask: Ask) -> None:
    ran = ask(place.folder, "--date", DAY, "--positions", "AAA=3,BBB=-2", "--cash", "9000", "--top", "1")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0] == f"uses nothing after the close of the bar of {DAY}; fills at the next open after it"
    assert "parity: certified over 100 validation bars and 50 fills" in lines
    assert [line.split()[0] for line in lines if line.startswith(SYMBOLS)][:4] == list(SYMBOLS)
    assert "top buys:" in lines
    assert "top sells:" in lines
    shown = lines[lines.index("top sells:") + 1 :]
    assert len([line for line in shown if line.startswith(SYMBOLS)]) <= 1
    assert "probability" not in ran.out, "a column that holds nothing is left out"
    some = ask(place.folder, "--date", DAY, "--symbols", "CCC,AAA")
    assert [line.split()[0] for line in some.out.splitlines() if line.startswith(SYMBOLS)][:2] == ["CCC", "AAA"]


def test_json_and_csv_hold_the_same(place: Place, ask: Ask) -> None:
    made = Policy.load(place.bundle).infer_date(DAY)
    record = json.loads(ask(place.bundle, "--date", DAY, "--format", "json").out)
    assert record["stamp"] == made.stamp
    assert (record["bar"], record["account"]) == (f"{DAY}T00:00:00", {"cash": 10_000.0, "equity": 10_000.0})
    assert [row["symbol"] for row in record["symbols"]] == list(SYMBOLS)
    assert all(row["probability"] is None and row["deviation"] > 0 for row in record["symbols"])
    out = place.folder / "out.csv"
    ran = ask(place.bundle, "--date", DAY, "--format", "csv", "--out", out)
    assert ran.out == f"recommendation: {out}\n"
    assert out.read_text().startswith(f"# {made.stamp}\nsymbol,action,raw_action,")
    table = pd.read_csv(out, comment="#", keep_default_na=False, na_values=[""])
    for row, cells in zip(record["symbols"], table.to_dict("records"), strict=True):
        for name, value in row.items():
            assert value == cells[name] or (value in (None, "") and pd.isna(cells[name])), name


ACCOUNTS = {
    "a.json": json.dumps({"cash": 9000, "positions": {"AAA": 3, "BBB": -2}}),
    "b.json": json.dumps(
        {"cash": 9000, "positions": [{"symbol": "AAA", "quantity": 3}, {"symbol": "BBB", "quantity": "-2"}]}
    ),
    "c.csv": "symbol,quantity\nAAA,3\nBBB,-2\n",
    "d.csv": "symbol,quantity,entry_price,bars_since_trade\nAAA,3,,\nBBB,-2,,0\n",
}


def test_an_account_may_be_written_in_many_ways(place: Place, ask: Ask) -> None:
    wanted = ask(place.bundle, "--date", DAY, "--positions", "AAA=3,BBB=-2", "--cash", "9000").out
    for name, text in ACCOUNTS.items():
        (place.folder / name).write_text(text)
        cash = ["--cash", "9000"] if name.endswith(".csv") else []
        ran = ask(place.bundle, "--date", DAY, "--account", place.folder / name, *cash)
        assert ran.out == wanted, ran.err
    assert_refused(ask(place.bundle, "--account", place.folder / "a.json", "--cash", "1"), "--cash: |names the cash")


BAD_ACCOUNTS = {
    "text.json": ("hello", "text.json: is no account (Expecting value"),
    "list.json": ("[1]", "list.json: is no account. Write a mapping of cash, positions"),
    "field.json": ('{"cahs": 3}', "field.json: unknown field 'cahs'. Did you mean 'cash'?"),
    "money.json": ('{"cash": true}', "money.json: cash is True, no number"),
    "column.csv": ("symbol,qty\nAAA,3\n", "column.csv: unknown column 'qty'|Give the columns symbol, quantity"),
    "lack.csv": ("symbol,quantity\nAAA,\n", "lack.csv: a position lacks its symbol or quantity"),
    "price.csv": ("symbol,quantity,entry_price\nAAA,3,-1\n", "price.csv: AAA: entry_price must be above 0"),
    "memory.json": ('{"reward_memory": [1]}', "reward_memory: 1 numbers, the reward keeps 0"),
    "binary.json": ("\x00\x01", "binary.json: is no account ("),
}


@pytest.mark.parametrize("name", BAD_ACCOUNTS)
def test_bad_accounts(name: str, place: Place, ask: Ask) -> None:
    text, pieces = BAD_ACCOUNTS[name]
    (place.folder / name).write_text(text)
    assert_refused(ask(place.bundle, "--date", DAY, "--account", place.folder / name), pieces)


def test_accounts_that_the_rules_do_not_know(tmp_path: Path, ask: Ask) -> None:
    place = make_place(tmp_path, EnvConfig(action="target_weight", window=WINDOW, lot_size=10.0))
    ask_about = lambda positions: ask(place.bundle, "--date", DAY, "--positions", positions)  # noqa: E731
    assert_refused(ask_about("AAA=-10"), "positions: AAA is held short, the policy trades long only")
    assert_refused(ask_about("AAA=15"), "positions: AAA: 15 are no whole number of lots of 10")
    assert ask_about("AAA=20").code == 0


def test_dates_and_ages() -> None:
    time = weekday_bars(30).time
    assert find_bar(time, None) == 29
    assert find_bar(time, parse_date(np.datetime64("2020-01-07"))) == 1
    assert find_bar(time, parse_date(pd.Timestamp("2020-01-08").date())) == 2
    assert find_bar(time, parse_date(pd.Timestamp("2020-01-08T02:00+02:00"))) == 2
    assert [parse_age(text) for text in ("90m", "36h", "10d", "2w", "off")] == [
        5400,
        129_600,
        864_000,
        1_209_600,
        np.inf,
    ]
    for text in ("", "d", "-1d", "10", "3y"):
        with pytest.raises(InputError, match="is no age"):
            parse_age(text)
    last = time[-1]
    require_fresh(time, None, last + np.timedelta64(7, "D"))
    with pytest.raises(InputError, match=r"is 8\.0 days old, 7 allowed"):
        require_fresh(time, None, last + np.timedelta64(8, "D"))
    require_fresh(time, "9d", last + np.timedelta64(8, "D"))


def test_a_date_is_never_stale(place: Place) -> None:
    """The age is that of the latest bar today; who names a day of the past wants that day."""
    manifest = load_bundle(place.bundle).manifest
    assert market_as_of(manifest, Asked(DAY, max_age="1m")).table.time[-1] == np.datetime64(DAY)
    today = np.datetime64("2021-03-28")
    assert market_as_of(manifest, Asked(today=today)).bar == len(place.table.time) - 1


def test_too_short_a_history_is_refused(place: Place, ask: Ask) -> None:
    """Whatever is too little for the features, down to one bar."""
    for bars in (1, 2, 10, 24):
        short = write_panel(place.folder / "short.csv", weekday_bars(), bars)
        assert_refused(ask(place.bundle, "--data", short, "--max-age", "off"), "error: ")
    enough = write_panel(place.folder / "enough.csv", weekday_bars(), 25)
    ran = ask(place.bundle, "--data", enough, "--max-age", "off")
    assert ran.code == 0, ran.err


def test_the_whole_look_back_must_lie_within_the_range(tmp_path: Path) -> None:
    """An LSTM of 20 bars looks at a wild bar for 20 bars, whatever came after."""
    bars = weekday_bars()
    for leaf in (bars.open, bars.high, bars.low, bars.close):
        leaf[285:, 2] *= 1.25
    place = make_place(tmp_path, network=SMALL_LSTM)
    write_panel(tmp_path / "wild.csv", bars)
    policy = Policy.load(place.bundle)
    wild = {"data": str(tmp_path / "wild.csv"), "max_age": "off"}
    with pytest.raises(InputError, match="CCC is 5, training saw"):
        policy.infer_date(bars.time[300], **wild)
    policy.infer_date(bars.time[310], **wild)
