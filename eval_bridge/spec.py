"""What a bundle says about itself: the manifest, and the shapes that a network must have."""

from typing import Annotated, Literal

from pydantic import Field

from jaxtrade.config import Count, EnvConfig, Float, MarketConfig, Section


class NetworkConfig(Section):
    """The policy network."""

    kind: Literal["multiscale_lstm", "mlp"] = "multiscale_lstm"
    """multiscale_lstm: LSTM branches of several lengths, concatenated. mlp: the features of the last bar only."""
    branches: Annotated[tuple[Count, ...], Field(min_length=1)] = (1, 5, 20, 60, 120)
    """Bars that each LSTM branch looks back, its own included."""
    hidden: Count = 64
    """Units of each LSTM branch, or of each layer of the mlp encoder."""
    head: Count = 64
    """Units of each of the two hidden layers of the actor and of the critic."""
    log_std: Float = -0.5
    """Initial log standard deviation of continuous actions."""

    @property
    def reach(self) -> int:
        """Bars that the encoder looks back, its own included."""
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


class Manifest(Section):
    """Everything about a bundle that is not a parameter."""

    schema_version: Literal[1]
    network: NetworkConfig
    env: EnvConfig
    market: MarketConfig
    feature_names: tuple[str, ...]
    scaler_mean: tuple[Float, ...]
    scaler_std: tuple[Float, ...]
    data: DataSpec
    seed: int
    update: int
    """Update of the training run at which the parameters were taken."""
    validations: int
    """Times that a policy of this run was compared on the validation range up to then."""
    parity_error: Float
    """Largest difference between the Flax and the NumPy forward pass over the validation range."""
    versions: dict[str, str]
    arrays: dict[str, ArraySpec]


def parameter_shapes(network: NetworkConfig, action: str, features: int) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every parameter of a policy."""
    hidden, width = network.hidden, network.head
    shapes: dict[str, tuple[int, ...]] = {}
    if network.kind == "mlp":
        embedding = hidden
        for number, size in enumerate((features, hidden)):
            shapes |= _dense(f"encoder/dense_{number}", size, hidden)
    else:
        embedding = hidden * len(network.branches)
        for length in network.branches:
            prefix = f"encoder/lstm_{length}"
            shapes[f"{prefix}/kernel_x"] = (features, 4 * hidden)
            shapes[f"{prefix}/kernel_h"] = (hidden, 4 * hidden)
            shapes[f"{prefix}/bias"] = (4 * hidden,)
    shapes |= _dense("from_symbol", embedding, 2 * width)
    shapes["from_panel/kernel"] = (embedding, 2 * width)
    shapes["from_assets/kernel"] = (4, 2 * width)
    shapes["from_account/kernel"] = (3, 2 * width)
    for name, size in (("actor_hidden", width), ("critic_hidden", width), ("critic_out", 1)):
        shapes |= _dense(name, width, size)
    shapes |= _dense("actor_out", width, 9 if action == "discrete9" else 1)
    if action != "discrete9":
        shapes["log_std"] = ()
    return shapes


def _dense(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}/kernel": (inputs, outputs), f"{name}/bias": (outputs,)}
