"""Random markets and actions of every kind for the rule book, as plain NumPy in float64, many accounts at once."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.rules import Account, Known, Outcome, Record, RuleBook, RuleParams, advance, open_account

Array = np.ndarray


class World(NamedTuple):
    """What is traded, how long, by how many accounts, and how rough the market is (chances a bar and symbol)."""

    env: EnvConfig
    symbols: int = 3
    seed: int = 0
    lanes: int = 24
    bars: int = 120
    volatility: float = 0.02
    jumps: float = 0.01
    missing: float = 0.03
    dividends: float = 0.03
    delistings: float = 0.005
    unlisted: float = 0.1  # chance of a symbol to start late

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the symbols, for amounts that differ by symbol."""
        return tuple(f"S{n}" for n in range(self.symbols))

    @property
    def book(self) -> RuleBook:
        """Which rules apply."""
        return rule_book(self.env)

    @property
    def params(self) -> RuleParams:
        """The rules' numbers."""
        return rule_params(self.env, self.names)

    @staticmethod
    def known(outcome: Outcome) -> Known:
        """Return what is known before a night on which nothing moved: every symbol is tradable."""
        return Known(np.ones_like(outcome.can_fill), outcome.mark)


class Moment(NamedTuple):
    """One bar of every account, leaves [lanes, S] or [lanes]."""

    env: EnvConfig
    book: RuleBook
    params: RuleParams
    before: Account
    action: Array
    known: Known
    outcome: Outcome
    account: Account
    record: Record


Bar = tuple[Known, Outcome]
Choose = Callable[[int, Account, Known], Array]


def make_env(action: str = "continuous", **changes: Any) -> EnvConfig:
    """Return a configuration from flat keys: those of the costs are sorted into `costs`."""
    inner = EnvConfig.model_fields["costs"].annotation.model_fields
    costs = {key: changes.pop(key) for key in list(changes) if key in inner}
    return EnvConfig.model_validate({"action": action, "costs": costs} | changes)


def start_of(world: World) -> Account:
    """Return fresh accounts, one a lane."""
    return open_account(np, world.book, np.zeros((world.lanes, world.symbols)))


def trade(world: World) -> list[Moment]:
    """Trade a random market by random actions; a ruined account starts afresh."""
    random = np.random.default_rng(world.seed)
    bars, params = random_bars(world, random), world.params
    return play(world, bars, lambda _, account, known: random_action(world, params, account, known, random))


def play(world: World, bars: Iterable[Bar], choose: Choose, params: RuleParams | None = None) -> list[Moment]:
    """Carry accounts through the bars by `choose(number of the bar, account, known)`."""
    book, params = world.book, world.params if params is None else params
    fresh = account = start_of(world)
    moments = []
    for number, (known, outcome) in enumerate(bars):
        action = choose(number, account, known)
        after, record = advance(np, book, params, account, action, known, outcome)
        moments.append(Moment(world.env, book, params, account, action, known, outcome, after, record))
        account = restart(after, fresh, record.ruined)
    return moments


def restart(account: Account, fresh: Account, ruined: Array) -> Account:
    """Return fresh accounts in the lanes that are ruined."""

    def pick(old: Array, new: Array) -> Array:
        return np.where(ruined if new.ndim == ruined.ndim else ruined[..., None], new, old)

    return jax.tree.map(pick, account, fresh)


def chance(random: np.random.Generator, shape: tuple[int, ...], of: float) -> Array:
    """Return True with a chance, array of a shape."""
    return random.random(shape) < of


def random_prices(world: World, random: np.random.Generator) -> tuple[Array, Array, Array]:
    """Return opens and closes with holes (NaN), and delistings, each [bars + 1, lanes, S]."""
    shape = (world.bars + 1, world.lanes, world.symbols)
    steps = random.normal(0, world.volatility, (2, *shape))
    leaps = random.choice([-2.5, -0.7, -0.3, 0.3, 0.7, 1.5], (2, *shape))
    steps = steps + np.where(chance(random, (2, *shape), world.jumps), leaps, 0)
    start = random.uniform(np.log(1), np.log(1000), shape[1:])
    closes = start + np.cumsum(steps[0] + steps[1], axis=0)
    opens, closes = np.exp(closes - steps[1]), np.exp(closes)
    leaves = chance(random, shape, world.delistings)
    gone = np.roll(leaves, 1, axis=0)
    gone[0] = False
    first = np.where(chance(random, shape[1:], world.unlisted), random.integers(1, 30, shape[1:]), 0)
    absent = np.arange(shape[0])[:, None, None] < first
    listed = ~absent & (np.arange(shape[0])[:, None, None] <= first)  # the first bar has a price
    holes = [chance(random, shape, world.missing) & ~listed for _ in range(3)]
    opens[holes[0] | holes[2] | gone | absent] = np.nan
    closes[holes[1] | holes[2] | gone | absent] = np.nan
    return opens, closes, leaves


def random_bars(world: World, random: np.random.Generator) -> list[Bar]:
    """Return what is known and what comes of every bar, by docs/accounting.md."""
    opens, closes, leaves = random_prices(world, random)
    price = np.where(np.isfinite(closes), closes, opens)
    mark, bars = price[0], []
    for t in range(world.bars):
        known = Known(np.isfinite(closes[t]), mark)
        mark = np.where(np.isfinite(price[t + 1]), price[t + 1], mark)
        quiet = chance(random, mark.shape, 1 - world.dividends)
        income = np.where(quiet, 0, random.uniform(0, 0.05, mark.shape))
        years = random.choice([1, 3, 30], mark.shape[:1]) / 365
        bars.append((known, outcome_of(known.close, opens[t + 1], mark, leaves[t], years=years, income=income)))
    return bars


def outcome_of(before: Array, price: Array, mark: Array, leaves: Array, *, years: Array, income: Array) -> Outcome:
    """Return the outcome from the marks before and after, and the open between them (NaN where it is missing)."""
    can_fill = np.isfinite(price) & np.isfinite(before) & ~leaves
    start = np.where(can_fill, price, before)
    gap = np.where(can_fill, start / before - 1, 0)
    move = np.where(np.isfinite(before), mark / start - 1, 0)
    return Outcome(gap, move, can_fill, years, np.where(can_fill, price, np.nan), mark, income, leaves)


def random_action(
    world: World, params: RuleParams, account: Account, known: Known, random: np.random.Generator
) -> Array:
    """Return actions, [lanes] or [lanes, S]; some of them ask for the impossible."""
    kind, lanes, shape = world.env.action, world.lanes, account.position.shape
    if world.env.choices is not None:
        number = random.integers(-1, world.env.choices + 1, lanes).astype(float)
        return np.where(chance(random, (lanes,), 0.03), random.choice([np.nan, 1.5, np.inf], lanes), number)
    action = random.normal(0.1, 0.7, shape)
    action = np.where(chance(random, shape, 0.1), random.choice([0.0, 1.0, -1.0], shape), action)
    if kind == "orders":
        action = units_of(params, account, known, action)
    odd = random.choice([np.nan, np.inf, -np.inf, 1e30, -1e30], shape)
    return np.where(chance(random, shape, 0.05), odd, action)


def units_of(params: RuleParams, account: Account, known: Known, share: Array) -> Array:
    """Return orders for shares of the equity, in lots or units; a share of -1 or 1 closes what is held."""
    equity = account.cash + account.position.sum(axis=-1)
    unit = known.close * np.where(params.lot_size > 0, params.lot_size, 1) / params.capital[..., None]
    unit = np.where(unit > 0, unit, 1)
    held = np.where(params.lot_size > 0, account.lots, account.position / unit)
    with np.errstate(over="ignore"):  # what is too large for a number is all-in
        units = share * equity[..., None] / unit
    return np.where(np.abs(share) == 1, -held, units)


ONE = {
    "buy_percent": 0.05,
    "sell_percent": 0.2,
    "min_commission": 3.0,
    "stamp_duty_percent": 0.1,
    "stamp_duty_side": "both",
    "half_spread_bps": 3.0,
    "slippage_bps": 2.0,
    "borrow_percent": 3.0,
    "interest_percent": 5.0,
}
MANY = ONE | {
    "buy_percent": {"S0": 0.05, "default": 0.1},
    "min_commission": {"S1": 5.0, "default": 1.0},
    "slippage_bps": {"S1": 10.0, "default": 2.0},
    "delisting_recovery_percent": {"S0": 100.0, "default": 40.0},
}
LEVERED = {"allow_short": True, "max_leverage": 3.0}
EXPOSED = LEVERED | {"positions": (-2, -1, 0, 1, 2.5)}
LOTS = {"S0": 1.0, "S1": 100.0, "default": 0.0}
WORLDS = {
    "continuous": World(make_env(trade_limit_percent=60, **MANY), 5, seed=1),
    "continuous, short": World(make_env(trade_limit_percent=150, **LEVERED, **MANY), seed=2, jumps=0.04),
    "continuous, lots": World(make_env(trade_limit_percent=60, lot_size=LOTS, min_notional=200, **MANY), seed=3),
    "free": World(make_env(trade_limit_percent=300, buy_percent=0, sell_percent=0), 4, seed=4),
    "weights": World(make_env("target_weight", dead_band=0.02, **MANY), 4, seed=5),
    "weights, short": World(
        make_env("target_weight", max_position_percent=50, max_trade_percent=30, **LEVERED, **MANY), seed=6, jumps=0.03
    ),
    "weights, half": World(make_env("target_weight", max_leverage=0.5, lot_size=0.01, stamp_duty_percent=1), seed=7),
    "orders": World(make_env("orders", lot_size=1, **LEVERED, **MANY), seed=8),
    "orders of units": World(make_env("orders", max_position_percent=320, **LEVERED, **MANY), seed=9),
    "orders, long": World(make_env("orders", lot_size={"S0": 10, "default": 0}, min_notional=1e3, **MANY), seed=10),
    "discrete9": World(make_env("discrete9", **ONE), 1, seed=11, lanes=48),
    "proportional": World(make_env("proportional", lot_size=1, **ONE), 1, seed=12, lanes=48),
    "positions": World(make_env("positions", **EXPOSED, **ONE), 1, seed=13, lanes=48, jumps=0.04),
    "no floor to speak of": World(
        make_env("positions", ruin_percent=0.01, maintenance_margin_percent=0, **EXPOSED, **ONE), 1, seed=14, jumps=0.05
    ),
}
