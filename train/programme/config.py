"""The configuration of a programme: a training run, repeated over windows by several candidates, and its switches."""

from difflib import get_close_matches
from itertools import product
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, PlainSerializer, PlainValidator, ValidationError, field_validator, model_validator

from jaxtrade.config import Count, Float, Int, Section
from jaxtrade.config.account import CostConfig, RewardConfig
from jaxtrade.config.kinds import Bars
from train.config import AUTO, TrainConfig

Vary = dict[str, tuple[float, ...]]
KNOBS = ("ppo.learning_rate", "ppo.clip", "ppo.entropy_weight")
TRACED = (*KNOBS, "env.costs.", "env.reward.", "env.reward_params.")  # what one compiled program can vary
VARIED = (  # each key of these, but for the rewards: they are those of env.reward
    *KNOBS,
    *(f"env.costs.{name}" for name in CostConfig.model_fields if name != "stamp_duty_side"),
    *(f"env.reward_params.{name}" for name in RewardConfig.model_fields),
)
AS_LISTS = PlainSerializer(lambda given: {key: list(values) for key, values in given.items()})
SWITCHES = ("warm_start", "adaptive_timesteps", "early_stopping", "progressive", "caching", "fast_evaluation")


class WindowsConfig(Section):
    """Where each iteration trains, validates and trades out of sample; the ends fall on whole days."""

    kind: Literal["rolling", "expanding", "fixed"] = "rolling"
    """rolling: training keeps its length. expanding: it always begins at the first bar. fixed: every iteration works on
    the one window of market.split."""
    train_bars: Annotated[Int, Field(ge=1)] | None = None
    """Bars of training, of the first window if expanding (default: what is left of the first half)."""
    validation_bars: Annotated[Int, Field(ge=1)] | None = None
    """Bars of validation (default: as many as test_bars)."""
    test_bars: Annotated[Int, Field(ge=1)] | None = None
    """Bars traded out of sample, and from one window to the next (default: the second half, over all iterations)."""
    purge: Bars = 5
    """Bars left out at the end of training and of validation."""
    embargo: Bars = 5
    """Bars left out at the beginning of validation and of test."""


def parse_space(value: Any) -> dict[str, tuple[Any, ...]]:
    """Parse {key: values}: a mapping, or texts like `network.hidden=32,64`."""
    if isinstance(value, list | tuple):
        value = dict(part.split("=", 1) if "=" in str(part) else (str(part), "") for part in value)
    if not isinstance(value, dict):
        raise ValueError("must be values by key, such as network.hidden=32,64")
    parsed = {}
    for key, given in value.items():
        items = [part for part in given.split(",") if part] if isinstance(given, str) else given
        items = items if isinstance(items, list | tuple) else [items]
        parsed[str(key)] = tuple(_read(item) if isinstance(item, str) else item for item in items)
        if not parsed[str(key)]:
            raise ValueError(f"{key}: give at least one value")
    return parsed


def _read(text: str) -> Any:
    """Return what a text says: a number, true or false, or itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return {"true": True, "false": False}.get(text.strip().lower(), text.strip())


class SearchConfig(Section):
    """A search by Optuna, on the first window, over what one compiled program cannot vary."""

    trials: Bars = 0
    """Settings to try; 0: no search."""
    space: Annotated[dict[str, tuple[Any, ...]], PlainValidator(parse_space), AS_LISTS] = Field(default={})
    """Values to choose from, by key: network.hidden=32,64 ppo.minibatches=2,4."""


def parse_vary(value: Any) -> Vary:
    """Parse {key: numbers} of what candidates differ in."""
    vary = parse_space(value)
    for key, numbers in vary.items():
        if key not in VARIED and not key.startswith("env.reward."):
            close = get_close_matches(key, VARIED, n=1)
            known = f"did you mean {close[0]}?" if close else f"those that can: {', '.join(TRACED)}*"
            raise ValueError(f"{key} cannot be varied in one compiled program; {known}")
        if any(isinstance(number, bool) or not isinstance(number, int | float) for number in numbers):
            raise ValueError(f"{key}: values must be numbers, got {list(numbers)!r}")
    return {key: tuple(map(float, numbers)) for key, numbers in vary.items()}


def with_values(config: Any, values: dict[str, Any]) -> Any:
    """Return a configuration with some values, by dotted key, in place of its own.

    Raises:
        ValueError: It does not accept one.
    """
    data = config.model_dump(mode="json")
    for key, value in values.items():
        *sections, last = key.split(".")
        part = data
        for section in sections:
            part = part[section]
        part[last] = value
    return type(config).model_validate(data)


def check_values(config: Any, values: dict[str, float]) -> None:
    """Check that a configuration accepts the values of a candidate.

    Raises:
        ValueError: It does not; one line.
    """
    try:
        with_values(config, values)
    except ValidationError as error:
        first: Any = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"vary {'.'.join(map(str, first['loc']))}: {message}, got {first['input']!r}") from None


class Candidate(NamedTuple):
    """One of those that train side by side."""

    seed: int
    settings: dict[str, float]  # dotted key -> value, of what is varied


class ProgrammeConfig(TrainConfig):
    """A training programme; every key of a training run, and those of the programme."""

    num_envs: Annotated[Int, Field(ge=1, le=2**22)] = 256
    """E: accounts of each candidate that trade at once."""
    total_timesteps: Count = 500_000
    """Steps of a candidate in the first iteration, rounded up to whole updates."""
    eval_every: Count = 2
    """Updates between validations."""
    tensorboard: bool = False
    monitor: bool = False
    iterations: Count = 8
    """Windows to walk forward over, or rounds on the fixed window."""
    windows: WindowsConfig = WindowsConfig()
    candidates: Count = 4
    """K: candidates that train side by side in one compiled program; each setting of `vary` gets several seeds."""
    vary: Annotated[Vary, PlainValidator(parse_vary), AS_LISTS] = Field(default={})
    """What candidates differ in beside the seed: ppo.learning_rate=1e-3,3e-4 env.costs.buy_percent=0.05,0.1. All
    combinations are tried. Validation always uses the costs of `env`."""
    warm_start: bool = True
    """Begin an iteration with the best policy so far instead of with fresh parameters."""
    warm_start_optimizer: bool = False
    """Keep the moments of the optimiser as well."""
    adaptive_timesteps: bool = True
    """Train less from iteration to iteration: timesteps_factor each, but never below min_timesteps."""
    timesteps_factor: Annotated[Float, Field(gt=0, le=1)] = 0.95
    """Steps of an iteration as a share of those of the one before."""
    min_timesteps: Count | None = None
    """Least steps of an iteration (default: 30 % of total_timesteps)."""
    early_stopping: bool = True
    """Stop a candidate, and an iteration when all have stopped, when validations no longer get better."""
    patience: Count = 3
    """Validations without a better one after which a candidate stops."""
    convergence_threshold: Annotated[Float, Field(ge=0)] = 1e-3
    """What a validation's log growth must exceed the best by to count as better for `patience`."""
    progressive: bool = True
    """Go through the phases of `schedule`: exploration, refinement, exploitation."""
    schedule: str = "balanced"
    """Phases: conservative, balanced, aggressive, ultra_fast, one's own in configs/schedules/, or a file."""
    caching: bool = True
    """Read the data and compile the programs once for all iterations."""
    fast_evaluation: bool = True
    """Validate all candidates in one compiled call, and only the winner in the stateful backtester; otherwise all."""
    search: SearchConfig = SearchConfig()

    @field_validator("num_envs", mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        if value == AUTO:
            raise ValueError("auto is for train.ppo; a programme needs a number")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.candidates % len(self.settings):
            raise ValueError(f"candidates {self.candidates} is no multiple of the {len(self.settings)} of vary")
        if self.early_stop.patience:
            raise ValueError("early_stop.patience is for train.ppo; a programme has `patience` for each candidate")
        unknown = [key for key in self.vary if key.startswith("env.reward.") and key[11:] not in self.env.reward]
        if unknown:
            raise ValueError(f"vary {unknown[0]} is no reward of env.reward ({', '.join(self.env.reward)})")
        own = TrainConfig.model_validate({name: getattr(self, name) for name in TrainConfig.model_fields})
        for settings in self.settings:
            check_values(own, settings)
        return self

    @property
    def settings(self) -> list[dict[str, float]]:
        """All combinations of what is varied; one empty setting if nothing is."""
        return [dict(zip(self.vary, values, strict=True)) for values in product(*self.vary.values())]

    @property
    def lineup(self) -> list[Candidate]:
        """The K candidates: setting by setting with one seed, then again with the next seed."""
        settings = self.settings
        count = len(settings)
        return [Candidate(self.seed + k // count, settings[k % count]) for k in range(self.candidates)]

    def planned_updates(self, iteration: int) -> int:
        """Return the updates planned for an iteration, 0 for the first."""
        steps: float = self.total_timesteps
        if self.adaptive_timesteps:
            least = self.min_timesteps or -(-self.total_timesteps * 3 // 10)
            steps = max(steps * self.timesteps_factor**iteration, min(least, self.total_timesteps))
        return -(-round(steps) // self.samples)
