"""`--data synthetic:...`: what may be asked for, the same bars every time, and a bootstrap of training bars alone."""

import importlib.util
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jaxtrade.config import LoadConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.envs.synthetic_command import make
from jaxtrade.errors import InputError
from jaxtrade.market.bars import Bars, load
from jaxtrade.market.sources import synthetic
from jaxtrade.market.sources.synthetic import COLUMNS, increments, read
from jaxtrade.market.sources.synthetic_spec import LIMITS, parse_spec, times
from tests.helpers.price_files import csv_lines

pytestmark = pytest.mark.optimized  # compared with what another process compiled

WRONG = {
    "gmb": "Did you mean 'gbm'?",
    "": "is no kind",
    "gbm?volatilty=0.1": "Did you mean 'volatility'?",
    "gbm?theta=1": "'theta': is unknown",
    "gbm?volatility": "has no value",
    "gbm?volatility=": "has no value",
    "gbm?seed=1&seed=2": "is given twice",
    "gbm?volatility=much": "'much' is not a number",
    "gbm?volatility=nan": "nan is out of range",
    "gbm?drift=inf": "inf is out of range",
    "gbm?volatility=0": "above 0",
    "gbm?bars=1": "at least 2",
    "gbm?bars=10.5": "not a whole number",
    "gbm?bars=100000000&symbols=2": "is too much",
    "gbm?seed=-1": "out of range",
    "gbm?interval=1fortnight": "no interval",
    "gbm?interval=0d": "no interval",
    "gbm?interval=9w&bars=90000": "between 1800 and 2200",
    "gbm?start=yesterday": "no date",
    "gbm?of=bars.csv": "'of': is unknown",
    "ou?theta=0": "above 0",
    "ou?theta=-0.1": "above 0",
    "garch?alpha=0.2&beta=0.8": "alpha + beta is 1",
    "garch?alpha=-0.1": "at least 0",
    "regimes?stay=0.9,1": "below 1",
    "regimes?stay=0.9,0.9,0.9": "numbers of regimes differ",
    "jumps?rate=11": "at most 10",
    "bootstrap": "of=bars.csv",
    "bootstrap?of=synthetic:gbm": "names a made-up market",
    "bootstrap?of=bars.csv&block=0.5": "at least 1",
    "bootstrap?of=bars.csv&until=1.5": "between 0 and 1",
    "bootstrap?of=nowhere.csv": "nowhere.csv",
}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JAXTRADE_TABLE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "synthetic"


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **named: Any) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", refuse)


@pytest.mark.parametrize("spec", WRONG)
def test_wrong_specs_are_refused_in_a_line(spec: str, no_process: None) -> None:
    with pytest.raises(InputError) as caught:
        read(spec, LoadConfig())
    assert WRONG[spec] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "synthetic:" in str(caught.value) or "nowhere" in spec


def test_every_number_has_its_limits() -> None:
    for kind in ("gbm", "ou", "regimes", "garch", "jumps"):
        spec = parse_spec(kind)
        for name, value in (spec.process | spec.shape | {"price": spec.price, "bars": spec.bars}).items():
            assert all(LIMITS[name].holds(number) for number in (value if isinstance(value, tuple) else (value,)))
    assert str(LIMITS["stay"]) == "at least 0 and below 1"


def test_times() -> None:
    assert list(times(parse_spec("gbm?bars=2"), 86_400).astype(str)) == ["2019-12-30T00:00:00", "2019-12-31T00:00:00"]
    spec = parse_spec("gbm?bars=3&interval=90m&start=2020-03-01T10:00%2B02:00")
    assert spec.seconds == 5400
    assert str(times(spec, spec.seconds)[-1]) == "2020-03-01T11:00:00"


def test_without_jax(monkeypatch: pytest.MonkeyPatch, no_process: None) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="E-DATA-012"):
        read("gbm", LoadConfig())


def test_the_same_spec_is_the_same_bars(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = "ou?bars=80&symbols=2&seed=5&theta=0.2&price=50&start=2010-01-01"
    monkeypatch.setenv("JAX_ENABLE_X64", "1")  # the user's settings change nothing
    monkeypatch.setenv("JAX_DEFAULT_PRNG_IMPL", "rbg")
    first = read(spec, LoadConfig())
    assert [reading.symbol for reading in first] == ["S0", "S1"]
    assert first[0].about["format"] == "synthetic (ou)"
    assert "theta=0.2" in first[0].about["parameters"]
    assert len(list(cache.iterdir())) == 1
    assert cache.stat().st_mode & 0o777 == 0o700

    asked = parse_spec(spec)
    request = asked._asdict() | {"symbols": 2}
    here = make(request)
    for n, reading in enumerate(first):
        assert reading.frame.dtypes.unique().tolist() == [np.float64]
        for name in COLUMNS:
            values = reading.frame[name].to_numpy()
            np.testing.assert_array_equal(values, values.astype(np.float32))
            np.testing.assert_array_equal(values, np.asarray(getattr(here, name))[:, n])

    monkeypatch.setattr(subprocess, "run", None)  # from the cache: no process
    for one, other in zip(first, read(spec, LoadConfig()), strict=True):
        assert one.frame.equals(other.frame)
    again = read("ou?seed=5&price=50.0&theta=.2&symbols=2&bars=80", LoadConfig())  # other words, other dates
    np.testing.assert_array_equal(first[0].frame, again[0].frame)


def test_a_damaged_entry_is_made_again(cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    made = {name: np.full((3, 1), number + 1, np.float32) for number, name in enumerate(COLUMNS)}

    def stand_in(where: str, request: Any, source: Any, folder: Path) -> Path:
        np.savez(folder / "bars.npz", **made)
        return folder / "bars.npz"

    monkeypatch.setattr(synthetic, "_make", stand_in)
    whole = read("gbm?bars=3", LoadConfig())[0].frame
    entry = next(cache.iterdir())
    entry.write_bytes(entry.read_bytes()[:100])
    assert read("gbm?bars=3", LoadConfig())[0].frame.equals(whole)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setenv("JAXTRADE_TABLE_CACHE", "off")
    entry.unlink()
    read("gbm?bars=3", LoadConfig())
    assert not list(cache.iterdir())


def test_what_goes_wrong_in_the_process_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "Traceback ...\nMemoryError: too much\n")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **named: failed)
    with pytest.raises(InputError, match=r"could not be made \(MemoryError: too much\)"):
        read("gbm", LoadConfig())


def joined(found: list[Any]) -> dict[str, np.ndarray]:
    return {name: np.stack([reading.frame[name] for reading in found], axis=1) for name in COLUMNS}


def rows_of(found: dict[str, np.ndarray], source: Bars) -> np.ndarray:
    """Return which bar of the source each made-up bar is, by its increments."""
    made = increments(Bars(np.zeros(1), source.symbols, **found))
    given = increments(source)
    distance = sum(np.abs(made[name][:, None] - given[name]).sum(-1) for name in ("overnight", "intraday", "upper"))
    assert np.all(distance.min(axis=1) < 2e-5)
    return distance.argmin(axis=1) + 1


@pytest.fixture
def panel(tmp_path: Path) -> tuple[Path, Bars]:
    """Two symbols, one of which is listed later."""
    bars = random_bars(100, symbols=2, seed=4, volatility=0.02)
    folder = tmp_path / "panel"
    folder.mkdir()
    for n, name in enumerate("AB"):
        one = Bars(bars.time, (name,), *(getattr(bars, column)[:, n : n + 1] for column in COLUMNS))
        lines = csv_lines(one)
        (folder / f"{name}.csv").write_text("\n".join(lines[:1] + lines[1 + 10 * n :]) + "\n")
    return folder, bars._replace(symbols=("A", "B"))


def test_a_bootstrap_draws_from_training_bars_only(panel: tuple[Path, Bars]) -> None:
    folder, source = panel
    found = read(f"bootstrap?of={folder}&bars=400&block=6&seed=1&until=0.6", LoadConfig())
    assert [reading.symbol for reading in found] == ["A", "B"]
    rows = rows_of(joined(found), source)
    assert rows.min() > 10  # where both are listed, less the first bar, which has no close before it
    assert rows.max() == 59  # the last of the first 60 bars
    assert 0.08 < np.mean(np.diff(rows) != 1) < 0.3
    assert "49 bars" in found[0].about["drawn from"]
    with pytest.raises(AssertionError):  # planted: a symbol that draws its own blocks
        made = joined(found)
        rows_of({name: np.stack([leaf[:, 0], np.roll(leaf[:, 1], 1)], 1) for name, leaf in made.items()}, source)


def test_what_a_bootstrap_may_draw(panel: tuple[Path, Bars], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, source = panel
    drawn: list[dict[str, np.ndarray]] = []

    def stand_in(where: str, request: Any, given: Any, work: Path) -> Path:
        drawn.append(given)
        np.savez(work / "bars.npz", **{name: np.ones((3, request["symbols"])) for name in COLUMNS})
        return work / "bars.npz"

    monkeypatch.setattr(synthetic, "_make", stand_in)
    until = source.time[30].astype("datetime64[D]")
    read(f"bootstrap?of={folder}&bars=3&until={until}&symbols=B", LoadConfig())
    assert drawn[-1]["volume"].shape == (20, 1)  # bars 10 to 30, less the first
    read(f"bootstrap?of={folder}&bars=3", LoadConfig())
    assert drawn[-1]["volume"].shape == (59, 2)
    interval = read(f"bootstrap?of={folder}&bars=3", LoadConfig())[0].about["interval"]
    assert interval == "86400 s"
    file = folder / "A.csv"
    file.write_text(file.read_text("utf-8").replace(repr(float(source.volume[50, 0])), "1.5"))
    read(f"bootstrap?of={folder}&bars=3", LoadConfig())  # other bars to draw from: not from the cache
    assert drawn[-1]["volume"][39, 0] == 1.5
    for spec, what in {"symbols=C": "'C' is not in", "until=0.11": "only 1 bars"}.items():
        with pytest.raises(InputError, match=what):
            read(f"bootstrap?of={folder}&bars=3&{spec}", LoadConfig())


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["gbm", "ou", "regimes", "garch", "jumps", "bootstrap?of=sample:nasdaq&bars=3000"])
def test_the_gate_finds_nothing(kind: str) -> None:
    mark = "&" if "?" in kind else "?"
    loaded = load(f"synthetic:{kind}{mark}seed=3")
    assert loaded.report.findings == ()
    assert loaded.bars.close.shape[0] in (2520, 3000)
