"""Functions of candidates, compiled once and run on several devices at a time, an equal share of the candidates each.

Before and after a call everything lies on the first device: what is judged, saved and exported does not know the others.
"""

import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from train.leaves import is_key
from train.memory import program_bytes

AXIS = "device"
FLAG = "xla_force_host_platform_device_count"  # the user's own number of devices


def use_cores(candidates: int) -> int:
    """Let JAX see the cores that candidates can be shared out among as devices; for commands, before JAX starts.

    Returns:
        The number of devices asked for; 0 where the user has said it.
    """
    if FLAG in os.environ.get("XLA_FLAGS", "") or "JAX_NUM_CPU_DEVICES" in os.environ:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = shares(candidates, cores)
    jax.config.update("jax_num_cpu_devices", count)
    return count


def shares(candidates: int, devices: int) -> int:
    """Return into how many equal shares to divide candidates: the most that there are devices for."""
    return max(count for count in range(1, min(candidates, devices) + 1) if candidates % count == 0)


class Spread:
    """A compiled function `(candidates, market, ...) -> results` that is spread over devices.

    The first argument is consumed. The second is kept on the devices for as long as it is the same object.
    """

    def __init__(self, function: Callable[..., Any], axes: tuple[Any, ...], results: Any, arguments: Any) -> None:
        """Compile a function.

        Args:
            function: Of candidates of any number; devices do not talk to each other.
            axes: Prefix of the tree of arguments: 0 where a leaf has the candidates' axis in front, None where all
                candidates share it, as for `vmap`.
            results: The same of what is returned. What has an axis 0 is put together in the order of the candidates.
            arguments: Shapes and dtypes; the first leaf of the first argument tells how many candidates there are.
        """
        count = shares(len(jax.tree.leaves(arguments[0])[0]), len(jax.devices()))
        devices = jax.devices()[:count]
        self._home = devices[0]
        self._kept: tuple[Any, Any] = (None, None)
        self._places: Any = None
        donated: tuple[int, ...] = (0,)
        shapes = jax.eval_shape(lambda *given: given, *arguments)
        self.results = jax.eval_shape(function, *shapes)
        if count > 1:
            mesh, donated = Mesh(np.array(devices), (AXIS,)), ()  # copies on other devices leave nothing to donate
            specs, outs = _specs(axes), _specs(results)
            function = _bare(jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=outs, check_vma=False), shapes)
            self._places = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs, is_leaf=_is_spec)
            shapes = jax.eval_shape(_bare_keys, shapes)
        jitted = jax.jit(function, donate_argnums=donated, in_shardings=self._places)
        self._program = jitted.lower(*shapes).compile()
        self.bytes = program_bytes(self._program) * (count if self._home.platform == "cpu" else 1)

    def __call__(self, *arguments: Any) -> Any:
        """Call it with what lies on the first device, or on the host."""
        if self._places is None:
            return self._program(*arguments)
        first, market, *others = arguments
        if self._kept[0] is not market:
            self._kept = market, self._place(market, 1)
        placed = [self._place(each, number) for number, each in enumerate(others, start=2)]
        results = self._program(self._place(first, 0), self._kept[1], *placed)
        return _typed_keys(jax.device_put(results, self._home), self.results)

    def _place(self, argument: Any, number: int) -> Any:
        return jax.device_put(jax.device_get(_bare_keys(argument)), self._places[number])


def _is_spec(leaf: Any) -> bool:
    return isinstance(leaf, PartitionSpec)


def _specs(axes: Any) -> Any:
    """Return where leaves lie: cut along their first axis, or whole on every device."""
    spec = {0: PartitionSpec(AXIS), None: PartitionSpec()}
    return jax.tree.map(spec.__getitem__, axes, is_leaf=lambda leaf: leaf is None)


def _bare(function: Callable[..., Any], shapes: Any) -> Callable[..., Any]:
    """Return the function with bare keys in its arguments and results: typed ones would be cut by small programs."""

    def bare(*arguments: Any) -> Any:
        return _bare_keys(function(*_typed_keys(arguments, shapes)))

    return bare


def _bare_keys(tree: Any) -> Any:
    """Return a tree with the numbers that its typed keys are made of."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if is_key(leaf) else leaf, tree)


def _typed_keys(tree: Any, like: Any) -> Any:
    """Return a tree with typed keys where `like` has them."""
    return jax.tree.map(lambda leaf, wanted: jax.random.wrap_key_data(leaf) if is_key(wanted) else leaf, tree, like)
