"""Which rules apply: a frozen record of pure functions, chosen by name."""

from typing import NamedTuple

from jaxtrade.rules.actions import (
    Decoder,
    decode_continuous,
    decode_discrete9,
    decode_orders,
    decode_positions,
    decode_proportional,
    decode_target_weight,
)
from jaxtrade.rules.rewards import Reward, Step, combine
from jaxtrade.rules.types import Account, Array, Namespace

ONE_SYMBOL = ("proportional", "discrete9", "positions")  # these actions trade one symbol


class RuleBook(NamedTuple):
    """The static half of the rules; the numbers are in RuleParams."""

    decode: Decoder
    reward: Step
    memory: tuple[float, ...]  # first value of each accumulator of the reward
    memory_scale: tuple[float, ...]  # of each accumulator, in the observation
    allow_short: bool
    lots: bool  # has any symbol a lot size


def make_decoder(action: str, allow_short: bool, exposures: tuple[float, ...] = ()) -> Decoder:
    """Return the decoder of a kind of action; KeyError for an unknown name."""
    decoders: dict[str, Decoder] = {
        "continuous": decode_continuous,
        "proportional": decode_proportional,
        "discrete9": decode_discrete9,
        "target_weight": decode_target_weight(allow_short),
        "positions": decode_positions(exposures),
        "orders": decode_orders,
    }
    return decoders[action]


def make_rule_book(
    action: str,
    rewards: tuple[Reward, ...],
    *,
    allow_short: bool,
    lots: bool = False,
    exposures: tuple[float, ...] = (),
) -> RuleBook:
    """Return the rule book of a kind of action and a weighted sum of rewards; KeyError for an unknown action."""
    reward = combine(rewards)
    return RuleBook(
        decode=make_decoder(action, allow_short, exposures),
        reward=reward.step,
        memory=reward.start,
        memory_scale=reward.scale,
        allow_short=allow_short,
        lots=lots,
    )


def open_account(xp: Namespace, book: RuleBook, like: Array) -> Account:
    """Return a fresh account of capital 1.

    Args:
        xp: The array namespace.
        book: The rules, which know the accumulators of their reward.
        like: [..., S] array whose shape and dtype the positions take.
    """
    zero = xp.zeros_like(like)
    one = xp.ones_like(zero[..., 0])
    memory = tuple(one * value for value in book.memory)
    return Account(cash=one, position=zero, lots=zero, basis=zero, peak_equity=one, idle=zero, memory=memory)
