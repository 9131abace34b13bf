"""Inference is causal and takes the backtester's own decision; quantities and costs are the rule book's."""

import json
from pathlib import Path

import numpy as np
import pytest

from eval_bridge import Policy
from eval_bridge.backtester import market_row, policy_actor, run_backtest
from eval_bridge.bundle import load_bundle
from eval_bridge.inference.asof import Asked, market_as_of
from eval_bridge.inference.holdings import Holdings, Position
from eval_bridge.inference.recommend import recommend
from eval_bridge.policy import make_policy
from eval_bridge.spec import NetworkConfig
from jaxtrade import trials
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig, MarketConfig
from jaxtrade.errors import InputError
from jaxtrade.market.loading import load_table
from jaxtrade.market.splits import Range
from jaxtrade.rules import open_account
from jaxtrade.rules.limits import limit
from jaxtrade.rules.types import equity_of
from tests.helpers.bundles import SMALL_CARRIED, SMALL_LSTM, SMALL_MLP, write_random_bundle
from tests.helpers.inference import BARS, MARKET, PANEL, SYMBOLS, WINDOW, make_place, weekday_bars, write_panel

FLAT = NetworkConfig(kind="flat_mlp", hidden=8, head=8)
DAY = "2021-02-10"  # bar 287 of 320
WORLDS = {
    "panel": (PANEL, SMALL_MLP),
    "panel, lstm": (PANEL, SMALL_LSTM),
    "panel, carried": (PANEL, SMALL_CARRIED),
    "panel, flat": (PANEL, FLAT),
    "weights": (EnvConfig(action="target_weight", window=WINDOW), SMALL_MLP),
    "nine": (EnvConfig(action="discrete9", window=WINDOW, reward={"calmar": 1.0}), SMALL_MLP),
    "positions": (
        EnvConfig(action="positions", positions=(-1.0, 0.0, 1.0), allow_short=True, window=WINDOW),
        SMALL_MLP,
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_later_bars_change_nothing(name: str, tmp_path: Path) -> None:
    """JSON of the same date: bars appended, the later ones wild, or cut off at the date."""
    env, network = WORLDS[name]
    place = make_place(tmp_path, env, network)
    policy = Policy.load(place.bundle)
    answers = {policy.infer_date(DAY).to_json()}
    bars = weekday_bars(BARS + 30, place.table.symbols, volatility=0.01)
    at = int(np.searchsorted(bars.time, np.datetime64(DAY)))
    same = {leaf: getattr(bars, leaf).copy() for leaf in ("open", "high", "low", "close", "volume")}
    for leaf in same:  # the same bars up to the date: the walks of two lengths differ
        given = getattr(weekday_bars(symbols=place.table.symbols), leaf)
        same[leaf][: at + 1], same[leaf][at + 1 :] = given[: at + 1], same[leaf][at + 1 :] * 7
    for until in (None, at + 1, at + 2):
        write_panel(place.data, bars._replace(**same), until)
        answers.add(policy.infer_date(DAY).to_json())
    assert len(answers) == 1
    raw = [[row["raw_action"] for row in json.loads(each)["symbols"]] for each in answers]
    assert np.isfinite(raw).all()


def test_a_symbol_that_is_listed_later_changes_nothing(tmp_path: Path) -> None:
    place = make_place(tmp_path)
    other = tmp_path / "other.csv"
    policy = Policy.load(place.bundle)
    more = weekday_bars(BARS + 5, (*SYMBOLS, "EEE"))
    answers = set()
    for symbols in (4, 5):
        late = more.close.copy()
        late[: BARS - 20, 4] = np.nan
        leaves = {leaf: getattr(more, leaf)[:, :symbols] for leaf in ("open", "high", "low", "volume")}
        write_panel(other, more._replace(symbols=more.symbols[:symbols], close=late[:, :symbols], **leaves))
        answers.add(policy.infer_date(DAY, str(other), allow_outside=True).to_json())
    assert len(answers) == 1
    last = policy.infer_date(None, str(other), allow_outside=True, max_age="off")
    assert list(last.frame["symbol"]) == [*SYMBOLS, "EEE"]


@pytest.mark.parametrize("name", WORLDS)
def test_it_decides_as_the_backtester_at_that_bar(name: str, tmp_path: Path) -> None:
    """The same account, at bars of a backtest: the action, and the order that the limits leave of it."""
    env, network = WORLDS[name]
    place = make_place(tmp_path, env, network)
    bundle = load_bundle(place.bundle)
    policy, table = make_policy(bundle), place.table
    first = table.ranges["all"].first + 5
    span = Range(first, first + 30)
    result = run_backtest(table, span, bundle.manifest.env, policy_actor(policy, table, span))
    book, params = rule_book(env), rule_params(env, table.symbols)
    start = open_account(np, book, np.zeros(len(table.symbols)))
    accounts = [start, *(step.account for step in result.steps)]
    for k in (0, 7, 29):
        market = market_as_of(bundle.manifest, Asked(table.time[first + k]))
        made = recommend(policy, bundle.manifest.env, market.table, accounts[k])
        step = result.steps[k]
        acted = np.broadcast_to(step.action, len(table.symbols))
        np.testing.assert_allclose(made.frame["raw_action"], acted, rtol=1e-5, atol=1e-6)
        known = market_row(table, first + k)[0]
        orders = book.decode(np, np.asarray(step.action), accounts[k], known, params)
        tickets = limit(np, orders, accounts[k], known, params, short=book.allow_short, lots=book.lots)
        weight = (tickets.reducing + tickets.increasing) / equity_of(np, accounts[k])
        found, room = made.frame["order_weight"].to_numpy(), 2e-3 if name == "weights" else 1e-6
        held = np.abs(accounts[k].position / equity_of(np, accounts[k]))
        if k == 29 and np.sum(held + np.abs(weight)) > float(params.max_leverage) * 0.99 and name.startswith("panel"):
            assert np.all(np.abs(found) <= np.abs(weight) + room), "the leverage limit binds at the fill"
        else:
            np.testing.assert_allclose(found, weight, atol=room)
        assert made.equity == pytest.approx(result.equity[k])


def test_holdings_in_money_are_the_account(tmp_path: Path) -> None:
    """Cash, quantities, entry prices, idle bars, peak and accumulators of an account give its decision."""
    place = make_place(tmp_path, PANEL.model_copy(update={"reward": {"calmar": 1.0}}))
    bundle = load_bundle(place.bundle)
    policy, table, env = make_policy(bundle), place.table, bundle.manifest.env
    first = table.ranges["all"].first
    span = Range(first, first + 25)
    result = run_backtest(table, span, env, policy_actor(policy, table, span))
    account, bar = result.steps[-1].account, span.last
    quantity = account.position * result.capital / table.mark[bar]
    rows = zip(table.symbols, quantity, account.basis * result.capital / quantity, account.idle, strict=True)
    held = Holdings(
        cash=float(account.cash * result.capital),
        positions={symbol: Position(float(q), float(entry), float(idle)) for symbol, q, entry, idle in rows},
        peak_equity=float(account.peak_equity * result.capital),
        reward_memory=tuple(map(float, account.memory)),
    )
    market = market_as_of(bundle.manifest, Asked(table.time[bar])).table
    one, two = recommend(policy, env, market, account), recommend(policy, env, market, held)
    np.testing.assert_allclose(one.frame["raw_action"], two.frame["raw_action"], rtol=1e-6)
    np.testing.assert_allclose(one.frame["held_quantity"], quantity, rtol=1e-9)
    other = Holdings(held.cash, {name: Position(each.quantity) for name, each in held.positions.items()})
    assert np.any(recommend(policy, env, market, other).frame["raw_action"] != two.frame["raw_action"])


def test_targets_costs_and_weights_add_up(tmp_path: Path) -> None:
    """By hand: commission 1 %, spread and slippage 30 basis points, in money of the close."""
    costs = {"buy_percent": 1.0, "sell_percent": 1.0, "half_spread_bps": 20.0, "slippage_bps": 10.0}
    place = make_place(tmp_path, EnvConfig.model_validate(PANEL.model_dump() | {"costs": costs}))
    made = Policy.load(place.bundle).infer_date(DAY, account={"cash": 3000.0, "positions": {"AAA": 20, "CCC": -10}})
    frame = made.frame.set_index("symbol")
    price = weekday_bars().close[np.searchsorted(weekday_bars().time, np.datetime64(DAY))]
    np.testing.assert_allclose(frame["reference_price"], price)
    held = np.array([20.0, 0.0, -10.0, 0.0])
    np.testing.assert_allclose(frame["held_quantity"], held)
    equity = 3000.0 + held @ price
    assert made.equity == pytest.approx(equity)
    wanted = np.clip(frame["raw_action"], -1, 1) * 0.1 * equity
    np.testing.assert_allclose(frame["order_quantity"], wanted / price)
    np.testing.assert_allclose(frame["target_quantity"], held + frame["order_quantity"])
    np.testing.assert_allclose(frame["fees"], np.abs(wanted) * 0.01)
    np.testing.assert_allclose(frame["slippage"], np.abs(wanted) * 0.003)
    left = equity - np.abs(wanted).sum() * 0.013
    np.testing.assert_allclose(frame["target_weight"], frame["target_quantity"] * price / left)
    assert [frame.loc[s, "action"] for s in SYMBOLS] == [{1: "buy", -1: "sell"}[int(np.sign(w))] for w in wanted]
    assert (made.cash, list(frame["note"])) == (3000.0, [""] * 4)
    assert (frame["deviation"] > 0).all()
    assert frame["probability"].isna().all()


def test_lots_limits_and_missing_prices_are_said(tmp_path: Path) -> None:
    env = PANEL.model_copy(update={"lot_size": 5.0, "max_position_percent": 6.0})
    bars = weekday_bars()
    at = int(np.searchsorted(bars.time, np.datetime64(DAY)))
    bars.close[at, 1] = np.nan
    place = make_place(tmp_path, env, bars=bars)
    frame = Policy.load(place.bundle).infer_date(DAY).frame.set_index("symbol")
    np.testing.assert_array_equal(frame["order_quantity"] % 5, 0)
    assert frame.loc["BBB", "note"] == "not tradable: no price at this bar"
    assert frame.loc["BBB", "action"] == "hold"
    assert frame.loc["BBB", "reference_price"] == pytest.approx(bars.close[at - 1, 1])
    assert "a limit makes it less than the action asks for" in set(frame["note"])


def test_after_a_split_quantities_are_todays(tmp_path: Path) -> None:
    """A 4:1 split halves nothing but the unit: the reference is the price of the day, and the quantity fits it."""
    bars = weekday_bars()
    at = int(np.searchsorted(bars.time, np.datetime64("2020-12-01")))
    split = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close")}
    for leaf in split.values():
        leaf[at:, 0] /= 4
    place = make_place(tmp_path)
    whole = Policy.load(place.bundle).infer_date(DAY, account={"positions": {"AAA": 8.0}}).frame.set_index("symbol")
    events = tmp_path / "events.csv"
    events.write_text("symbol,date,kind,value\nAAA,2020-12-01,split,4\nAAA,2021-03-01,split,10\n")
    write_panel(tmp_path / "split.csv", bars._replace(**split))
    load = MARKET.load.model_copy(update={"events": str(events)})
    policy = Policy.load(place.bundle)
    held = {"positions": {"AAA": 32.0}}
    made = policy.infer_date(DAY, str(tmp_path / "split.csv"), held, load=load).frame.set_index("symbol")
    np.testing.assert_allclose(made.loc["AAA", "reference_price"] * 4, whole.loc["AAA", "reference_price"])
    for name in ("held_quantity", "order_quantity", "target_quantity"):
        np.testing.assert_allclose(made.loc["AAA", name], 4 * whole.loc["AAA", name], rtol=1e-4)
    np.testing.assert_allclose(made["target_weight"], whole["target_weight"], rtol=1e-4)


def test_asking_about_the_test_range_is_recorded_once(tmp_path: Path) -> None:
    """Of the data of training only; validation leaves no trace, other data neither."""
    place, ledger = make_place(tmp_path), tmp_path / trials.NAME
    policy = Policy.load(place.bundle)
    until = place.table.config.split.validation_until
    policy.infer_date(until)
    policy.infer_date(DAY, str(write_panel(tmp_path / "other.csv", weekday_bars(), BARS - 1)))
    assert not ledger.exists()
    for _ in range(2):
        policy.infer_date(DAY)
    (entry,) = trials.read(ledger)
    at = int(np.searchsorted(place.table.time, np.datetime64(DAY)))
    assert (entry.event, entry.split, entry.range) == ("infer", "test", (at, at))
    assert entry.data_sha256 == place.table.data_hash
    policy.infer_date("2021-02-11")
    assert len(trials.read(ledger)) == 2


def test_an_intraday_day_means_its_last_bar(tmp_path: Path) -> None:
    bars = weekday_bars(600)
    hours = (np.datetime64("2021-03-01T09:00:00") + np.arange(600) * np.timedelta64(1, "h")).astype("datetime64[s]")
    place = make_place(tmp_path, bars=bars._replace(time=hours))
    policy = Policy.load(place.bundle)
    day, last = policy.infer_date("2021-03-20"), policy.infer_date("2021-03-20T23:00")
    assert day.to_json() == last.to_json()
    assert day.time == np.datetime64("2021-03-20T23:00:00")
    assert "close of the bar of 2021-03-20T23:00:00; fills at the next open after it" in day.stamp
    zoned = policy.infer_date("2021-03-20T12:00+02:00")
    assert zoned.time == np.datetime64("2021-03-20T10:00:00")


def test_same_close_and_warnings_are_carried(tmp_path: Path) -> None:
    data = write_panel(tmp_path / "prices.csv", weekday_bars())
    table = load_table(str(data), MarketConfig(**MARKET.model_dump() | {"fill": "same_close"}), WINDOW)
    path = write_random_bundle(tmp_path / "policy.npz", table, PANEL, source=str(data), certificate=None)
    made = Policy.load(path, allow_uncertified=True).infer_date(DAY)
    assert "same_close" in made.warnings[0]
    assert "NOT CERTIFIED" in made.warnings[1]
    assert "fills at that very close" in made.stamp
    assert made.to_csv().count("# warning: ") == 2
    assert json.loads(made.to_json())["warnings"] == list(made.warnings)
    assert str(made).count("warning: ") == 2


def test_a_symbol_that_is_not_listed_yet_is_left_alone(tmp_path: Path) -> None:
    """Of the data of training the panel stays whole, as the backtester has it."""
    bars = weekday_bars()
    for leaf in (bars.open, bars.high, bars.low, bars.close):
        leaf[:300, 3] = np.nan
    place = make_place(tmp_path, PANEL.model_copy(update={"lot_size": 1.0}), bars=bars)
    made = Policy.load(place.bundle).infer_date(DAY)
    row = json.loads(made.to_json())["symbols"][3]
    assert (row["symbol"], row["action"], row["reference_price"], row["target_quantity"]) == ("DDD", "hold", None, 0.0)
    assert row["note"] == "not tradable: no price at this bar"
    with pytest.raises(InputError, match="DDD has no price until then"):
        Policy.load(place.bundle).infer_date(DAY, account={"positions": {"DDD": 1}})
