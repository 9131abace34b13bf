"""A tree of arrays as one row of bytes, and back; the names, dtypes and shapes that belong to it."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

Leaves = dict[str, list[Any]]  # name -> [dtype, shape], in the order of the tree


def describe(tree: Any) -> Leaves:
    """Return the name, dtype and shape of each leaf, as JSON has them."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): [str(leaf.dtype), list(leaf.shape)]
        for path, leaf in leaves
    }


def shapes_here(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the shapes and dtypes of what a function would return, to lie on the first device."""
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    shapes = jax.eval_shape(function, *arguments)
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), shapes)


def is_key(leaf: Any) -> bool:
    """Return whether a leaf holds typed keys of random numbers."""
    return bool(jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def to_host(tree: Any) -> dict[str, np.ndarray]:
    """Return the leaves by name, in the memory of the host; keys as the numbers they are made of."""
    plain = [jax.random.key_data(leaf) if is_key(leaf) else leaf for leaf in jax.tree.leaves(tree)]
    return dict(zip(describe(tree), map(np.asarray, jax.device_get(plain)), strict=True))


def pack(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the bytes of all arrays, one after another, [bytes] uint8."""
    rows = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays.values()]
    return np.concatenate([np.zeros(0, np.uint8), *rows])


def parameters_sha256(arrays: Mapping[str, np.ndarray]) -> str:
    """Return the hash of the parameters' bytes, in the order of the tree."""
    return hashlib.sha256(pack(_parameters(arrays))).hexdigest()


def first_not_finite(arrays: Mapping[str, np.ndarray]) -> str | None:
    """Return the name of the first parameter that holds NaN or infinity."""
    return next((name for name, array in _parameters(arrays).items() if not np.isfinite(array).all()), None)


def _parameters(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: array for name, array in arrays.items() if "params" in name.split("/")[:2]}


def unpack(data: np.ndarray, like: Any) -> Any:
    """Return the tree of `like` with the bytes of `pack`, on the devices of its leaves.

    Raises:
        ValueError: There are more bytes than the leaves hold, or fewer.
    """
    leaves, treedef = jax.tree.flatten(like)
    plain = [jax.eval_shape(jax.random.key_data, leaf) if is_key(leaf) else leaf for leaf in leaves]
    sizes = [leaf.size * leaf.dtype.itemsize for leaf in plain]
    if sum(sizes) != data.nbytes:
        raise ValueError(f"{data.nbytes} bytes, not {sum(sizes)}")
    parts = np.split(data, np.cumsum(sizes)[:-1])
    arrays = [part.view(each.dtype).reshape(each.shape) for part, each in zip(parts, plain, strict=True)]
    return jax.tree.unflatten(treedef, map(_place, arrays, leaves))


def _place(array: np.ndarray, like: Any) -> jax.Array:
    """Put an array where `like` lies; its bytes are copied, since they may be part of a larger array."""
    value = jax.random.wrap_key_data(array) if is_key(like) else array.copy()
    return jax.device_put(value, getattr(like, "sharding", None))


def differences(saved: Leaves, here: Leaves) -> list[str]:
    """Return what differs between the leaves of a checkpoint and those of the learner, by name."""
    found = []
    for name in here | saved:
        label = name.removeprefix("params/")
        if name not in saved:
            found.append(f"{label} is not in the checkpoint")
        elif name not in here:
            found.append(f"{label} is in the checkpoint and not here")
        elif saved[name] != here[name]:
            (dtype, shape), (dtype_here, shape_here) = saved[name], here[name]
            old, new = (dtype, dtype_here) if shape == shape_here else (tuple(shape), tuple(shape_here))
            found.append(f"{label} is {old} in the checkpoint and {new} here")
    return found
