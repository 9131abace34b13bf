"""Late orders: an action waits some bars before the rules read it."""

from collections import deque
from typing import Any

import numpy as np

from eval_bridge.backtester import Actor
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError
from jaxtrade.rules import AccountView


def hold_action(config: EnvConfig, symbols: int) -> Any:
    """Return the action that orders nothing from a fresh account: a whole number, or zeros [N].

    Raises:
        InputError: None does: `positions` without the exposure 0.
    """
    if config.action != "positions":
        return 0 if config.choices is not None else np.zeros(symbols)
    if 0.0 not in config.positions:
        exposures = ", ".join(f"{exposure:g}" for exposure in config.positions)
        raise InputError("positions", f"holds no exposure of 0 ({exposures}): no action waits", "Add 0, or wait no bar")
    return config.positions.index(0.0)


def delayed(actor: Actor, delay: int, config: EnvConfig, symbols: int) -> Actor:
    """Return the actor whose actions reach the rules `delay` bars late.

    The actor is asked at every bar, with the account as it then stands; what it answers waits in a queue outside the
    rules and is decoded `delay` bars later, on the account and the market of that later close. The first bars hold.
    The value estimate does not wait: it is about the account that the actor saw.

    Args:
        actor: Whose actions.
        delay: Bars, 0 or more.
        config: The rules.
        symbols: Symbols of the market, N.

    Raises:
        InputError: The delay is negative, or no action holds.
    """
    if delay < 0:
        raise InputError("delay", f"{delay} bars", "Give 0 or more")
    if delay == 0:
        return actor
    waiting = deque([hold_action(config, symbols)] * delay)

    def act(bar: int, view: AccountView) -> tuple[Any, float]:
        action, value = actor(bar, view)
        waiting.append(np.array(action))
        return waiting.popleft(), value

    return act
