"""Bars of a made-up market as a file: what `--data synthetic:...` starts, since loading data never imports JAX.

`python -m jaxtrade.envs.synthetic_command REQUEST.json OUT.npz [SOURCE.npz]`
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtrade.envs.processes import Increments, Prices, bootstrap, simulate, to_prices
from jaxtrade.market.process_kinds import PROCESSES, Shape


def make(request: dict[str, Any], source: Increments | None = None) -> Prices:
    """Return the bars of a request, leaves [T, N].

    Args:
        request: kind, seed, bars, symbols, price, and process and shape, or block.
        source: Increments to draw from, for the kind bootstrap.
    """
    key = jax.random.key(request["seed"], impl="threefry2x32")
    bars, price = request["bars"], jnp.asarray(request["price"], jnp.float32)
    if source is not None:
        drawn = partial(bootstrap, bars=bars)
        return jax.jit(lambda *given: to_prices(drawn(*given), price))(key, source, request["block"])
    process, shape = PROCESSES[request["kind"]](**request["process"]), Shape(**request["shape"])
    path = partial(simulate, bars=bars, symbols=request["symbols"])
    return jax.jit(lambda *given: to_prices(path(*given), price))(key, process, shape)


def main(arguments: list[str]) -> int:
    """Read the request, write the bars."""
    request, out, *source = map(Path, arguments)
    increments = None
    if source:
        with np.load(source[0], allow_pickle=False) as held:
            increments = Increments(*(jnp.asarray(held[name], jnp.float32) for name in Increments._fields))
    prices = make(json.loads(request.read_text("utf-8")), increments)
    with out.open("wb") as file:
        np.savez(file, **{name: np.asarray(leaf) for name, leaf in prices._asdict().items()})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
