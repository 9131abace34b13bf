"""The policy bundle: one .npz file of float32 arrays with a JSON manifest inside. No pickle, no code."""

import hashlib
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from eval_bridge.spec import ArraySpec, Manifest, parameter_shapes
from jaxtrade.assemble import rule_book
from jaxtrade.errors import InputError
from jaxtrade.market.scales import scaler_from

FloatArray = npt.NDArray[np.float32]
NAME = "policy.npz"  # in a run's folder
MANIFEST, GOLDEN = "__manifest__", "golden/"
GOLDEN_NAMES = ("rows", "assets", "account", "output", "value")
GOLDEN_TOLERANCE = 1e-5
# What zipfile, zlib and NumPy raise for a file that is cut, altered or something else.
DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Bundle(NamedTuple):
    """A policy as it lies in its file."""

    manifest: Manifest
    params: dict[str, FloatArray]
    golden: dict[str, FloatArray]  # inputs, and what the trainer's own network answered


def bundle_path(path: Path) -> Path:
    """Return the bundle of a run folder, or the path itself.

    Raises:
        InputError: The folder holds none.
    """
    if not path.is_dir():
        return path
    if not (path / NAME).exists():
        raise InputError(path, f"holds no {NAME}", "Train to the end, or run python -m train.export RUN")
    return path / NAME


def require_certificate(path: Path, manifest: Manifest) -> None:
    """Refuse a bundle whose engines or forward passes were not shown to agree.

    Raises:
        InputError: It has no certificate, or one that failed.
    """
    if manifest.uncertified:
        raise InputError(path, f"not certified: {manifest.uncertified}", "Export it again, or use --allow-uncertified")


def array_spec(array: npt.NDArray[Any]) -> ArraySpec:
    """Return shape, dtype and SHA-256 of an array."""
    digest = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return ArraySpec(shape=array.shape, dtype=str(array.dtype), sha256=digest)


def save_bundle(
    path: Path, fields: dict[str, Any], params: dict[str, FloatArray], golden: dict[str, FloatArray]
) -> None:
    """Write a bundle: `fields` are the manifest's, less the arrays. The file appears whole or not at all."""
    arrays = params | {GOLDEN + name: array for name, array in golden.items()}
    arrays = {name: np.array(array, np.float32, order="C") for name, array in arrays.items()}
    manifest = Manifest(schema_version=4, **fields, arrays={name: array_spec(array) for name, array in arrays.items()})
    text = np.frombuffer(manifest.model_dump_json().encode(), np.uint8)
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".npz.tmp")
    except OSError as error:
        what = f"no bundle can be written here ({error.strerror})"
        raise InputError(path.parent, what, "Name a file in a folder that exists") from None
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **{MANIFEST: text}, **arrays)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_bundle(path: Path) -> Bundle:
    """Read and verify a bundle.

    Raises:
        InputError: It is missing, damaged, of another schema, or its arrays are not those of its network.
    """
    if not path.is_file():
        raise InputError(path, "no such policy bundle", "Train first, or run python -m train.export RUN")
    try:
        arrays = _read_arrays(path)
        manifest = Manifest.model_validate_json(arrays.pop(MANIFEST).tobytes())
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        what = f"manifest field '{field}': {first['msg']}" if field else f"manifest: {first['msg']}"
        raise InputError(path, what, "It was written by another version; export it again") from None
    except DAMAGE as error:
        text = " ".join(str(error).split())
        raise InputError(path, f"damaged or not a policy bundle ({text})", "Run python -m train.export RUN") from None
    memory = len(rule_book(manifest.env).memory)
    _verify(path, manifest, arrays, memory)
    _verify_sizes(path, manifest, memory, {name: arrays[GOLDEN + name].shape for name in GOLDEN_NAMES})
    golden = {name: arrays.pop(GOLDEN + name) for name in GOLDEN_NAMES}
    return Bundle(manifest, arrays, golden)


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise zipfile.BadZipFile("it is no .npz file, or a part of one")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}


def _verify(path: Path, manifest: Manifest, arrays: dict[str, FloatArray], memory: int) -> None:
    """Check names, shapes and hashes."""
    sizes = len(manifest.data.symbols), len(manifest.feature_names), memory
    shapes = parameter_shapes(manifest.network, manifest.env.choices, *sizes)
    expected = set(shapes) | {GOLDEN + name for name in GOLDEN_NAMES}
    for names, verb in (
        (expected - set(arrays), "is missing"),
        (set(arrays) - expected, "is not part of this network"),
    ):
        if names:
            raise InputError(path, f"array '{min(names)}' {verb}", "Export the policy again")
    for name, array in arrays.items():
        if name in shapes and array.shape != shapes[name]:
            what = f"array '{name}' has shape {array.shape}, the network needs {shapes[name]}"
            raise InputError(path, what, "Export the policy again")
        if manifest.arrays.get(name) != array_spec(array):
            raise InputError(path, f"array '{name}' does not match its SHA-256", "The file is damaged; export it again")


def _verify_sizes(path: Path, manifest: Manifest, memory: int, golden: dict[str, tuple[int, ...]]) -> None:
    """Check that the scaler and the golden vectors fit the network's inputs and outputs."""
    features, reach = len(manifest.feature_names), manifest.network.reach
    if manifest.env.window < reach:
        raise InputError(
            path, f"env.window {manifest.env.window} is below the network's reach {reach}", "Export it again"
        )
    try:
        scaler = scaler_from(manifest.scaler)
    except (KeyError, TypeError, ValueError):
        scaler = None
    if scaler is None or not features == len(scaler.center) == len(scaler.spread) or not np.all(scaler.spread > 0):
        raise InputError(path, f"the scaler does not fit its {features} features", "Export the policy again")
    if len(manifest.feature_range) != features or any(low > high for low, high in manifest.feature_range):
        raise InputError(path, f"the feature_range does not fit its {features} features", "Export the policy again")
    rows, symbols = (*golden["rows"], 0, 0)[:2]
    bars = max(rows - reach + 1, 1)
    outputs = manifest.env.choices or symbols
    shapes = {
        "rows": (bars + reach - 1, symbols, features),
        "assets": (bars, symbols, 4),
        "account": (bars, 3 + memory),
        "output": (bars, outputs),
        "value": (bars,),
    }
    for name, shape in shapes.items():
        if golden[name] != shape:
            what = f"array '{GOLDEN}{name}' has shape {golden[name]}, its network asks for {shape}"
            raise InputError(path, what, "Export the policy again")
