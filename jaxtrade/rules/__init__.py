"""The rule book: pure functions of arrays, written once for both engines.

Every function takes the array namespace `xp` first (numpy, jax.numpy, any array-API namespace). Per-account fields
have shape `[...]`, per-symbol fields and every rate that meets them `[..., S]` or `[..., 1]`; the leading axes are
whatever the caller batches over. Money is a multiple of the starting capital, positions are signed values at the last
mark, moves are returns. The order of the rules is in `advance`; the equations are in docs/accounting.md.
"""

from jaxtrade.rules.advance import advance
from jaxtrade.rules.book import RuleBook, make_rule_book, open_account
from jaxtrade.rules.observe import observe
from jaxtrade.rules.rewards import Reward
from jaxtrade.rules.types import (
    Account,
    AccountView,
    Costs,
    Known,
    Orders,
    Outcome,
    Record,
    RewardParams,
    RuleParams,
)

__all__ = [
    "Account",
    "AccountView",
    "Costs",
    "Known",
    "Orders",
    "Outcome",
    "Record",
    "Reward",
    "RewardParams",
    "RuleBook",
    "RuleParams",
    "advance",
    "make_rule_book",
    "observe",
    "open_account",
]
