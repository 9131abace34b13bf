"""The configuration of a training run: the shared parts of jaxtrade.config and what only training needs."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, TypeAdapter, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from eval_bridge.spec import NetworkConfig
from jaxtrade.config import Count, EnvConfig, Float, Int, MarketConfig, Section, Share


class ScheduleConfig(Section):
    """How a number goes over the run, as a factor of its first value; a text alone is the kind. See train.schedules."""

    shorthand: ClassVar[str] = "kind"

    kind: Literal["constant", "linear", "exponential", "exponential_to_target", "cosine", "warmup_exponential"] = (
        "constant"
    )
    """exponential: e^(-rate p) at the share p of the run; exponential_to_target: end^p; cosine and warmup_exponential
    rise from zero first."""
    end: Share = 0.0
    """linear, exponential_to_target, cosine: the factor at the end of the run."""
    rate: Annotated[Float, Field(ge=0)] = 5.0
    """exponential, warmup_exponential: how fast the factor falls."""
    warmup: Share = 0.05
    """cosine, warmup_exponential: share of the run over which the factor rises from zero to one."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        return {cls.shorthand: value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _target_is_reached(self) -> Self:
        if self.kind == "exponential_to_target" and self.end == 0:
            raise ValueError(
                "kind exponential_to_target never reaches an end of 0; give an end above 0, or exponential"
            )
        return self


class PPOConfig(Section):
    """Proximal policy optimisation (Schulman et al. 2017)."""

    rollout_length: Count = 128
    """L: steps of each environment in one rollout."""
    epochs: Count = 4
    """Passes over each rollout."""
    minibatches: Count = 4
    """Minibatches an epoch."""
    learning_rate: Annotated[Float, Field(gt=0)] = 1e-3
    """First learning rate of Adam."""
    learning_rate_schedule: ScheduleConfig = ScheduleConfig(kind="linear")
    gamma: Share = 0.99
    """Discount per step."""
    gae_lambda: Share = 0.95
    """Lambda of generalised advantage estimation."""
    clip: Annotated[Float, Field(gt=0)] = 0.2
    """First clip range of the probability ratio."""
    clip_schedule: ScheduleConfig = ScheduleConfig()
    value_clip: Annotated[Float, Field(ge=0)] = 0.0
    """Clip range of the value update; 0: not clipped."""
    value_weight: Annotated[Float, Field(ge=0)] = 0.5
    """Weight of the value loss."""
    entropy_weight: Annotated[Float, Field(ge=0)] = 0.001
    """First weight of the entropy bonus."""
    entropy_schedule: ScheduleConfig = ScheduleConfig()
    max_grad_norm: Annotated[Float, Field(gt=0)] = 0.5
    """Gradients are scaled down to this global norm."""
    target_kl: Annotated[Float, Field(ge=0)] = 0.0
    """Stop the passes over a rollout once the approximate KL divergence exceeds this; 0: never."""
    normalize_reward: bool = True
    """Divide rewards by the running standard deviation of the discounted return."""


class LanesPPOConfig(PPOConfig):
    """Proximal policy optimisation (Schulman et al. 2017) and its rollouts through market lanes."""

    lanes: Count = 16
    """G: market lanes; num_envs / lanes accounts share the bars of one lane."""
    episode_bars: Count = 256
    """Bars after which a lane jumps to another segment of the training range (rounded down to whole rollouts)."""
    cut: Literal["lanes", "samples"] = "lanes"
    """lanes: each minibatch holds rollout_length / minibatches bars of every lane. samples: bars of all lanes, shuffled
    together; with as many lanes as environments, the classical shuffled minibatches."""

    @model_validator(mode="after")
    def _minibatches_divide(self) -> Self:
        if self.rollout_length % self.minibatches:
            raise ValueError(
                f"rollout_length {self.rollout_length} is not a multiple of minibatches {self.minibatches}; "
                "minibatches are cut by bars"
            )
        return self


class CheckpointConfig(Section):
    """Which checkpoints are written and kept; the best by validation always is."""

    every: Annotated[Int, Field(ge=0)] = 0
    """Updates between checkpoints; 0: one at each validation. There is one at each validation anyhow."""
    keep_latest: Count = 2
    """Newest checkpoints that are kept."""
    keep_every: Annotated[Int, Field(ge=0)] = 0
    """Checkpoints whose update is a multiple of this are kept as well; 0: none."""


class EarlyStopConfig(Section):
    """When training stops before its last update, judged at validations."""

    patience: Annotated[Int, Field(ge=0)] = 0
    """Validations without a better one after which training stops; 0: never."""
    min_delta: Annotated[Float, Field(ge=0)] = 0.0
    """What a validation must exceed the best by to count as better."""
    min_updates: Annotated[Int, Field(ge=0)] = 0
    """Updates before which training does not stop."""


class RunConfig(Section):
    """What all training runs share."""

    name: str | None = None
    """Name of the run's folder (default: data, network and time)."""
    runs_dir: str = "runs"
    """Folder of all runs."""
    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0
    """Seed of parameters, actions, minibatches and environments."""
    total_timesteps: Count = 16_000_000
    """Steps over all environments, rounded up to whole updates."""
    eval_every: Count = 5
    """Updates between validations; each writes a checkpoint, and the best by validation is kept."""
    tensorboard: bool = True
    """Write TensorBoard event files beside metrics.csv."""
    jsonl: bool = False
    """Write metrics.jsonl beside metrics.csv, one JSON object an update."""
    monitor: bool = True
    """Write monitor.csv, one row an episode, in the format of Stable-Baselines3."""
    max_discarded: Count = 3
    """Updates in a row that may be discarded for a NaN or infinite number; then training stops."""
    callbacks: tuple[str, ...] = ()
    """Your own callbacks, each `package.module:Class`; see docs/callbacks.md."""
    checkpoints: CheckpointConfig = CheckpointConfig()
    early_stop: EarlyStopConfig = EarlyStopConfig()

    @property
    def samples(self) -> int:
        """Steps of one update."""
        return self.num_envs * self.ppo.rollout_length

    @property
    def updates(self) -> int:
        """Updates of the whole run."""
        return -(-self.total_timesteps // self.samples)


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


class TrainConfig(RunConfig):
    """A training run on a market."""

    data: str = "sample:nasdaq"
    """Bars: sample:nasdaq, sample:sp500, sample:both, a CSV or Parquet file, or a folder with one file per symbol."""
    num_envs: Annotated[int | Literal["auto"], PlainValidator(_count_or_auto)] = 4096
    """E: accounts that trade at once; auto: the fastest number that fits the memory, by a short calibration."""
    market: MarketConfig = MarketConfig()
    env: EnvConfig = EnvConfig()
    network: NetworkConfig = NetworkConfig()
    ppo: LanesPPOConfig = LanesPPOConfig()

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
