"""What happens between compiled chunks of updates; docs/callbacks.md."""

from train.callbacks.base import Callback, Fault, RunInfo, StepInfo

__all__ = ["Callback", "Fault", "RunInfo", "StepInfo"]
