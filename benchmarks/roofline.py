"""What bounds each part, and the share of that bound: `python -m benchmarks.roofline [--quick]`.

The ceilings are measured in the same run: float32 products large and of the parts' own shapes, tanh, random numbers,
memory. A part's bound is the time that its floating-point operations would take at the large product's rate, its tanh
and its random numbers at theirs, one after the other; operations are counted from the sizes, not by the compiler.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.harness import Rate, Report, measure, parse_options, publish
from eval_bridge.spec import NetworkConfig
from jaxtrade.envs.trading import EnvParams, make_env_params
from jaxtrade.market.loading import load_table
from train.config import TrainConfig
from train.learner import draw_minibatches, encode, estimate, make_samples, minibatch_gradient
from train.rollout import collect
from train.state import Setup, TrainState, init_state, make_setup

LOOP = 8  # calls inside one program, so that its memory is touched for the first time only once


class Cost(NamedTuple):
    """Operations of a part."""

    flops: float
    tanh: float = 0.0
    random: float = 0.0  # 32-bit numbers


def repeated(function: Callable[..., Any], *arguments: Any) -> Callable[[], int]:
    """Return work that calls a function LOOP times in one program; each call depends on the one before."""

    def run(*arguments: Any) -> Any:
        def body(carry: jax.Array, _: None) -> tuple[jax.Array, None]:
            first, *rest = arguments
            moved = jax.tree.map(lambda leaf: leaf + carry, first)  # or the compiler would do it once for all
            result = function(moved, *rest)
            return sum(jnp.sum(leaf.ravel()[:1]) for leaf in jax.tree.leaves(result)) * 1e-30, None

        return jax.lax.scan(body, jnp.float32(0), None, length=LOOP)[0]

    program = jax.jit(run)

    def work() -> int:
        jax.block_until_ready(program(*arguments))
        return LOOP

    return work


def ceilings() -> dict[str, tuple[Callable[[], int], float]]:
    """Return the machine's ceilings: work, and the operations in one call of it."""
    key = jax.random.key(0)
    square, small = jax.random.normal(key, (2048, 2048)), jax.random.normal(key, (256, 64))
    kernel, flat = jax.random.normal(key, (64, 256)), jax.random.normal(key, (1 << 16,))
    return {
        "product, 2048 x 2048 x 2048": (repeated(jnp.matmul, square, square), 2 * 2048.0**3),
        "product, 256 x 64 x 256 (an LSTM's step)": (repeated(jnp.matmul, small, kernel), 2 * 256.0 * 64 * 256),
        "product, 4096 x 64 x 64 (the head)": (
            repeated(jnp.matmul, jnp.tile(small, (16, 1)), kernel[:, :64]),
            2 * 4096.0 * 64 * 64,
        ),
        "tanh": (repeated(jnp.tanh, flat), float(flat.size)),
        "random numbers, 32 bits": (
            repeated(
                lambda x: jax.random.bits(jax.random.key(x[0].astype(jnp.int32)), (1 << 16,)) * jnp.uint32(1), flat
            ),
            float(flat.size),
        ),
    }


def head_cost(config: TrainConfig, samples: float, backward: bool) -> Cost:
    """Return the cost of the head on samples of one symbol."""
    width = config.network.head
    products = 7 * 2 * width + 2 * width * width + 2 * width
    return Cost(samples * products * 2 * (3 if backward else 1), samples * 4 * width)


def encoder_cost(config: TrainConfig, features: int, windows: float, backward: bool) -> Cost:
    """Return the cost of the multi-scale LSTM on windows, its input projected once a row, which is neglected."""
    hidden, steps = config.network.hidden, sum(config.network.branches)
    products = hidden * 4 * hidden * (3 if backward else 1) + features * 4 * hidden * backward
    return Cost(windows * steps * products * 2, windows * steps * hidden * (5 + backward))


class Parts(NamedTuple):
    """A network's programs with their arguments."""

    setup: Setup
    state: TrainState
    market: EnvParams
    samples: Any
    steps: jax.Array


def parts_of(kind: str) -> Parts:
    """Return a fresh rollout of the default run with a network."""
    config = TrainConfig(network=NetworkConfig(kind=kind))
    table = load_table(config.data, config.market, config.env.window)
    setup, market = make_setup(config, table.ranges["train"]), make_env_params(table, table.ranges["train"], config.env)
    state = init_state(setup, market)

    def run(state: TrainState) -> tuple[Any, jax.Array]:
        rollout = collect(setup, state, market, jax.random.key(0))[1]
        samples = make_samples(setup, rollout, estimate(setup, state, rollout))
        return samples, draw_minibatches(setup, jax.random.key(1))[0]

    return Parts(setup, state, market, *jax.jit(run)(state))


def subjects() -> dict[str, tuple[Callable[[], int], Cost]]:
    """Return the parts of an update: work, and the cost of one call."""
    mlp, recurrent = parts_of("mlp"), parts_of("multiscale_lstm")
    config, samples = mlp.setup.config, float(mlp.setup.config.samples)
    minibatch, windows = samples / config.ppo.minibatches, float(recurrent.steps.size)
    features = mlp.market.features.shape[-1]

    def walk(params: Any, parts: Parts) -> Any:
        state = parts.state._replace(params=params)
        return collect(parts.setup, state, parts.market, jax.random.key(0))[1]._replace(episodes=None)

    def encoded(params: Any) -> jax.Array:
        return jnp.sum(encode(params, recurrent.setup, recurrent.samples, recurrent.steps))

    def gradient(params: Any) -> Any:
        return minibatch_gradient(params, mlp.setup, mlp.samples, mlp.steps)[0]

    forward = head_cost(config, samples, backward=False)
    return {
        "rollout, mlp": (repeated(lambda p: walk(p, mlp), mlp.state.params), forward._replace(random=2 * samples)),
        "minibatch, head": (repeated(gradient, mlp.state.params), head_cost(config, minibatch, backward=True)),
        "minibatch, multiscale_lstm encoder": (
            repeated(jax.grad(encoded), recurrent.state.params),
            encoder_cost(recurrent.setup.config, features, windows, backward=True),
        ),
    }


def main() -> None:
    """Measure and tell."""
    quick = parse_options("What bounds each part, and the share of that bound.").quick
    tops, parts = ceilings(), subjects()
    rates = measure({name: work for name, (work, _) in (tops | parts).items()}, repeats=3 if quick else 7)
    top = {name: rates[name].median * operations for name, (_, operations) in tops.items()}
    products, tanh, random = (top[name] for name in ("product, 2048 x 2048 x 2048", "tanh", "random numbers, 32 bits"))
    ratios = {}
    for name, (_, cost) in parts.items():
        seconds = 1 / rates[name].median
        for bound, time in (
            ("products", cost.flops / products),
            ("tanh", cost.tanh / tanh),
            ("random", cost.random / random),
        ):
            ratios[f"{name}: {bound} / its time"] = time / seconds
    shown = {name: Rate(*(each * tops[name][1] / 1e6 for each in rates[name][:3])) for name in tops}
    shown |= {name: rates[name] for name in parts}
    publish(Report("roofline", "million operations, or calls, a second", {"loop": LOOP}, shown, ratios), quick)


if __name__ == "__main__":
    main()
