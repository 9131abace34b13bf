"""The callbacks of a run, in the order in which they are called."""

from collections.abc import Callable, Sequence

from jaxtrade.errors import InputError
from jaxtrade.importing import import_object, told
from train.callbacks.base import Callback
from train.callbacks.calls import name_of
from train.callbacks.early_stop import EarlyStop
from train.callbacks.episode_monitor import EpisodeMonitor
from train.callbacks.evaluation import Evaluation
from train.callbacks.gradient_monitor import GradientMonitor
from train.callbacks.metrics_log import MetricsLog
from train.callbacks.performance import Performance
from train.callbacks.progress import Progress
from train.config import RunConfig

MOMENTS = ("on_start", "on_chunk", "on_end", "saved", "restore")
REMEDY = "Name a subclass of train.callbacks.Callback, by `package.module:Class`, that can be imported from here"


def make_callbacks(config: RunConfig) -> list[Callback]:
    """Return our callbacks, then the user's: these find everything written, and see what ours decided.

    Raises:
        InputError: One of `callbacks` cannot be imported or made, or is no callback.
    """
    ours: list[Callback] = [Progress(), MetricsLog()]  # what others print when training ends comes below the view
    if config.monitor:
        ours.append(EpisodeMonitor(str(getattr(config, "data", getattr(config, "env", "")))))
    ours += [GradientMonitor(), Evaluation(), EarlyStop(), Performance()]
    made = [*ours, *make_own(config.callbacks)]
    names = [name_of(each) for each in made]
    for name, each in zip(config.callbacks, made[len(ours) :], strict=True):
        if names.count(name_of(each)) > 1:
            raise InputError(f"callbacks '{name}'", f"there are two of the name {name_of(each)}", "Rename the class")
    return made


def make_own(names: Sequence[str]) -> list[Callback]:
    """Return the user's callbacks.

    Raises:
        InputError: One cannot be imported or made, or is no callback.
    """
    return [_make(name) for name in names]


def _make(name: str) -> Callback:
    """Return an instance of a class named by `package.module:Class`."""
    where = f"callbacks '{name}'"
    if name.count(":") != 1:
        raise InputError(where, "is not of the form package.module:Class", REMEDY)
    kind: Callable[[], Callback] = import_object(where, name, REMEDY)
    try:
        made = kind()
    except Exception as error:  # whatever a user's class raises is the user's to mend
        raise InputError(where, f"cannot be made without arguments: {told(error)}", REMEDY) from None
    lacking = [moment for moment in MOMENTS if not callable(getattr(made, moment, None))]
    if isinstance(made, type) or lacking:
        raise InputError(where, f"is no callback: it has no {', '.join(lacking) or 'instance'}", REMEDY)
    return made
