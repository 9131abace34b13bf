"""Random accounts in random markets under random rules: the inputs of one bar, many at a time.

All numbers are float32 numbers, so that a float32 and a float64 engine can be given identical inputs.
"""

from typing import Any, NamedTuple

import numpy as np

from jaxtrade.rules import Account, Known, Outcome, RuleBook, RuleParams, make_rule_book
from jaxtrade.rules.rewards import REWARDS
from jaxtrade.rules.types import RewardParams

EXPOSURES = (-1.0, -0.5, 0.0, 0.5, 1.0)
Random = np.random.Generator


class Kind(NamedTuple):
    """What is static: one compiled program."""

    action: str
    symbols: int = 1
    short: bool = False
    lots: bool = False

    @property
    def book(self) -> RuleBook:
        exposures = EXPOSURES if self.short else EXPOSURES[2:]
        rewards = (REWARDS["log_return"],)
        return make_rule_book(self.action, rewards, allow_short=self.short, lots=self.lots, exposures=exposures)


class States(NamedTuple):
    """What `advance` is given, after the namespace and the book; every leaf has a leading axis of accounts."""

    params: RuleParams
    account: Account
    action: np.ndarray
    known: Known
    outcome: Outcome

    def each(self, function: Any) -> "States":
        """Return the states with a function applied to every leaf."""
        return tree_map(function, self)


def tree_map(function: Any, tree: Any) -> Any:
    """Apply a function to every leaf of nested (named) tuples."""
    if isinstance(tree, tuple):
        leaves = [tree_map(function, leaf) for leaf in tree]
        return type(tree)(*leaves) if hasattr(tree, "_fields") else tuple(leaves)
    return None if tree is None else function(tree)


def narrow(leaf: Any) -> Any:
    """Round to float32, flags apart."""
    return leaf if leaf.dtype == bool else leaf.astype(np.float32)


def widen(leaf: Any) -> Any:
    """Cast to float64, flags apart."""
    return leaf if leaf.dtype == bool else leaf.astype(np.float64)


def random_states(kind: Kind, count: int, seed: int) -> States:
    """Return float32 states of `count` accounts."""
    random = np.random.default_rng((seed, *map(ord, kind.action), *kind[1:]))
    close = log_uniform(random, 1e-3, 1e5, (count, kind.symbols))
    params = random_params(random, kind, close)
    close = narrow(close)
    account = random_account(random, kind, close, params)
    known, outcome = random_market(random, close)
    return States(params, account, random_action(random, kind, account, close, params), known, outcome)


def log_uniform(random: Random, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
    return np.exp(random.uniform(np.log(low), np.log(high), shape))


def often(random: Random, share: float, value: np.ndarray, otherwise: float) -> np.ndarray:
    """Return the values with a share of them, the others being one number."""
    return np.where(random.random(value.shape) < share, value, otherwise)


def random_params(random: Random, kind: Kind, close: np.ndarray) -> RuleParams:
    """Return rules; a part of the rates differs by symbol, some are 0."""
    count, symbols = close.shape
    capital = log_uniform(random, 1e3, 1e6, (count,))

    def rate(high: float, share: float = 0.7, low: float = 0.0) -> np.ndarray:
        return often(random, share, random.uniform(low, high, (count, symbols)), 0.0)

    def one(low: float, high: float, share: float = 1.0, otherwise: float = 0.0) -> np.ndarray:
        return often(random, share, random.uniform(low, high, (count, 1)), otherwise)

    money = capital[:, None]
    # A lot of 1e-5 to 0.1 capitals, its size a power of ten, and no lot size for some symbols.
    lot = 10 ** np.round(np.log10(log_uniform(random, 1e-5, 0.1, close.shape) * money / close))
    rules = RuleParams(
        buy_rate=rate(0.01),
        sell_rate=rate(0.01),
        min_commission=one(0, 0.005, 0.4) * money,
        duty_buy=rate(0.005, 0.3),
        duty_sell=rate(0.005, 0.3),
        half_spread=rate(0.005),
        slippage=rate(0.005),
        borrow_rate=rate(0.2),
        interest_rate=one(0, 0.2, 0.7)[:, 0],
        lot_size=often(random, 0.8, lot, 0.0) if kind.lots else np.zeros((count, 1)),
        min_notional=one(0, 0.02, 0.4) * money,
        max_trade=one(0.05, 1.0, 0.3, np.inf),
        max_position=one(0.1, 1.5, 0.3, np.inf),
        max_leverage=random.uniform(0.5, 3.0, count),
        maintenance_margin=random.uniform(0.1, 0.4, count),
        ruin_floor=random.uniform(0.01, 0.1, count),
        dead_band=one(0, 0.1, 0.7),
        trade_limit=one(0.05, 3.0),
        recovery=random.uniform(0, 1, (count, symbols)),
        capital=capital,
        reward=RewardParams(np.ones((count, 1)), *(np.full(count, 0.5) for _ in RewardParams._fields[1:])),
    )
    return tree_map(narrow, rules)


def random_account(random: Random, kind: Kind, close: np.ndarray, params: RuleParams) -> Account:
    """Return accounts that trading can lead to: whole lots worth their price, a market that moved since the fill."""
    shape = close.shape
    equity = log_uniform(random, 0.2, 5.0, shape[:1])
    weight = random.normal(0, 1, shape) if kind.short else np.abs(random.normal(0, 1, shape))
    weight = often(random, 0.7, weight, 0.0)
    gross = np.sum(np.abs(weight), axis=-1, keepdims=True)
    most = params.max_leverage[:, None] * random.choice([0.2, 0.9, 1.0, 1.1], (shape[0], 1))
    position = weight / np.where(gross > 0, gross, 1) * most * equity[:, None]
    unit = widen(params.lot_size) * widen(close) / widen(params.capital)[:, None]
    in_lots = np.broadcast_to(unit > 0, shape)
    lots = np.where(in_lots, np.round(position / np.where(in_lots, unit, 1)), 0.0)
    position = np.where(in_lots, lots * unit, position)
    cash = equity - np.sum(position, axis=-1)
    basis = position * random.uniform(0.6, 1.5, shape)
    idle = np.floor(log_uniform(random, 1, 500, shape)) - 1
    peak = equity * random.uniform(1, 2, shape[0])
    return tree_map(narrow, Account(cash, position, lots, basis, peak, idle, memory=()))


def random_market(random: Random, close: np.ndarray) -> tuple[Known, Outcome]:
    """Return the market around a close: calm or wild, now and then without an open or a close, or the end of it."""
    shape = close.shape
    wild = random.choice([0.01, 0.05, 0.3], (shape[0], 1), p=[0.6, 0.3, 0.1])
    has_open, has_close = random.random((2, *shape)) < 0.95
    leaves = random.random(shape) < 0.02
    can_fill = has_open & ~leaves
    gap = np.where(can_fill, np.exp(random.normal(0, 1, shape) * wild) - 1, 0.0)
    move = np.where(leaves, 0.0, np.where(has_close | ~can_fill, np.exp(random.normal(0, 1, shape) * wild) - 1, 0.0))
    start = widen(close) * (1 + gap)
    outcome = Outcome(
        gap=gap,
        move=move,
        can_fill=can_fill,
        years=random.integers(1, 8, shape[0]) / 365,
        fill_price=np.where(can_fill, start, np.nan),
        mark=start * (1 + move),
        income=often(random, 0.1, random.uniform(0, 0.03, shape), 0.0),
        exit=leaves,
    )
    return Known(random.random(shape) < 0.95, close), tree_map(narrow, outcome)


def random_action(random: Random, kind: Kind, account: Account, close: np.ndarray, params: RuleParams) -> np.ndarray:
    """Return actions; some at an edge, some beyond the bounds, some no numbers."""
    shape = account.position.shape
    if kind.action in ("discrete9", "positions"):
        count = 9 if kind.action == "discrete9" else len(EXPOSURES if kind.short else EXPOSURES[2:])
        return random.integers(-1, count + 1, shape[:1]).astype(np.float32)
    numbers = {"target_weight": some_weights, "orders": some_orders}.get(kind.action, some_shares)
    action = numbers(random, account, close, params)
    action = np.where(random.random(shape) < 0.15, 0.0, action)
    return np.where(random.random(shape) < 0.02, np.nan, action).astype(np.float32)


def some_shares(random: Random, account: Account, close: np.ndarray, params: RuleParams) -> np.ndarray:
    """Return shares of equity or cash, a part of them at the edge of the dead band, and whole ones."""
    shape = close.shape
    edge = params.dead_band * random.choice([-1, 1], shape)
    action = np.where(random.random(shape) < 0.1, edge, random.normal(0, 0.6, shape))
    return np.where(random.random(shape) < 0.1, random.choice([-1, 1], shape), action)


def some_weights(random: Random, account: Account, close: np.ndarray, params: RuleParams) -> np.ndarray:
    """Return weights, a part of them as they are held."""
    equity = account.cash + np.sum(account.position, axis=-1)
    held = account.position / equity[:, None]
    action = random.normal(0.2, 1.0, close.shape) * random.choice([0.2, 1.0, 3.0], (len(close), 1))
    return np.where(random.random(close.shape) < 0.1, held, action)


def some_orders(random: Random, account: Account, close: np.ndarray, params: RuleParams) -> np.ndarray:
    """Return lots or units worth a part of the equity, whole and broken, closing ones, and all-in."""
    shape = close.shape
    size = np.where(params.lot_size > 0, params.lot_size, 1)
    held = account.position * params.capital[:, None] / (size * close)
    equity = account.cash + np.sum(account.position, axis=-1)
    wanted = random.normal(0, 0.5, shape) * (equity * params.capital)[:, None] / (size * close)
    action = np.where(random.random(shape) < 0.6, np.round(wanted), wanted)
    action = np.where(random.random(shape) < 0.2, -held * random.choice([0.5, 1, 2], shape), action)
    return np.where(random.random(shape) < 0.15, random.choice([-np.inf, np.inf], shape), action)
