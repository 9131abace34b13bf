"""The backtester, one decision at a time, for the clients of Gymnasium."""

from pathlib import Path
from typing import Any, SupportsFloat

import numpy as np
import numpy.typing as npt

from eval_bridge.backtester import Backtest, Engine, LotMethod, Step
from eval_bridge.rewards import find_reward
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.errors import InputError
from jaxtrade.market.splits import Range
from jaxtrade.market.table import MarketTable
from jaxtrade.rules import AccountView

try:
    import gymnasium
    from gymnasium.envs.registration import EnvSpec
except ImportError:
    raise InputError("StatefulTradingEnv", "gymnasium is not installed", "pip install gymnasium") from None

Observation = dict[str, npt.NDArray[np.float32]]


class StatefulTradingEnv(gymnasium.Env[Observation, Any]):
    """One account in the float64 backtester, with its full history and books; `result()` is the backtest so far.

    An observation holds `market`, the last `window` rows of features [W, N, F], `assets` [N, 4] and `account`
    [3 + M] as `jaxtrade.rules.observe` defines them. The episode terminates by ruin and is truncated at the end of the
    range. Nothing here is random.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # noqa: RUF012 - as Gymnasium declares it

    def __init__(
        self,
        table: MarketTable,
        config: EnvConfig,
        split: str | Range = "all",
        reward: str | None = None,
        lots: LotMethod = "fifo",
        render_mode: None = None,
    ) -> None:
        """Stand before the first decision of a range.

        Args:
            table: The market.
            config: The rules.
            split: Name of a range of the table, or a range.
            reward: What a step returns: a reward of the rule book, `sharpe`, `sortino`, or a user's own (default: as
                configured).
            lots: Which lots a trade closes.
            render_mode: None, as there is nothing to see.

        Raises:
            InputError: There is no such reward, or the range holds no decision.
        """
        self.table, self.config, self.lots, self.render_mode = table, config, lots, render_mode
        self.span = table.span(split) if isinstance(split, str) else split
        self.observation_space, self.action_space = spaces_of(table, config)
        self._reward = None if reward is None else find_reward(reward)
        params = rule_params(config, table.symbols)
        self._params, self._capital = params.reward, float(params.capital)
        self._engine: Engine | None = None
        kwargs = {"table": table, "config": config, "split": self.span, "reward": reward, "lots": lots}
        maker: Any = StatefulTradingEnv
        self.spec = EnvSpec("StatefulTradingEnv-v0", maker, kwargs=kwargs)

    @classmethod
    def from_bundle(
        cls, path: str | Path, data: str | None = None, split: str = "test", **options: Any
    ) -> "StatefulTradingEnv":
        """Return the environment that a policy trades in; a range with test bars is recorded in the trial ledger.

        Args:
            path: A `policy.npz`, or a run's folder.
            data: Another source than that of training; normalised as in training.
            split: Name of the range.
            **options: `reward` and `lots`.

        Raises:
            InputError: The bundle or the data is refused, or the range holds no decision.
        """
        from eval_bridge.bundle import bundle_path, load_bundle
        from eval_bridge.market import load_market, open_range
        from jaxtrade import trials

        file = bundle_path(Path(path))
        manifest = load_bundle(file).manifest
        table = load_market(manifest, data)
        env = cls(table, manifest.env, split, **options)
        open_range(trials.ledger_path(file), [file], table, split)
        return env

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Open a fresh account.

        Args:
            seed: Taken as Gymnasium asks; there is nothing to draw.
            options: `{"bar": t}` opens it at the close of bar t instead of the range's first.

        Raises:
            InputError: There is no such option, or no decision at that bar.
        """
        super().reset(seed=seed)
        first = self._first(options or {})
        self._engine = Engine(self.table, Range(first, self.span.last), self.config, lots=self.lots)
        self._memory = () if self._reward is None else tuple(map(np.float64, self._reward.start))
        self._counts = {"buys": 0, "sells": 0}
        start = {"equity": self._capital, "cash": self._capital, "position": np.zeros(len(self.table.symbols))}
        return self._observe(), self._about() | start

    def step(self, action: Any) -> tuple[Observation, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take an action at the close of the bar; return observation, reward, terminated, truncated and info.

        Raises:
            InputError: The episode is over.
            Mismatch: The books and the rules disagree.
        """
        engine = self.engine
        step = engine.step(action)
        terminated = bool(step.record.ruined)
        reward = step.reward
        if self._reward is not None:
            self._memory, paid = self._reward.step(np, self._memory, step.record, self._params)
            reward = float(paid)
        info = self._about() | self._figures(step)
        return self._observe(), reward, terminated, engine.over and not terminated, info

    @property
    def engine(self) -> Engine:
        """The backtester.

        Raises:
            gymnasium.error.ResetNeeded: Nothing was begun.
        """
        if self._engine is None:
            raise gymnasium.error.ResetNeeded("call reset() first")
        return self._engine

    def view(self) -> AccountView:
        """Return the account as a policy sees it, float64."""
        return self.engine.view()

    def result(self) -> Backtest:
        """Return the backtest so far, its books audited."""
        return self.engine.result()

    def _first(self, options: dict[str, Any]) -> int:
        if set(options) - {"bar"}:
            unknown = ", ".join(str(name) for name in options if name != "bar")
            raise InputError("reset options", f"{unknown}: no such option", "Give {'bar': t} or nothing")
        bar = options.get("bar", self.span.first)
        if not self.span.first <= bar < self.span.last:
            remedy = f"Take {self.span.first} to {self.span.last - 1}"
            raise InputError("reset options", f"no decision at bar {bar}", remedy)
        return int(bar)

    def _observe(self) -> Observation:
        bar, view = self.engine.bar, self.engine.view()
        return {
            "market": self.table.features[bar - self.table.window + 1 : bar + 1].copy(),
            "assets": np.asarray(view.assets, np.float32),
            "account": np.asarray(view.account, np.float32),
        }

    def _about(self) -> dict[str, Any]:
        return {"bar": self.engine.bar, "time": self.table.time[self.engine.bar], **self._counts}

    def _figures(self, step: Step) -> dict[str, Any]:
        """Return the account after a step, in money, and what the step did."""
        account, record, capital = step.account, step.record, self._capital
        traded = np.stack([record.fill_value, record.mark_value, record.exit_value])
        self._counts["buys"] += int(np.sum(traded > 0))
        self._counts["sells"] += int(np.sum(traded < 0))
        return {
            **self._counts,
            "equity": float(record.equity) * capital,
            "cash": float(account.cash) * capital,
            "position": np.asarray(account.position) * capital,
            "fees": float(record.fees) * capital,
            "turnover": float(record.turnover),
            "blocked": np.asarray(record.blocked),
            "rejected": np.asarray(record.rejected),
        }


def spaces_of(table: MarketTable, config: EnvConfig) -> tuple[gymnasium.spaces.Dict, gymnasium.Space[Any]]:
    """Return the spaces of observations and actions."""
    box = gymnasium.spaces.Box
    symbols, features = len(table.symbols), len(table.feature_names)
    most = np.float32(table.scaler.clip)
    observed: dict[str, gymnasium.Space[Any]] = {
        "market": box(-most, most, (table.window, symbols, features), np.float32),
        "assets": box(-1.0, 1.0, (symbols, 4), np.float32),
        "account": box(-1.0, 1.0, (3 + len(rule_book(config).memory),), np.float32),
    }
    if config.choices is not None:
        return gymnasium.spaces.Dict(observed), gymnasium.spaces.Discrete(config.choices)
    largest = float(np.finfo(np.float32).max)  # Gymnasium takes infinity for a slip
    low, high = np.clip(config.bounds, -largest, largest).tolist()
    return gymnasium.spaces.Dict(observed), box(low, high, (symbols,), np.float32)
