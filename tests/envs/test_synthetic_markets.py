"""Markets made on the device: the host's table and the host's account on the same bars, and thousands of them."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtrade.config import EnvConfig
from jaxtrade.envs.markets import LONG, feature_names, features, market_params, rules_alone
from jaxtrade.envs.processes import Prices, simulate, to_prices
from jaxtrade.envs.trading import EnvParams, TradingCore, TradingEnv
from jaxtrade.market.bars import Bars
from jaxtrade.market.process_kinds import GBM, Shape
from jaxtrade.market.table import make_outcome, marks

BARS, SYMBOLS, WINDOW = 120, 2, 10
CONFIG = EnvConfig(action="target_weight", allow_short=True, max_leverage=2.0)
WILD = GBM(0.0, 0.05)


@pytest.fixture(scope="module")
def prices() -> Prices:
    return jax.jit(lambda key: to_prices(simulate(key, WILD, Shape(), BARS, SYMBOLS)))(jax.random.key(2))


@pytest.fixture(scope="module")
def params(prices: Prices) -> EnvParams:
    return market_params(prices, rules_alone(CONFIG, SYMBOLS), WINDOW)


def on_the_host(prices: Prices) -> tuple[Bars, Any]:
    """Return the bars and the outcome of the host's path, float64."""
    columns = {name: np.asarray(leaf, np.float64) for name, leaf in prices._asdict().items()}
    time = np.datetime64("2010-01-01", "s") + np.arange(BARS) * np.timedelta64(1, "D")
    bars = Bars(time, tuple(f"S{n}" for n in range(SYMBOLS)), **columns)
    return bars, make_outcome(bars, marks(bars))


def test_the_outcome_is_the_hosts(prices: Prices, params: EnvParams) -> None:
    bars, outcome = on_the_host(prices)
    for name, host in outcome._asdict().items():
        leaf = getattr(params.outcome, name)
        assert (leaf is None) == (host is None), name
        if leaf is None:
            continue
        assert leaf.shape == host.shape
        assert leaf.dtype == (bool if host.dtype == bool else jnp.float32)
        np.testing.assert_allclose(leaf, host, rtol=2e-7, err_msg=name)  # of the returns themselves, however small
    np.testing.assert_array_equal(params.known.close, marks(bars))
    assert bool(params.known.tradable.all())
    assert (int(params.first_bar), int(params.last_bar)) == (LONG + WINDOW - 1, BARS - 1)


def test_ratios_less_one_would_not_do(prices: Prices) -> None:
    """The plain way to a return loses digits: the check above would show it."""
    host = on_the_host(prices)[1]
    planted = np.asarray(prices.open[1:] / prices.close[:-1] - 1)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(planted, host.gap[:-1], rtol=2e-7)


def equity(params: EnvParams, actions: jax.Array) -> jax.Array:
    """Return the equity after each action, [L]."""
    env = TradingCore(CONFIG)
    _, start = env.reset_at(jax.random.key(0), params, params.first_bar)

    def step(state: Any, action: jax.Array) -> tuple[Any, jax.Array]:
        _, state, _, _, info = env.step_env(jax.random.key(0), state, action, params)
        return state, info["equity"]

    return jax.lax.scan(step, start, actions)[1]


def test_the_account_is_that_of_the_hosts_market(prices: Prices, params: EnvParams) -> None:
    _, outcome = on_the_host(prices)
    leaves = jax.tree.map(lambda leaf: jnp.asarray(leaf, None if leaf.dtype == bool else jnp.float32), outcome)
    host = params.replace(outcome=leaves)
    actions = jax.random.uniform(jax.random.key(4), (BARS - 1 - LONG - WINDOW, SYMBOLS), minval=-1.0)
    run = jax.jit(equity)
    made = run(params, actions)
    np.testing.assert_allclose(made, run(host, actions), rtol=2e-6)
    assert np.ptp(made) > 0.05
    assert run._cache_size() == 1  # the same pytree, dtypes and shapes: one program


def test_features_are_causal(prices: Prices) -> None:
    made = jax.jit(features)
    seen = np.asarray(made(prices.close))
    assert_names(prices, seen)
    assert seen.shape == (BARS, SYMBOLS, len(feature_names()))
    assert np.isnan(seen[:LONG]).all()
    assert np.isfinite(seen[LONG:]).all()
    assert 0.5 < np.std(seen[LONG:]) < 2
    for t in (LONG, BARS - 2):
        changed = np.asarray(made(prices.close.at[t + 1 :].multiply(1.7)))
        np.testing.assert_array_equal(changed[: t + 1], seen[: t + 1])
        assert not np.array_equal(changed[t + 1], seen[t + 1])


def assert_names(prices: Prices, features_seen: np.ndarray) -> None:
    close, t = np.asarray(prices.close, np.float64)[:, 0], BARS - 3
    step = np.diff(np.log(close), prepend=np.log(close[0]))
    short, long = (np.sqrt(np.mean(step[t - bars + 1 : t + 1] ** 2)) for bars in (20, 60))
    seen = dict(zip(feature_names(), features_seen[t, 0], strict=True))
    assert seen["return_5"] == pytest.approx(np.log(close[t] / close[t - 5]) / (short * 5**0.5), rel=1e-4)
    assert seen["volatility"] == pytest.approx(np.log(short / long), abs=1e-5)


def test_constant_prices_have_features() -> None:
    flat = np.asarray(jax.jit(features)(jnp.full((BARS, SYMBOLS), 100.0, jnp.float32)))
    assert np.all(flat[LONG:] == 0)


@pytest.mark.nightly
def test_a_thousand_markets_in_one_program() -> None:
    calls: list[Any] = []
    rules = rules_alone(CONFIG, SYMBOLS)

    def one(key: jax.Array, process: GBM) -> jax.Array:
        calls.append(key)
        key_market, key_actions = jax.random.split(key)
        made = market_params(to_prices(simulate(key_market, process, Shape(), BARS, SYMBOLS)), rules, WINDOW)
        return equity(made, jax.random.uniform(key_actions, (20, SYMBOLS), minval=-1.0))[-1]

    many = jax.jit(jax.vmap(one))
    steady = GBM(jnp.zeros(1000, jnp.float32), jnp.linspace(0.01, 0.05, 1000, dtype=jnp.float32))
    ends = many(jax.random.split(jax.random.key(0), 1000), steady)
    assert bool(jnp.isfinite(ends).all())
    assert len(np.unique(ends)) > 990
    many(jax.random.split(jax.random.key(1), 1000), steady)
    assert len(calls) == 1


@pytest.mark.nightly
def test_the_page_of_the_documentation_runs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "synthetic.md").read_text("utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(block, names)
    env, keys = TradingEnv(EnvConfig(window=30)), jax.random.split(jax.random.key(1), 1000)
    _, state = jax.vmap(env.reset)(keys, names["markets"])
    actions = jnp.ones((1000, 1), jnp.float32)
    seen, _, reward, *_ = jax.vmap(env.step, in_axes=(0, 0, 0, 0))(keys, state, actions, names["markets"])
    assert bool(jnp.isfinite(seen).all())
    assert len(np.unique(reward)) > 900
    assert names["resampled"](jax.random.key(0)).features.shape == (500, 1, len(feature_names()))
