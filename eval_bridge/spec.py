"""What a bundle says about itself: the manifest, and the shapes that a network must have."""

from typing import Annotated, Any, Literal

from pydantic import Field

from jaxtrade.config import Count, EnvConfig, Float, MarketConfig, Section

LOG_STD_SPAN = 3.0  # a log standard deviation that depends on the state stays so far around its initial value


class NetworkConfig(Section):
    """The policy network."""

    kind: Literal["multiscale_lstm", "lstm", "mlp", "flat_mlp"] = "multiscale_lstm"
    """multiscale_lstm: LSTM branches of several lengths, concatenated. lstm: one state carried from bar to bar. mlp:
    the features of the last bar. flat_mlp: those of all symbols in one vector, tied to their number and order."""
    branches: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 5, 20, 60, 120)
    """Bars that each LSTM branch looks back, its own included."""
    hidden: Count = 64
    """Units of each LSTM branch, of the lstm, or of each layer of the mlp encoder."""
    chunk: Count = 64
    """Bars of the lstm's chunks, counted from the first bar of the data; they are encoded side by side."""
    burn_in: Count = 64
    """Bars before its chunk from which the lstm's state is carried, out of zero."""
    head: Count = 64
    """Units of each of the two hidden layers of the actor and of the critic."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the LSTMs' matrix products while training; bfloat16 is faster on a GPU. The exported policy is float32."""
    log_std: Float = -0.5
    """Initial log standard deviation of continuous actions."""
    std: Literal["free", "state"] = "free"
    """free: the standard deviation of continuous actions is a parameter. state: the actor's output."""
    squash: Literal["clip", "tanh"] = "clip"
    """clip: continuous actions beyond their bounds are cut by the rules. tanh: they are the tanh of a Gaussian."""

    @property
    def reach(self) -> int:
        """Bars that the encoder looks back, its own included."""
        if self.kind == "lstm":
            return self.burn_in + self.chunk
        return max(self.branches) if self.kind == "multiscale_lstm" else 1


class ArraySpec(Section):
    """One array of a bundle."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


class DataSpec(Section):
    """The data that a policy was trained on."""

    source: str
    sha256: str
    symbols: tuple[str, ...]
    ranges: dict[str, tuple[str, str]]
    """First and last time of each range."""
    warning: str | None
    """A flaw of the data that stays with what was made from it."""
    report: dict[str, Any]
    """What the gate found, mended and accepted."""


class Certificate(Section):
    """The parity measured at export, on the validation range; see train/certificate.py."""

    bars: int
    """Decisions replayed, drawn from the policy."""
    fills: int
    """Fills among them."""
    engine_error: Float
    """(a) Same actions, float32 environment against float64 backtester, free-running: largest relative difference of
    equity."""
    step_error: Float
    """(a) The same, one bar from each of the backtester's states."""
    discrete_explained: int
    """(a) Bars with a fill, lot, ruin or flag that differs, at a boundary that float32 cannot resolve."""
    discrete_unexplained: int
    """(a) Bars with one that differs anywhere else."""
    policy_error: Float
    """(b) Same inputs, trained network against NumPy: largest difference of outputs, actions and values."""
    flips_explained: int
    """(b) Decisions that flip, within the tolerance."""
    flips_unexplained: int
    """(b) Decisions that flip beyond it."""
    closed_loop_error: Float
    """(c) Each engine with its own forward pass: relative difference of the final equity. Not judged."""
    engine_limit: Float
    step_limit: Float
    policy_limit: Float

    @property
    def failures(self) -> tuple[str, ...]:
        """What is beyond its limit; empty for a certified bundle."""
        checks = {
            f"engines {self.engine_error:.2g} apart over the range": self.engine_error <= self.engine_limit,
            f"engines {self.step_error:.2g} apart in one bar": self.step_error <= self.step_limit,
            f"{self.discrete_unexplained} unexplained discrete differences": self.discrete_unexplained == 0,
            f"forward passes {self.policy_error:.2g} apart": self.policy_error <= self.policy_limit,
            f"{self.flips_unexplained} unexplained flips": self.flips_unexplained == 0,
        }
        return tuple(text for text, passed in checks.items() if not passed)


class LeakCheck(Section):
    """What `train.leakcheck` found: nothing that is known at a bar may hang on later ones."""

    cuts: int
    """Bars after which the future was changed, each in three ways."""
    bars: int
    findings: tuple[str, ...]
    """What changed with the future, one line each; empty for a clean policy."""
    recursion: Float
    """Largest move of a feature when its history is cut to its warm-up, in standard deviations."""
    recursion_feature: str


class Manifest(Section):
    """Everything about a bundle that is not a parameter."""

    schema_version: Literal[4]
    network: NetworkConfig
    env: EnvConfig
    market: MarketConfig
    feature_names: tuple[str, ...]
    scaler: dict[str, Any]
    """The statistics of the features, as jaxtrade.market.scales writes them."""
    feature_range: tuple[tuple[Float, Float], ...]
    """Lowest and highest value of each feature, normalised, over the rows that training looked at."""
    data: DataSpec
    seed: int
    update: int
    """Update of the training run at which the parameters were taken."""
    validations: int
    """Times that a policy of this run was compared on the validation range up to then."""
    certificate: Certificate | None
    """How far both engines and both forward passes agree; None while it is being measured."""
    leaks: LeakCheck | None
    """What the leak check found; None while it is being made."""
    versions: dict[str, str]
    arrays: dict[str, ArraySpec]

    @property
    def uncertified(self) -> str:
        """Why the policy is not certified; empty if it is."""
        if self.certificate is None or self.leaks is None:
            return "it holds no parity certificate" if self.certificate is None else "it holds no leak check"
        return "; ".join((*self.certificate.failures, *(f"leak: {finding}" for finding in self.leaks.findings)))


def parameter_shapes(
    network: NetworkConfig, choices: int | None, symbols: int, features: int, memory: int
) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every parameter of a policy.

    Args:
        network: The network.
        choices: Number of discrete actions; None for continuous ones.
        symbols: Symbols traded; only a flat_mlp depends on them.
        features: Market features of a symbol.
        memory: Accumulators of the reward, which the policy sees.
    """
    width, flat = network.head, network.kind == "flat_mlp"
    shapes, embedding = _encoder(network, features)
    together = symbols if flat else 1  # symbols in one vector
    shapes |= _dense("from_symbol", together * embedding, 2 * width)
    if not flat:
        shapes["from_panel/kernel"] = (embedding, 2 * width)
    shapes["from_assets/kernel"] = (together * 4, 2 * width)
    shapes["from_account/kernel"] = (3 + memory, 2 * width)
    for name, size in (("actor_hidden", width), ("critic_hidden", width), ("critic_out", 1)):
        shapes |= _dense(name, width, size)
    deviations = network.std == "state"  # beside the means
    shapes |= _dense("actor_out", width, choices or together * (2 if deviations else 1))
    if choices is None and not deviations:
        shapes["log_std"] = ()
    return shapes


def _encoder(network: NetworkConfig, features: int) -> tuple[dict[str, tuple[int, ...]], int]:
    """Return the shapes of the encoder's parameters and the width of what it gives for a symbol."""
    hidden, shapes = network.hidden, dict[str, tuple[int, ...]]()
    if network.kind == "flat_mlp":
        return shapes, features
    if network.kind == "mlp":
        for number, size in enumerate((features, hidden)):
            shapes |= _dense(f"encoder/dense_{number}", size, hidden)
        return shapes, hidden
    names = ["lstm"] if network.kind == "lstm" else [f"lstm_{length}" for length in network.branches]
    for name in names:
        shapes[f"encoder/{name}/kernel_x"] = (features, 4 * hidden)
        shapes[f"encoder/{name}/kernel_h"] = (hidden, 4 * hidden)
        shapes[f"encoder/{name}/bias"] = (4 * hidden,)
    return shapes, hidden * len(names)


def _dense(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}
