"""The compiled environment: the rule book under JAX, on gymnax 1.x; and made-up markets."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxtrade.envs.trading import EnvParams, EnvState, Obs, TradingCore, TradingEnv, make_env, make_env_params
    from jaxtrade.envs.wrappers import ToGymnasium

__all__ = ["EnvParams", "EnvState", "Obs", "ToGymnasium", "TradingCore", "TradingEnv", "make_env", "make_env_params"]


def __getattr__(name: str) -> Any:
    """Import the environment when it is asked for: gymnax takes seconds, which the processes next door do not need."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "wrappers" if name == "ToGymnasium" else "trading"
    return getattr(importlib.import_module(f"jaxtrade.envs.{module}"), name)
