"""The bridge: policy bundles, their NumPy forward pass, the stateful backtester and inference. Never imports JAX."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eval_bridge.api import Policy
    from eval_bridge.stateful_env import StatefulTradingEnv

__all__ = ["Policy", "StatefulTradingEnv"]
HOMES = {"Policy": "api", "StatefulTradingEnv": "stateful_env"}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: `import eval_bridge` costs nothing."""
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"eval_bridge.{HOMES[name]}"), name)
