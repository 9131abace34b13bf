"""Which rules apply: a frozen record of pure functions, chosen by name."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtrade.rules import rewards
from jaxtrade.rules.actions import decode_continuous, decode_discrete9
from jaxtrade.rules.types import Account, Array, Known, Namespace, Orders, Record, RuleParams

Decoder = Callable[[Namespace, Array, Account, Known, RuleParams], Orders]
Reward = Callable[[Namespace, Record], Array]

DECODERS: dict[str, Decoder] = {"continuous": decode_continuous, "discrete9": decode_discrete9}
REWARDS: dict[str, Reward] = {"log_return": rewards.log_return, "fast_profit": rewards.fast_profit}


class RuleBook(NamedTuple):
    """The static half of the rules; the numbers are in RuleParams."""

    decode: Decoder
    reward: Reward
    allow_short: bool


def make_rule_book(action: str, reward: str, allow_short: bool) -> RuleBook:
    """Return the rule book of the named decoder and reward; KeyError for an unknown name."""
    return RuleBook(decode=DECODERS[action], reward=REWARDS[reward], allow_short=allow_short)
