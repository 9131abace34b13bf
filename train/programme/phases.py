"""The phases of a programme: how learning rate, entropy weight and epochs go from iteration to iteration."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import Field, ValidationError, field_validator

from jaxtrade.config import Float, Section
from jaxtrade.errors import InputError, did_you_mean
from train.cli import load_file, preset_folders

Factor = Annotated[Float, Field(gt=0, le=10)]  # a factor, no percentage and no absolute number
REMEDY = "See docs/schedules.md"


class Phase(Section):
    """Some iterations in a row, and the factors of the numbers in `ppo` that hold in them."""

    name: Annotated[str, Field(min_length=1)]
    """What the phase is called: exploration, refinement, exploitation."""
    until: Annotated[Float, Field(gt=0, le=1)]
    """Share of the programme's iterations at which the phase ends; that of the last phase is 1."""
    learning_rate: Factor = 1.0
    """Factor of ppo.learning_rate."""
    entropy_weight: Annotated[Float, Field(ge=0, le=10)] = 1.0
    """Factor of ppo.entropy_weight."""
    epochs: Factor = 1.0
    """Factor of ppo.epochs; the product is rounded, to one epoch at least."""


class Schedule(Section):
    """What a file in configs/schedules/ holds."""

    phases: tuple[Phase, ...]
    """In their order."""

    @field_validator("phases")
    @classmethod
    def _follow_one_another(cls, phases: tuple[Phase, ...]) -> tuple[Phase, ...]:
        if not phases:
            raise ValueError("there must be one phase at least")
        for before, after in pairwise(phases):
            if after.until <= before.until:
                raise ValueError(
                    f"until must rise: {before.name} ends at {before.until}, {after.name} at {after.until}"
                )
        if phases[-1].until != 1:
            raise ValueError(f"until of the last phase must be 1: {phases[-1].name} ends at {phases[-1].until}")
        if len({phase.name for phase in phases}) < len(phases):
            raise ValueError(f"names must differ: {', '.join(phase.name for phase in phases)}")
        return phases


PLAIN: tuple[Phase, ...] = ()  # no phases: all factors are 1


class Knobs(NamedTuple):
    """The numbers that a phase turns, as one iteration takes them."""

    phase: str | None  # None without phases
    learning_rate: float  # factor
    entropy_weight: float  # factor
    epochs: int


def load_schedule(name: str) -> tuple[Phase, ...]:
    """Return the phases of a schedule: one in a folder configs/schedules/, found as presets are, or a file.

    Raises:
        InputError: There is none of that name, or it breaks a rule.
    """
    folders = [folder / "schedules" for folder in preset_folders()]
    paths = [Path(name), *(folder / f"{name}.yaml" for folder in folders)]
    path = next((each for each in paths if each.is_file()), None)
    if path is None:
        known = {file.stem for folder in folders for file in folder.glob("*.yaml")}
        raise InputError(f"schedule {name}", "no such schedule or file", did_you_mean(name, known))
    data, _ = load_file(str(path))
    try:
        return Schedule.model_validate(data).phases
    except ValidationError as error:
        raise _told(path, error) from None


def _told(path: Path, error: ValidationError) -> InputError:
    """Return the first violation as file and key, rule and value."""
    first: Any = error.errors()[0]
    parts = [str(part) for part in first["loc"]]
    more = f" (1 of {error.error_count()} errors)" if error.error_count() > 1 else ""
    where = f"{path}: {'.'.join(parts)}"
    if first["type"] == "extra_forbidden":
        known = Schedule.model_fields if len(parts) == 1 else Phase.model_fields
        return InputError(where, f"unknown key '{parts[-1]}'{more}", did_you_mean(parts[-1], known))
    message = first["msg"].removeprefix("Value error, ")
    got = "" if isinstance(first["input"], dict | list) else f", got {json.dumps(first['input'], default=str)}"
    return InputError(where, f"{message[0].lower()}{message[1:]}{got}{more}", REMEDY)


def knobs_of(phases: tuple[Phase, ...], iteration: int, iterations: int, base_epochs: int) -> Knobs:
    """Return the numbers of an iteration; it belongs to the phase in which its middle lies.

    So a programme of one iteration is in the phase at one half, neither in the first nor in the last.

    Args:
        phases: As loaded, or PLAIN.
        iteration: From 0.
        iterations: Of the whole programme.
        base_epochs: ppo.epochs.
    """
    middle = (iteration + 0.5) / iterations
    for phase in phases:
        if middle <= phase.until:
            return Knobs(phase.name, phase.learning_rate, phase.entropy_weight, _epochs(phase, base_epochs))
    return Knobs(None, 1.0, 1.0, base_epochs)


def most_epochs(phases: tuple[Phase, ...], base_epochs: int) -> int:
    """Return the most epochs of any phase: the static size of the one compiled program."""
    return max((_epochs(phase, base_epochs) for phase in phases), default=base_epochs)


def _epochs(phase: Phase, base: int) -> int:
    return max(1, round(base * phase.epochs))
