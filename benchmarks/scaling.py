"""How the cost grows: `python -m benchmarks.scaling [--quick] [--plot]`.

One number at a time is changed, from a base of 1,024 environments, 1 symbol, 5,000 bars and 64 units: environments,
symbols, bars, the length of the only LSTM branch (the window), and hidden units (of the encoder and of the heads).
`steps` walks the lanes under random actions; `mlp` and `lstm` train. `--plot` draws the figures into docs/images/.
"""

from typing import Any, NamedTuple

from benchmarks.harness import ROOT, Rate, Report, Work, measure, option_parser, publish, ratio
from benchmarks.ours import random_market, train_work
from benchmarks.walks import lanes_work
from eval_bridge.spec import NetworkConfig
from jaxtrade.config import EnvConfig
from train.config import TrainConfig

IMAGES = ROOT / "docs" / "images"


class Point(NamedTuple):
    """The sizes of one measurement."""

    environments: int = 1024
    symbols: int = 1
    bars: int = 5000
    window: int = 60
    hidden: int = 64


class Sweep(NamedTuple):
    """The values of one size, and what is measured at each."""

    values: tuple[int, ...]
    kinds: tuple[str, ...]


SWEEPS = {
    "environments": Sweep((256, 1024, 4096), ("steps", "mlp")),
    "symbols": Sweep((1, 3, 10, 30), ("steps",)),
    "bars": Sweep((1000, 5000, 25000), ("steps",)),
    "window": Sweep((15, 60, 240), ("lstm",)),
    "hidden": Sweep((32, 64, 128), ("mlp", "lstm")),
}
QUICK = {"environments": Sweep((256, 4096), ("steps",)), "window": Sweep((15, 120), ("lstm",))}


def work_of(kind: str, point: Point) -> Work:
    """Return the work of one kind at some sizes."""
    env = EnvConfig()
    table = random_market(point.symbols, point.bars, env.window)
    if kind == "steps":
        return lanes_work(table, env, calls=1, accounts=point.environments)
    network = NetworkConfig(hidden=point.hidden, head=point.hidden, branches=(point.window,))
    network = network.model_copy(update={"kind": "mlp" if kind == "mlp" else "multiscale_lstm"})
    return train_work(table, TrainConfig(num_envs=point.environments, network=network), 1)


def label(dimension: str, value: int, kind: str) -> str:
    """Return the name of a measurement."""
    return f"{dimension} {value}: {kind}"


def run_sweep(dimension: str, sweep: Sweep, repeats: int) -> dict[str, Rate]:
    """Measure one sweep; its subjects take turns."""
    works = {
        label(dimension, value, kind): work_of(kind, Point()._replace(**{dimension: value}))
        for kind in sweep.kinds
        for value in sweep.values
    }
    return measure(works, repeats)


def growth(rates: dict[str, Rate], sweeps: dict[str, Sweep]) -> dict[str, Rate]:
    """Return by how much the time of one step or sample grows over each sweep."""
    ratios = {}
    for dimension, sweep in sweeps.items():
        first, last = sweep.values[0], sweep.values[-1]
        for kind in sweep.kinds:
            ends = [rates[label(dimension, value, kind)] for value in (first, last)]
            ratios[f"time of one, {dimension} {first} -> {last}: {kind}"] = ratio(*ends)
    return ratios


def plot(rates: dict[str, Rate], sweeps: dict[str, Sweep]) -> list[str]:
    """Draw a small picture for every sweep; return their names."""
    import matplotlib.pyplot as plt

    IMAGES.mkdir(parents=True, exist_ok=True)
    names = []
    for dimension, sweep in sweeps.items():
        figure, axes = plt.subplots(figsize=(4.5, 3), layout="constrained")
        for kind in sweep.kinds:
            draw_line(axes, dimension, kind, {value: rates[label(dimension, value, kind)] for value in sweep.values})
        axes.set(xscale="log", yscale="log", xlabel=dimension, ylabel="steps or samples per second")
        axes.set_xticks(sweep.values, [f"{value:,}" for value in sweep.values], minor=False)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        path = IMAGES / f"scaling-{dimension}.svg"
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
        names.append(str(path.relative_to(ROOT)))
    return names


def draw_line(axes: Any, dimension: str, kind: str, points: dict[int, Rate]) -> None:
    """Draw the medians of one kind, with their spread."""
    lines = axes.plot(list(points), [rate.median for rate in points.values()], marker="o", label=kind)
    lows, highs = ([getattr(rate, end) for rate in points.values()] for end in ("low", "high"))
    axes.fill_between(list(points), lows, highs, color=lines[0].get_color(), alpha=0.2, linewidth=0)


def main() -> None:
    """Measure, tell, and draw if asked."""
    parser = option_parser("How the cost grows with environments, symbols, bars, window and hidden units.")
    parser.add_argument("--plot", action="store_true", help="draw the figures into docs/images/")
    options = parser.parse_args()
    sweeps, repeats = (QUICK, 2) if options.quick else (SWEEPS, 3)
    rates: dict[str, Rate] = {}
    for dimension, sweep in sweeps.items():
        rates |= run_sweep(dimension, sweep, repeats)
    config = TrainConfig()
    about = {f"base {name}": size for name, size in Point()._asdict().items()}
    about |= {"lanes": config.lanes, "rollout_length": config.ppo.rollout_length, "epochs": config.ppo.epochs}
    about |= {"features": 16, "minibatches": config.ppo.minibatches}
    publish(Report("scaling", "steps or samples per second", about, rates, growth(rates, sweeps)), options.quick)
    if options.plot:
        print("  drawn:", ", ".join(plot(rates, sweeps)))


if __name__ == "__main__":
    main()
