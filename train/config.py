"""The configuration of a training run: the shared parts of jaxtrade.config and what only training needs."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from eval_bridge.spec import NetworkConfig
from jaxtrade.config import Count, EnvConfig, Float, Int, MarketConfig, Section, Share


class PPOConfig(Section):
    """Proximal policy optimisation (Schulman et al. 2017) and its rollouts."""

    rollout_length: Count = 128
    """L: bars that each lane walks in one rollout."""
    lanes: Count = 16
    """G: market lanes; num_envs / lanes accounts share the bars of one lane."""
    episode_bars: Count = 256
    """Bars after which a lane jumps to another segment of the training range (rounded down to whole rollouts)."""
    epochs: Count = 4
    """Passes over each rollout."""
    minibatches: Count = 4
    """Minibatches an epoch; see cut."""
    cut: Literal["lanes", "samples"] = "lanes"
    """lanes: each minibatch holds rollout_length / minibatches bars of every lane. samples: bars of all lanes, shuffled
    together; with as many lanes as environments, the classical shuffled minibatches."""
    learning_rate: Annotated[Float, Field(gt=0)] = 1e-3
    """First learning rate of Adam."""
    schedule: Literal["constant", "linear", "cosine"] = "linear"
    """How the learning rate falls to zero over the run; constant: it does not."""
    gamma: Share = 0.99
    """Discount per bar."""
    gae_lambda: Share = 0.95
    """Lambda of generalised advantage estimation."""
    clip: Annotated[Float, Field(gt=0)] = 0.2
    """Clip range of the probability ratio."""
    value_clip: Annotated[Float, Field(ge=0)] = 0.0
    """Clip range of the value update; 0: not clipped."""
    value_weight: Annotated[Float, Field(ge=0)] = 0.5
    """Weight of the value loss."""
    entropy_weight: Annotated[Float, Field(ge=0)] = 0.001
    """Weight of the entropy bonus."""
    max_grad_norm: Annotated[Float, Field(gt=0)] = 0.5
    """Gradients are scaled down to this global norm."""
    target_kl: Annotated[Float, Field(ge=0)] = 0.0
    """Stop the passes over a rollout once the approximate KL divergence exceeds this; 0: never."""
    normalize_reward: bool = True
    """Divide rewards by the running standard deviation of the discounted return."""

    @model_validator(mode="after")
    def _minibatches_divide(self) -> Self:
        if self.rollout_length % self.minibatches:
            raise ValueError(
                f"rollout_length {self.rollout_length} is not a multiple of minibatches {self.minibatches}; "
                "minibatches are cut by bars"
            )
        return self


AUTO: Literal["auto"] = "auto"
_ENVIRONMENTS = TypeAdapter(Annotated[Int, Field(ge=1, le=2**22)])


def _count_or_auto(value: Any) -> int | Literal["auto"]:
    """Return a number of environments or `auto`; one error for one bad value, where a union would give two."""
    if value == AUTO:
        return AUTO
    try:
        return _ENVIRONMENTS.validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        hint = ", or auto" if first["type"].startswith("int_") else ""
        raise PydanticCustomError("num_envs", f"{first['msg'].removeprefix('Value error, ')}{hint}") from None


class TrainConfig(Section):
    """A training run."""

    data: str = "sample:nasdaq"
    """Bars: sample:nasdaq, sample:sp500, sample:both, a CSV or Parquet file, or a folder with one file per symbol."""
    name: str | None = None
    """Name of the run's folder (default: data, network and time)."""
    runs_dir: str = "runs"
    """Folder of all runs."""
    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0
    """Seed of parameters, actions, minibatches and lanes."""
    num_envs: Annotated[int | Literal["auto"], PlainValidator(_count_or_auto)] = 4096
    """E: accounts that trade at once; auto: the fastest number that fits the memory, by a short calibration."""
    total_timesteps: Count = 16_000_000
    """Steps over all accounts, rounded up to whole updates."""
    eval_every: Count = 5
    """Updates between validations; each writes a checkpoint, and the best by validation is kept."""
    tensorboard: bool = True
    """Write TensorBoard event files beside metrics.csv."""
    market: MarketConfig = MarketConfig()
    env: EnvConfig = EnvConfig()
    network: NetworkConfig = NetworkConfig()
    ppo: PPOConfig = PPOConfig()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.num_envs != AUTO and self.num_envs % self.lanes:
            raise ValueError(f"num_envs {self.num_envs} is not a multiple of ppo.lanes {self.ppo.lanes}")
        if self.network.reach > self.env.window:
            raise ValueError(
                f"the network's reach of {self.network.reach} bars does not fit env.window {self.env.window}"
            )
        if self.network.kind == "lstm" and self.ppo.cut == "samples":
            raise ValueError("ppo.cut samples takes bars out of their lane, which network.kind lstm needs whole")
        if self.env.action == "orders":
            raise ValueError("env.action orders is for replays; choose another to train")
        return self

    @property
    def lanes(self) -> int:
        """G, at most one lane an environment; this and what follows need num_envs resolved to a number."""
        return min(self.ppo.lanes, self.num_envs)

    @property
    def samples(self) -> int:
        """Steps of one update."""
        return self.num_envs * self.ppo.rollout_length

    @property
    def updates(self) -> int:
        """Updates of the whole run."""
        return -(-self.total_timesteps // self.samples)
