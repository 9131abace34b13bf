"""A bundle that is missing, damaged or of another kind is refused with the reason; a good one is traded."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval_bridge.bundle import Bundle, array_spec, load_bundle
from eval_bridge.policy import make_policy
from jaxtrade.errors import InputError
from tests.helpers.chain import bundle_bytes, price_lines
from tests.helpers.commands import Runner, assert_refused, contents, make_runner
from tests.helpers.price_files import write_lines

Arrays = dict[str, np.ndarray]
KERNEL, BIAS = "actor_out/kernel", "actor_hidden/bias"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    monkeypatch.chdir(tmp_path)
    return make_runner(monkeypatch, capsys)


def good() -> Arrays:
    with np.load(io.BytesIO(bundle_bytes())) as archive:
        return {name: archive[name] for name in archive.files}


def packed(arrays: Arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def with_manifest(change: Callable[[dict[str, Any]], None], arrays: Arrays | None = None) -> bytes:
    """Return the bundle with a changed manifest, and changed arrays whose hashes the manifest knows."""
    changed = good() | (arrays or {})
    manifest = json.loads(changed["__manifest__"].tobytes())
    for name in arrays or {}:
        manifest["arrays"][name] = array_spec(changed[name]).model_dump(mode="json")
    change(manifest)
    return packed(changed | {"__manifest__": np.frombuffer(json.dumps(manifest).encode(), np.uint8)})


def without(name: str) -> bytes:
    return packed({key: array for key, array in good().items() if key != name})


def one_flipped_byte() -> bytes:
    """Return the bundle with a byte of an array's data changed and its checksum made to fit."""
    kernel = bytearray(good()[KERNEL].tobytes())
    kernel[5] ^= 4
    return packed(good() | {KERNEL: np.frombuffer(kernel, np.float32).reshape(good()[KERNEL].shape)})


def flipped_in_the_file() -> bytes:
    """Return the file with one byte of the data changed: the checksum of the archive no longer fits."""
    data = bytearray(bundle_bytes())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        data[archive.getinfo(KERNEL + ".npy").header_offset + 400] ^= 1
    return bytes(data)


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def nothing(manifest: dict[str, Any]) -> None:
    """Change nothing."""


DAMAGED = "damaged or not a policy bundle ("
AGAIN = "Export the policy again"
OLDER = "It was written by another version; export it again"
FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "text": (
        lambda: b"I am a policy.\n",
        DAMAGED + "it is no .npz file, or a part of one). Run python -m train.export",
    ),
    "empty": (lambda: b"", DAMAGED + "it is no .npz file|Run python -m train.export"),
    "half": (
        lambda: bundle_bytes()[: len(bundle_bytes()) // 2],
        DAMAGED + "it is no .npz file, or a part of one|Run python",
    ),
    "all but the end": (lambda: bundle_bytes()[:-30], DAMAGED + "it is no .npz file|Run python -m train.export"),
    "an .npy": (lambda: saved(np.zeros(3)), DAMAGED + "it is no .npz file|Run python -m train.export"),
    "a pickle": (lambda: saved(np.array([{}], object)), DAMAGED + "it is no .npz file|Run python -m train.export"),
    "pickled array": (lambda: packed(good() | {KERNEL: np.array([{}], object)}), DAMAGED + "Object arrays cannot be"),
    "flipped byte": (flipped_in_the_file, DAMAGED + "Bad CRC-32|Run python -m train.export"),
    "flipped, checksum mended": (one_flipped_byte, f"array '{KERNEL}' does not match its SHA-256. The file is damaged"),
    "missing array": (lambda: without(BIAS), f"array '{BIAS}' is missing. {AGAIN}"),
    "missing golden": (lambda: without("golden/value"), f"array 'golden/value' is missing. {AGAIN}"),
    "missing manifest": (lambda: without("__manifest__"), DAMAGED + "'__manifest__'). Run python -m train.export"),
    "extra array": (
        lambda: packed(good() | {"more": np.zeros(3)}),
        f"array 'more' is not part of this network. {AGAIN}",
    ),
    "wrong shape": (
        lambda: with_manifest(nothing, {KERNEL: np.zeros((3, 1), np.float32)}),
        "has shape (3, 1), the network needs",
    ),
    "float64": (
        lambda: packed(good() | {KERNEL: good()[KERNEL].astype(float)}),
        f"'{KERNEL}' does not match its SHA-256",
    ),
    "schema": (
        lambda: with_manifest(lambda m: m.update(schema_version=1)),
        f"manifest field 'schema_version': |. {OLDER}",
    ),
    "unknown field": (lambda: with_manifest(lambda m: m.update(more=1)), f"manifest field 'more': |. {OLDER}"),
    "missing field": (lambda: with_manifest(lambda m: m.pop("env")), f"manifest field 'env': Field required. {OLDER}"),
    "bad field": (
        lambda: with_manifest(lambda m: m["env"].update(action="foo")),
        "manifest field 'env.action': |'discrete9'",
    ),
    "no JSON": (
        lambda: packed(good() | {"__manifest__": np.frombuffer(b"hi", np.uint8)}),
        f"manifest: Invalid JSON|{OLDER}",
    ),
    "a JSON list": (
        lambda: packed(good() | {"__manifest__": np.frombuffer(b"[1]", np.uint8)}),
        f"manifest: |object. {OLDER}",
    ),
    "other network": (
        lambda: with_manifest(lambda m: m["network"].update(hidden=99)),
        "|the network needs (|. " + AGAIN,
    ),
    "short scaler": (
        lambda: with_manifest(lambda m: m["scaler"]["center"].pop()),
        f"the scaler does not fit its 12 features. {AGAIN}",
    ),
    "scaler of 0": (
        lambda: with_manifest(lambda m: m["scaler"].update(spread=[0.0] * 12)),
        f"the scaler does not fit its 12|{AGAIN}",
    ),
    "short feature range": (
        lambda: with_manifest(lambda m: m["feature_range"].pop()),
        f"the feature_range does not fit its 12 features. {AGAIN}",
    ),
    "feature range turned around": (
        lambda: with_manifest(lambda m: m.update(feature_range=[[1.0, -1.0]] * 12)),
        f"the feature_range does not fit its 12|{AGAIN}",
    ),
    "golden too short": (
        lambda: with_manifest(nothing, {"golden/rows": good()["golden/rows"][:2]}),
        f"array 'golden/rows' has shape (2, 1, 12), its network asks for (20, 1, 12). {AGAIN}",
    ),
    "golden views": (
        lambda: with_manifest(nothing, {"golden/assets": good()["golden/assets"][:, :, :2]}),
        f"array 'golden/assets' has shape (4, 1, 2), its network asks for (4, 1, 4). {AGAIN}",
    ),
}


@pytest.mark.parametrize("what", FILES)
def test_bad_bundles(tmp_path: Path, run: Runner, what: str) -> None:
    make, pieces = FILES[what]
    (tmp_path / "policy.npz").write_bytes(make())
    before = contents(tmp_path)
    assert_refused(run("backtest", "policy.npz"), "policy.npz: |" + pieces)
    assert contents(tmp_path) == before


def test_a_missing_bundle_and_a_run_without_one(tmp_path: Path, run: Runner) -> None:
    (tmp_path / "old").mkdir()
    assert_refused(
        run("backtest", "none.npz"), "none.npz: no such policy bundle. Train first, or run python -m train.export"
    )
    assert_refused(
        run("backtest", "old"), "old: holds no policy.npz. Train to the end, or run python -m train.export RUN"
    )
    assert sorted(contents(tmp_path)) == ["old"]


def test_another_answer_than_the_trainers_is_refused(tmp_path: Path, run: Runner) -> None:
    """Arrays and hashes fit, but the parameters are not those that gave the golden answers."""
    write_lines(tmp_path / "prices.csv", price_lines())
    (tmp_path / "policy.npz").write_bytes(with_manifest(nothing, {KERNEL: good()[KERNEL] * 1.01}))
    before = contents(tmp_path)
    assert_refused(
        run("backtest", "policy.npz", "--data", "prices.csv"), "golden test differs by |. Export the policy again"
    )
    assert contents(tmp_path) == before


def test_a_good_bundle_is_traded(tmp_path: Path, run: Runner) -> None:
    write_lines(tmp_path / "prices.csv", price_lines())
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "policy.npz").write_bytes(with_manifest(nothing))
    ran = run("backtest", "old", "--data", "prices.csv")
    assert (ran.code, ran.err) == (0, "")
    made = set(contents(tmp_path / "old" / "backtest" / "test"))
    assert made >= {"metrics.json", "provenance.json", "equity.csv", "trades.csv", "orders.csv", "report.html"}


def test_bad_data_for_a_good_bundle(tmp_path: Path, run: Runner) -> None:
    (tmp_path / "policy.npz").write_bytes(bundle_bytes())
    write_lines(tmp_path / "short.csv", price_lines()[:100])
    write_lines(tmp_path / "text.csv", [*price_lines()[:-1], "2010-01-01,1,1,1,x,1"])
    before = contents(tmp_path)
    for data, pieces in {
        "none.csv": "none.csv: no such file or folder|Check the path",
        "text.csv": "E-DATA-020 text.csv row 601 (2010-01-01T00:00:00Z) column 'close' symbol text: 'x' is no number",
        "short.csv": "range 'test': holds no decision: 99 bars, 159 of them needed as history|give more bars",
    }.items():
        assert_refused(run("backtest", "policy.npz", "--data", data), pieces)
    assert contents(tmp_path) == before


def same(one: Bundle, other: Bundle) -> bool:
    arrays = zip(
        (*one.params.items(), *one.golden.items()), (*other.params.items(), *other.golden.items()), strict=True
    )
    equal = all(a == b and np.array_equal(x, y) for (a, x), (b, y) in arrays)
    return equal and one.manifest == other.manifest


def test_no_flipped_byte_goes_unseen(tmp_path: Path) -> None:
    """Anywhere in the file: either it is refused, or it is one of the bytes that mean nothing, such as a date."""
    path, random, refused = tmp_path / "policy.npz", np.random.default_rng(0), 0
    path.write_bytes(bundle_bytes())
    whole = load_bundle(path)
    for place in random.integers(0, len(bundle_bytes()), 250):
        data = bytearray(bundle_bytes())
        data[place] ^= 1 << int(random.integers(8))
        path.write_bytes(data)
        try:
            found = load_bundle(path)
            make_policy(found)
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert same(found, whole), f"byte {place}"
    assert refused > 200


def test_no_cut_goes_unseen(tmp_path: Path) -> None:
    path = tmp_path / "policy.npz"
    for place in np.linspace(0, len(bundle_bytes()) - 1, 100, dtype=int):
        path.write_bytes(bundle_bytes()[:place])
        with pytest.raises(InputError, match=r"policy.npz: damaged or not a policy bundle"):
            load_bundle(path)
