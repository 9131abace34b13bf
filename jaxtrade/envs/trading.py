"""The trading environment: two observations, one transition.

`TradingCore` observes indices and the account (`Obs`), for trainers that encode the market once. `TradingEnv` changes
only the observation: a flat vector with the materialised window, for any gymnax client.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments import environment, spaces

from jaxtrade.assemble import TOGETHER, rule_book, rule_params, rule_ranges
from jaxtrade.config import EnvConfig
from jaxtrade.custom import load_reward, sample_params, sample_record
from jaxtrade.envs.stats import EpisodeStats, empty_stats, summarize, update_stats
from jaxtrade.envs.synthetic import synthetic_table
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import Account, Known, Outcome, Record, RuleParams, advance, observe, open_account
from jaxtrade.rules.rewards import REWARDS


@struct.dataclass
class EnvParams(environment.EnvParams):
    """A market and the rules' numbers; all traced, so that new data or costs of the same shape compile nothing."""

    features: jax.Array = None  # [T, N, F]
    known: Known = None  # leaves [T, N]
    outcome: Outcome = None  # leaves [T, N], years [T]
    rules: RuleParams = None
    ranges: dict[str, tuple[jax.Array, jax.Array]] = None  # lower and upper ends of what is drawn at reset
    first_bar: jax.Array = None  # [] first decision
    last_bar: jax.Array = None  # [] where an episode is truncated at the latest


@struct.dataclass
class EnvState(environment.EnvState):
    """One account on its way through the market."""

    time: jax.Array  # [] steps since the reset
    t: jax.Array  # [] the bar whose close has just been seen
    account: Account
    drawn: dict[str, jax.Array]  # the rules' numbers that this environment drew at its reset
    stats: EpisodeStats


class Obs(NamedTuple):
    """What `TradingCore` observes: where in the market, and the account; each field within [-1, 1]."""

    t: jax.Array  # [] bar
    assets: jax.Array  # [N, 4] weight, unrealised return, idle, tradable
    account: jax.Array  # [3 + M] cash share, drawdown, margin distance, memory of the reward


class TradingCore(environment.Environment[EnvState, EnvParams]):
    """The trading environment with the index observation."""

    def __init__(self, config: EnvConfig | None = None) -> None:
        self.config = config or EnvConfig()
        self.book = rule_book(self.config)
        for name in self.config.reward:
            check_compiles(name)

    @property
    def default_params(self) -> EnvParams:
        """Return a tiny synthetic market."""
        table = synthetic_table(self.config.window)
        return make_env_params(table, table.ranges["train"], self.config)

    def transition(
        self, state: EnvState, action: jax.Array, known: Known, outcome: Outcome, params: EnvParams
    ) -> tuple[EnvState, jax.Array, Record]:
        """Advance one account by one bar whose row, leaves [N], the caller has already gathered."""
        rules = params.rules._replace(**state.drawn)
        account, record = advance(jnp, self.book, rules, state.account, action, known, outcome)
        stats = update_stats(state.stats, record)
        return state.replace(time=state.time + 1, t=state.t + 1, account=account, stats=stats), record.reward, record

    def step_env(
        self, key: jax.Array, state: EnvState, action: jax.Array, params: EnvParams
    ) -> tuple[Any, EnvState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """Step without reset; returns observation, state, reward, terminated, info."""
        known, outcome = market_row(params, state.t)
        state, reward, record = self.transition(state, action, known, outcome, params)
        info = {
            "discount": 1 - record.ruined.astype(reward.dtype),
            "equity": record.equity,
            "fees": record.fees,
            "blocked": record.blocked,
            "rejected": record.rejected,
            "episode": summarize(state.stats),
        }
        return self.observe(key, state, action, params), state, reward, record.ruined, info

    @partial(jax.jit, static_argnames=("self",))
    def step(
        self, key: jax.Array, state: EnvState, action: jax.Array, params: EnvParams | None = None
    ) -> tuple[Any, EnvState, jax.Array, jax.Array, jax.Array, dict[str, Any]]:
        """Step, and reset where the episode has ended; as gymnax's own, at a fraction of its cost.

        gymnax observes both the state that was reached and a fresh one, and draws for both. Here the small state is
        selected first, observed once, and the key is drawn from for the fresh one alone.

        Returns:
            Observation, state, reward, terminated, truncated, info with `final_observation` before any reset.
        """
        params = self.default_params if params is None else params
        final, reached, reward, terminated, info = self.step_env(key, state, action, params)
        truncated = self.is_truncated(reached, params)
        fresh = self.draw_start(key, params)
        state = jax.tree.map(lambda new, old: jnp.where(terminated | truncated, new, old), fresh, reached)
        info |= {"terminated": terminated, "truncated": truncated, "final_observation": final}
        return self.observe(key, state, None, params), state, reward, terminated, truncated, info

    def draw_start(self, key: jax.Array, params: EnvParams) -> EnvState:
        """Return a fresh account at a bar drawn uniformly over the decisions of the range.

        One draw of 32 bits, folded onto the range: the first bars are likelier than the last by a share of at most
        bars / 2**32.
        """
        bars = (params.last_bar - params.first_bar).astype(jnp.uint32)
        bar = params.first_bar + (jax.random.bits(key) % bars).astype(jnp.int32)
        return self.fresh(params, bar, key)

    def reset_at(self, key: jax.Array, params: EnvParams, bar: jax.Array) -> tuple[Any, EnvState]:
        """Open a fresh account at the close of a bar."""
        state = self.fresh(params, bar, key)
        return self.observe(key, state, None, params), state

    def fresh(self, params: EnvParams, bar: jax.Array, key: jax.Array | None = None) -> EnvState:
        """Return a fresh account at a bar, with what is given as a range drawn anew; without a key, at its middle."""
        account = open_account(jnp, self.book, params.outcome.gap[0])
        stats = empty_stats(account.cash.dtype)
        drawn = draw_rules(params, key)
        return EnvState(time=jnp.zeros_like(bar), t=bar, account=account, drawn=drawn, stats=stats)

    def reset_env(self, key: jax.Array, params: EnvParams) -> tuple[Any, EnvState]:
        """Open a fresh account at a bar drawn uniformly over the decisions of the range."""
        state = self.draw_start(key, params)
        return self.observe(key, state, None, params), state

    def view(self, state: EnvState, known: Known, params: EnvParams) -> Obs:
        """Observe the account at a bar whose known part, leaves [N], the caller has already gathered."""
        seen = observe(jnp, self.book, state.account, known, params.rules)
        return Obs(t=state.t, assets=seen.assets, account=seen.account)

    def observe(self, key: jax.Array, state: EnvState, action: jax.Array | None, params: EnvParams) -> Any:
        """Return `Obs`."""
        del key, action
        return self.view(state, market_row(params, state.t)[0], params)

    def is_truncated(self, state: EnvState, params: EnvParams) -> jax.Array:
        """True at the end of the data range or of the episode's steps: the future goes on, we stop looking."""
        return (state.t >= params.last_bar) | (state.time >= params.max_steps_in_episode)

    def is_terminated(self, state: EnvState, params: EnvParams) -> jax.Array:
        """True after ruin."""
        del params
        return state.stats.ruins > 0

    def action_space(self, params: EnvParams) -> spaces.Box | spaces.Discrete:
        """Return Discrete(n), or a box with one number per symbol, within what the decoder clips to."""
        if self.config.choices is not None:
            return spaces.Discrete(self.config.choices)
        return spaces.Box(*self.config.bounds, (params.features.shape[1],), jnp.float32)

    def observation_space(self, params: EnvParams) -> spaces.Dict:
        """Return the space of `Obs` as a dictionary of its fields."""
        bars, symbols, _ = params.features.shape
        return spaces.Dict(
            {
                "t": spaces.Discrete(bars),
                "assets": spaces.Box(-1.0, 1.0, (symbols, 4), jnp.float32),
                "account": spaces.Box(-1.0, 1.0, (3 + len(self.book.memory),), jnp.float32),
            }
        )


class TradingEnv(TradingCore):
    """The trading environment with the window materialised: one flat vector for any gymnax client."""

    def observe(self, key: jax.Array, state: EnvState, action: jax.Array | None, params: EnvParams) -> jax.Array:
        """Return the last `window` rows of features, then the account, [window * N * F + N * 4 + 3 + M]."""
        obs = super().observe(key, state, action, params)
        start = obs.t - (self.config.window - 1)
        window = jax.lax.dynamic_slice_in_dim(params.features, start, self.config.window, axis=0)
        dtype = obs.account.dtype
        return jnp.concatenate([window.ravel().astype(dtype), obs.assets.ravel(), obs.account])

    def observation_space(self, params: EnvParams) -> spaces.Box:
        """Return the box of the flat vector; normalised features are clipped at `market.features.clip`."""
        _, symbols, features = params.features.shape
        size = self.config.window * symbols * features + symbols * 4 + 3 + len(self.book.memory)
        return spaces.Box(-jnp.inf, jnp.inf, (size,), jnp.float32)


def market_row(params: EnvParams, t: jax.Array) -> tuple[Known, Outcome]:
    """Gather row t; leaves [N]."""
    return jax.tree.map(lambda leaf: leaf[t], (params.known, params.outcome))


def check_compiles(name: str) -> None:
    """Trace a user's reward once.

    Raises:
        InputError: It uses something else than the array namespace it is given, or decides on the value of an array.
    """
    if name in REWARDS:
        return
    reward = load_reward(name)
    memory = tuple(np.full(3, value) for value in reward.start)
    try:
        jax.eval_shape(partial(reward.step, jnp), memory, sample_record(), sample_params())
    except Exception as error:  # whatever a user's function raises is the user's to mend
        what = f"cannot be compiled: {type(error).__name__}: {str(error).splitlines()[0]}"
        raise InputError(f"env.reward '{name}'", what, "Use the xp it is given, and xp.where instead of if") from None


def draw_rules(params: EnvParams, key: jax.Array | None) -> dict[str, jax.Array]:
    """Return the rules' numbers that are given as ranges, drawn uniformly; without a key, their middles."""
    drawn = {}
    for name, (low, high) in params.ranges.items():
        share = jnp.full((), 0.5, low.dtype)
        if key is not None:
            stream = RuleParams._fields.index(TOGETHER.get(name, name))
            share = jax.random.uniform(jax.random.fold_in(key, stream), (), low.dtype)
        drawn[name] = low + share * (high - low)
    return drawn


def make_env(config: EnvConfig, windowed: bool = False) -> TradingCore:
    """Return the environment; `windowed` for outside clients."""
    return TradingEnv(config) if windowed else TradingCore(config)


def make_env_params(table: MarketTable, span: Range, config: EnvConfig, dtype: Any = jnp.float32) -> EnvParams:
    """Put one range of a market on the device; what lies after the range is NaN there.

    Args:
        table: The market.
        span: The range whose decisions are allowed.
        config: The rules' configuration.
        dtype: Floating type of the account and the returns; features stay float32.
    """
    features, known, outcome = table.restricted(span)

    def to_device(leaf: Any) -> jax.Array:
        return jnp.asarray(leaf, dtype=None if leaf.dtype == bool else dtype)

    return EnvParams(
        max_steps_in_episode=jnp.int32(span.decisions),
        features=jnp.asarray(features),
        known=jax.tree.map(to_device, known),
        outcome=jax.tree.map(to_device, outcome),
        rules=jax.tree.map(to_device, rule_params(config, table.symbols)),
        ranges=jax.tree.map(to_device, rule_ranges(config, table.symbols)),
        first_bar=jnp.int32(span.first),
        last_bar=jnp.int32(span.last),
    )
