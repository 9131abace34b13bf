"""Two engines, one rule book: what the compiled environment lives through, the backtester lives through too.

Accounts act at random for a thousand bars; both engines are given the same actions and never see each other, but for
choices in float32: where one differs (a lot, a trade) and is explained (train/parity.py), the float32
account is set to the float64 one and goes on. Differences and counts are logged (`--log-cli-level=INFO`).

What float32 loses is a share of the money that moves: an account that has lost 99 % of its capital, mostly by trading
at leverage 3 every bar, can be further off than SINGLE of its equity (2e-4 was seen); no account here is.
"""

import logging
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.assemble import rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.envs.trading import EnvParams, TradingCore, make_env_params, market_row
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account
from jaxtrade.rules.rewards import REWARDS
from tests.helpers.parity_cases import CASES, NIGHTLY, STEPS, actions_of, make_table, table_of
from tests.helpers.parity_paths import Path, paths, row, stacked
from tests.helpers.worlds import decisions
from train.parity import Bars, any_apart, apart, choices, reachable, unexplained

pytestmark = pytest.mark.optimized

DOUBLE, SINGLE, LOOSE, RARE = 1e-12, 2e-5, 1e-3, 2e-3
EVENTS = ("borrow", "interest", "income", "exit_loss", "realized", "blocked", "rejected", "filled_lots", "ruined")
LOG = logging.getLogger(__name__)
Change = Callable[[EnvParams], EnvParams]


@lru_cache
def program_of(static: str, with_choices: bool) -> Callable[..., Any]:
    """Return one compiled bar of many accounts: the environments after it, what it showed, and its choices."""
    core = TradingCore(EnvConfig.model_validate_json(static))

    def bar(params: EnvParams, state: Any, action: jax.Array) -> Any:
        known, outcome = market_row(params, state.t)
        view = core.view(state, known, params)
        after, reward, record = core.transition(state, action, known, outcome, params)
        given = (params.rules, state.account, action, known)
        made = choices(jnp, core.book, given, after.account, record) if with_choices else {"ruined": record.ruined}
        return after, Shown(record.equity, record.fees, reward, view.assets, view.account), made

    return jax.jit(jax.vmap(bar, (None, 0, 0)))


def static_part(config: EnvConfig) -> str:
    """Return what of a configuration is compiled in; its numbers are arguments."""
    names = {"action", "allow_short", "lot_size", "positions", "reward", "max_leverage", "maintenance_margin_percent"}
    return config.model_dump_json(include=names)


class Shown(NamedTuple):
    """What is compared, leaves [steps, accounts, ...]; the last two are what was seen before the bar."""

    equity: np.ndarray
    fees: np.ndarray
    reward: np.ndarray
    assets: np.ndarray
    account: np.ndarray


Lived = tuple[Shown, np.ndarray]  # and where, [steps, accounts], the account is alive and all choices are the same


def live_in_jax(
    table: MarketTable,
    config: EnvConfig,
    dtype: Any,
    wanted: Path,
    *,
    change: Change = lambda params: params,
    late: bool = False,
) -> Lived:
    """Take the actions of a path in the environment; `late` by one bar.

    In float32, an account whose choice differs is explained, and set to the wanted one.
    """
    span, core = decisions(table, STEPS), TradingCore(config)
    params = change(make_env_params(table, span, config, dtype))
    state = jax.vmap(core.fresh, (None, 0))(params, jnp.full(wanted.alive.shape[1], span.first, jnp.int32))
    program = program_of(static_part(config), dtype == jnp.float32)
    rows = jax.tree.map(lambda leaf: leaf[:, None], row(table, np.arange(span.first, span.last)))
    rules = rule_params(config, table.symbols)
    given = (rules, wanted.before, wanted.action, rows[0])
    expected = choices(np, core.book, given, wanted.after, wanted.record)
    seen, same = [], []
    for step, action in enumerate(np.roll(wanted.action, late, axis=0)):
        before = state.account
        state, shown, made = program(params, state, action)
        made = {name: np.asarray(each) for name, each in made.items()}
        here = {name: expected[name][step] for name in made}
        differs = any_apart(apart(made, here)) & wanted.alive[step]
        seen.append(jax.tree.map(np.asarray, shown))
        same.append(wanted.alive[step] & ~differs)
        if differs.any():
            inputs = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64)[differs], (before, wanted.action[step]))  # noqa: B023
            known, outcome = jax.tree.map(lambda leaf: leaf[step], rows)  # noqa: B023
            part = [{name: each[differs] for name, each in one.items()} for one in (made, here)]
            left = unexplained(*part, reachable(core.book, rules, Bars(*inputs, known, outcome)))
            assert not left, f"choices differ without a reason at step {step}: {left}"
            state = state.replace(account=reset(state.account, wanted.after, step, differs))
    return stacked(seen), np.stack(same)


def reset(account: Any, wanted: Account, step: int, where: np.ndarray) -> Any:
    """Set some accounts to the wanted ones, rounded."""

    def leaf(own: jax.Array, other: np.ndarray) -> jax.Array:
        mask = where.reshape(-1, *(1,) * (own.ndim - 1))
        return jnp.where(mask, jnp.asarray(other[step], own.dtype), own)

    return jax.tree.map(leaf, account, wanted)


# Comparison -----------------------------------------------------------------------------------------------------------


class Differences(NamedTuple):
    """The largest differences where the choices are the same; of equity relative, of the others absolute."""

    equity: float
    fees: float
    reward: float
    assets: float
    account: float
    steps: int
    resynchronised: int


def check(found: Lived, wanted: Path, close: float, loose: float) -> Differences:
    """Assert that equity and fees agree `close`ly, rewards and what a policy sees of its account `loose`ly.

    (Some rewards divide by the deviation of returns, and the unrealised return by what may be left of a basis.)
    """
    shown, same = found
    record, view = wanted.record, wanted.view
    truth = Shown(record.equity, record.fees, record.reward, view.assets, view.account)
    gaps = [np.abs(one[same] - other[same]) for one, other in zip(shown, truth, strict=True)]
    gaps[0] /= record.equity[same]
    for name, gap, bound in zip(Shown._fields, gaps, (close, close, loose, loose, loose), strict=True):
        assert np.all(gap <= bound), f"{name} differs by {gap.max():.3g}"
    alive, other = np.sum(wanted.alive), np.sum(wanted.alive & ~same)
    assert other <= RARE * alive, f"choices differ too often: at {other} of {alive} bars"
    return Differences(*(float(gap.max()) for gap in gaps), int(alive), int(other))


# Each case of the default tier in one precision at least; the nightly tier has all of them in both.
IN_SINGLE_ONLY = ("continuous, all costs", "target_weight, lots", "proportional", "positions")
IN_DOUBLE_ONLY = ("continuous, short, financed, delisted", "continuous, until ruin")


def names(later: tuple[str, ...]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.nightly] * (name in (*NIGHTLY, *later))) for name in CASES]


@lru_cache
def lived_through(name: str) -> Path:
    """Return the path of an account by the backtester, and of a few more where there are lots."""
    actions = actions_of(CASES[name], accounts=4 if "lots" in name else 1)
    return paths(table_of(name), CASES[name].config, actions, backtests=1)


@pytest.mark.parametrize("name", names(IN_SINGLE_ONLY))
def test_float64_environment_is_the_backtester(name: str, x64: None) -> None:
    case, wanted = CASES[name], lived_through(name)
    lived = live_in_jax(table_of(name), case.config, jnp.float64, wanted)
    LOG.info("float64, %s: %s", name, check(lived, wanted, DOUBLE, DOUBLE))


@pytest.mark.parametrize("name", names(IN_DOUBLE_ONLY))
def test_float32_environment_stays_close(name: str) -> None:
    wanted = lived_through(name)
    lived = live_in_jax(table_of(name), CASES[name].config, jnp.float32, wanted)
    LOG.info("float32, %s: %s", name, check(lived, wanted, SINGLE, LOOSE))


def test_everything_occurs() -> None:
    """In the cases of this tier: every action, reward, cost and event; and accounts that truly trade."""
    cases = {name: case for name, case in CASES.items() if name not in NIGHTLY}
    assert {case.config.action for case in cases.values()} == set(get_args(EnvConfig.model_fields["action"].annotation))
    assert {reward for case in cases.values() for reward in case.config.reward} | {"log_return"} == set(REWARDS)
    occurs: Counter[str] = Counter()
    for name in cases:
        wanted = lived_through(name)
        record = jax.tree.map(lambda leaf: leaf[wanted.alive], wanted.record)  # noqa: B023
        assert np.max(np.abs(record.equity - 1)) > 0.05
        assert np.mean(record.fees > 0) > 0.1
        fields = record.costs._asdict() | {field: getattr(record, field) for field in EVENTS}
        fields |= {"ruined at the mark": record.ruined & ~record.called}
        occurs.update({field: int(np.sum(value != 0)) for field, value in fields.items()})
    assert min(occurs.values()) > 0, occurs


@pytest.mark.nightly
@pytest.mark.parametrize("volatility", [None, 0.04], ids=["calm", "wild"])
def test_a_million_steps(volatility: float | None) -> None:
    steps = 0
    for name, case in CASES.items():
        world = case if volatility is None else case._replace(volatility=volatility)
        table, actions = make_table(world, seed=1), actions_of(case, 120, seed=1)
        wanted = paths(table, case.config, actions, backtests=2)
        single = live_in_jax(table, case.config, jnp.float32, wanted)
        found = check(single, wanted, SINGLE, LOOSE)
        LOG.info("float32, %s: %s", name, found)
        with jax.enable_x64(True):
            double = live_in_jax(table, case.config, jnp.float64, wanted)
            LOG.info("float64, %s: %s", name, check(double, wanted, DOUBLE, DOUBLE))
        steps += found.steps
    LOG.info("%d steps", steps)
    assert steps >= 1_000_000 or volatility is not None


# Planted faults ------------------------------------------------------------------------------------------------------

FAULTY = "continuous, all costs"


def fee_off(share: float) -> Change:
    return lambda params: params.replace(rules=params.rules._replace(buy_rate=params.rules.buy_rate * (1 + share)))


def fill_at_the_close(params: EnvParams) -> EnvParams:
    """The whole night is traded at the close before it."""
    gap, move = params.outcome.gap, params.outcome.move
    return params.replace(outcome=params.outcome._replace(gap=0 * gap, move=(1 + gap) * (1 + move) - 1))


def missing_opens_fill(params: EnvParams) -> EnvParams:
    return params.replace(outcome=params.outcome._replace(can_fill=params.outcome.can_fill | True))


def less_leverage(params: EnvParams) -> EnvParams:
    return params.replace(rules=params.rules._replace(max_leverage=params.rules.max_leverage * 0.99))


DOUBLE_FAULTS = {"fee off by a millionth": fee_off(1e-6), "fill at the close": fill_at_the_close}
SINGLE_FAULTS = {"fee off by a hundredth": fee_off(1e-2), "missing opens fill": missing_opens_fill}
SINGLE_FAULTS |= {"leverage off by a hundredth": less_leverage}
DIFFERS = r"^(equity|reward|fees|choices) differ"


def notice(dtype: Any, tolerances: tuple[float, float], **fault: Any) -> None:
    wanted = lived_through(FAULTY)
    with pytest.raises(AssertionError, match=DIFFERS):
        check(live_in_jax(table_of(FAULTY), CASES[FAULTY].config, dtype, wanted, **fault), wanted, *tolerances)


@pytest.mark.parametrize("name", DOUBLE_FAULTS)
def test_float64_notices(name: str, x64: None) -> None:
    notice(jnp.float64, (DOUBLE, DOUBLE), change=DOUBLE_FAULTS[name])


@pytest.mark.parametrize("name", SINGLE_FAULTS)
def test_float32_notices(name: str) -> None:
    notice(jnp.float32, (SINGLE, LOOSE), change=SINGLE_FAULTS[name])


def test_float32_notices_orders_one_bar_late() -> None:
    notice(jnp.float32, (SINGLE, LOOSE), late=True)
