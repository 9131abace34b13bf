"""Functions of candidates, compiled once and run on several devices at a time, an equal share of the candidates each.

Before and after a call everything lies on the first device: what judges, saves and exports does not know the others.
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
        The number of devices asked for; 0 where the user has said it, or JAX runs already.
    """
    if FLAG in os.environ.get("XLA_FLAGS", "") or "JAX_NUM_CPU_DEVICES" in os.environ:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = shares(candidates, cores)
    try:
        jax.config.update("jax_num_cpu_devices", count)
    except RuntimeError:
        return 0
    return count


def shares(candidates: int, devices: int) -> int:
    """Return into how many equal shares to divide candidates: the most that there are devices for."""
    return max(count for count in range(1, min(candidates, devices) + 1) if candidates % count == 0)


def share_devices(candidates: int) -> list[jax.Device]:
    """Return the devices that candidates are shared out among."""
    devices = jax.devices()
    return devices[: shares(candidates, len(devices))]


class Spread:
    """A function `(candidates, market, ...) -> results` that is compiled once and spread over devices.

    The second argument is kept on the devices for as long as it is the same object.
    """

    def __init__(
        self, function: Callable[..., Any], axes: tuple[Any, ...], results: Any, consumed: tuple[int, ...] = ()
    ) -> None:
        """Take a function; it is compiled for the first arguments that it is called with, if not before.

        Args:
            function: Of any number of candidates. Devices do not talk to each other.
            axes: Prefix of the tree of arguments: 0 where leaves have the candidates' axis in front, None where all
                candidates share them, as for `vmap`.
            results: The same of what is returned; shares with an axis are put together in the candidates' order.
            consumed: Arguments whose memory the results may take.
        """
        self._function, self._axes, self._axes_of_results, self._consumed = function, axes, results, consumed
        self._program: Any = None
        self._places: Any = None
        self._kept: tuple[Any, Any] = (None, None)
        self.bytes = 0

    def compile(self, *arguments: Any) -> Any:
        """Compile for arguments of such shapes; return those of the results."""
        function, shapes = self._function, jax.eval_shape(lambda *given: given, *arguments)
        devices = share_devices(_count(self._axes[0], shapes[0]))
        self._home, self._shapes = devices[0], jax.eval_shape(function, *shapes)
        donated = self._consumed if len(devices) == 1 else ()  # copies of the host's memory cannot be donated
        if len(devices) > 1:
            mesh = Mesh(np.array(devices), (AXIS,))
            specs, outs = _specs(self._axes), _specs(self._axes_of_results)
            self._places = jax.tree.map(lambda spec: NamedSharding(mesh, spec), specs, is_leaf=_is_spec)
            mapped = jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=outs, check_vma=False)
            function, shapes = _bare(mapped, shapes), jax.eval_shape(_bare_keys, shapes)
        self._program = jax.jit(function, donate_argnums=donated, in_shardings=self._places).lower(*shapes).compile()
        self.bytes = program_bytes(self._program) * (len(devices) if self._home.platform == "cpu" else 1)
        return self._shapes

    def __call__(self, *arguments: Any) -> Any:
        """Call it with what lies on the first device, or on the host."""
        if self._program is None:
            self.compile(*arguments)
        if self._places is None:
            return self._program(*arguments)
        first, market, *others = arguments
        if self._kept[0] is not market:
            self._kept = market, self._place(market, 1)
        placed = [self._place(each, number) for number, each in enumerate(others, start=2)]
        results = self._program(self._place(first, 0), self._kept[1], *placed)
        return _typed_keys(jax.device_put(results, self._home), self._shapes)

    def _place(self, argument: Any, number: int) -> Any:
        return jax.device_put(jax.device_get(_bare_keys(argument)), self._places[number])


def _count(axes: Any, shapes: Any) -> int:
    """Return how many candidates there are."""
    own = jax.tree.map(lambda axis, part: None if axis is None else part, axes, shapes, is_leaf=_is_none)
    return int(jax.tree.leaves(own)[0].shape[0])


def _is_none(leaf: Any) -> bool:
    return leaf is None


def _is_spec(leaf: Any) -> bool:
    return isinstance(leaf, PartitionSpec)


def _specs(axes: Any) -> Any:
    """Return where leaves lie: cut along their first axis, or whole on every device."""
    spec = {0: PartitionSpec(AXIS), None: PartitionSpec()}
    return jax.tree.map(spec.__getitem__, axes, is_leaf=_is_none)


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
