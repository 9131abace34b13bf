"""Does our PPO learn what stable-baselines3 learns, and how soon? `python -m benchmarks.sb3_learning [--quick]`.

The same environment (ours, through `ToGymnasium` for the peer), the same network (bar and account -> 64 -> 64, tanh,
actor and critic apart) and the same hyper-parameters, for several seeds on a market with the planted sign of the next
bar's return; beside it, the peer at its own batch settings. Both are validated by the same compiled walk: the peer's
weights are put into our network, which is the same function (`tests/test_benchmark_sb3_learning.py`). Validations are
not part of the times.
"""

import copy
import time
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.harness import AtMost, Rate, Report, missing, parse_options, publish, summary
from jaxtrade.config import CostConfig, EnvConfig, MarketConfig
from jaxtrade.envs.synthetic import random_bars
from jaxtrade.envs.trading import EnvParams, TradingEnv, make_env_params
from jaxtrade.envs.wrappers import ToGymnasium
from jaxtrade.market.table import MarketTable, build_table
from train.config import TrainConfig
from train.evaluate import compile_evaluation
from train.learner import compile_chunk
from train.state import init_state, make_setup

WINDOW, BARS, WIDTH = 30, 1500, 64
COSTS = CostConfig(buy_percent=0.01, sell_percent=0.01)
ENV = EnvConfig(window=WINDOW, action="continuous", trade_limit_percent=100.0, costs=COSTS)
ENVS, STEPS, BATCH, EPOCHS, RATE, GAMMA = 16, 128, 256, 4, 3e-3, 0.5
SAME, OWN, OURS = "SB3, same hyper-parameters", "SB3, its own batch settings", "jaxtrade, same hyper-parameters"
LAST = 5  # validations whose mean is a seed's result


class Curve(NamedTuple):
    """One seed: validations after each update, and the seconds of training up to them."""

    seconds: np.ndarray  # [K]
    growth: np.ndarray  # [K] log growth over the validation range

    @property
    def result(self) -> float:
        """Mean of the last validations."""
        return float(np.mean(self.growth[-LAST:]))

    def reached(self, level: float) -> float:
        """Return the seconds after which a level was reached first; infinite if it never was."""
        hit = np.flatnonzero(self.growth >= level)
        return float(self.seconds[hit[0]]) if len(hit) else np.inf


def planted_market(seed: int = 0) -> MarketTable:
    """Return a random walk whose first feature tells the sign of the next bar's return."""
    table = build_table(random_bars(BARS, seed=seed), MarketConfig(), WINDOW)
    total = (1 + table.outcome.gap) * (1 + table.outcome.move) - 1
    sign = np.sign(np.nan_to_num(total)).astype(np.float32)
    features = table.features.copy()
    features[..., 0] = np.where(np.isnan(features[..., 0]), np.nan, sign)
    return replace(table, features=features)


def config_of(updates: int) -> TrainConfig:
    """Return our configuration: a lane for every environment and shuffled minibatches, as the peer has them."""
    return TrainConfig(
        num_envs=ENVS,
        total_timesteps=updates * ENVS * STEPS,
        env=ENV,
        network={"kind": "flat_mlp", "head": WIDTH, "log_std": 0.0},
        ppo={
            "rollout_length": STEPS,
            "lanes": ENVS,
            "cut": "samples",
            "episode_bars": 512,
            "epochs": EPOCHS,
            "minibatches": ENVS * STEPS // BATCH,
            "learning_rate": RATE,
            "learning_rate_schedule": "constant",
            "gamma": GAMMA,
            "value_weight": 1.0,  # of half the squared error: the peer's 0.5 of the whole
            "entropy_weight": 0.0,
            "normalize_reward": False,
        },
    )


class Ground(NamedTuple):
    """What all sides train and are validated on."""

    table: MarketTable
    train: EnvParams
    validation: EnvParams
    evaluate: Any  # (params, market) -> figures


def make_ground(updates: int) -> Ground:
    """Return the market, and the walk that validates, compiled."""
    table = planted_market()
    train, validation = (make_env_params(table, table.ranges[name], ENV) for name in ("train", "validation"))
    setup = make_setup(config_of(updates), table.ranges["train"], 1)
    evaluate = compile_evaluation(setup, table.ranges["validation"].decisions)
    params = jax.eval_shape(lambda: init_state(setup, train)).params
    return Ground(table, train, validation, evaluate.lower(params, validation).compile())


def growth(ground: Ground, params: Any) -> float:
    """Return the log growth of the deterministic policy over the validation range."""
    return float(ground.evaluate(params, ground.validation)["log_growth"])


def our_curves(ground: Ground, seeds: int, updates: int) -> tuple[list[Curve], float]:
    """Train every seed, one update a call; return the curves and the seconds of compiling."""
    setup, began = make_setup(config_of(updates), ground.table.ranges["train"], 1), time.perf_counter()
    start = partial(jax.jit(lambda seed, market: init_state(with_seed(setup, seed), market)), market=ground.train)
    chunk = compile_chunk(setup).lower(jax.eval_shape(start, jnp.int32(0)), ground.train, jnp.int32(1)).compile()
    jax.block_until_ready(start(jnp.int32(0)))
    compiling, curves = time.perf_counter() - began, []
    for seed in range(seeds):
        state, spent, seen = start(jnp.int32(seed)), 0.0, []
        for _ in range(updates):
            began = time.perf_counter()
            state, _ = jax.block_until_ready(chunk(state, ground.train, jnp.int32(1)))
            spent += time.perf_counter() - began
            seen.append((spent, growth(ground, state.params)))
        curves.append(Curve(*np.array(seen).T))
    return curves, compiling


def with_seed(setup: Any, seed: Any) -> Any:
    """Return the setup with another seed, which may be traced."""
    return setup._replace(config=setup.config.model_copy(update={"seed": seed}))


def our_params(policy: Any) -> dict[str, Any]:
    """Return the parameters of the peer's policy as those of our network.

    Its first layers read the features of the bar, then 4 numbers of the position and 3 of the account.
    """

    def layer(*linears: Any) -> dict[str, np.ndarray]:
        kernel = np.concatenate([each.weight.detach().numpy().T for each in linears], axis=1)
        return {"kernel": kernel, "bias": np.concatenate([each.bias.detach().numpy() for each in linears])}

    actor, critic = policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net
    first = layer(actor[0], critic[0])
    features, assets, account = np.split(first["kernel"], [-7, -3])
    return {
        "from_symbol": {"kernel": features, "bias": first["bias"]},
        "from_assets": {"kernel": assets},
        "from_account": {"kernel": account},
        "actor_hidden": layer(actor[2]),
        "critic_hidden": layer(critic[2]),
        "actor_out": layer(policy.action_net),
        "critic_out": layer(policy.value_net),
        "log_std": policy.log_std.detach().numpy()[0],
    }


def make_peer(env: ToGymnasium, seed: int, own: bool) -> Any:
    """Return PPO of stable-baselines3: at our hyper-parameters, or at its own batch, epochs and learning rate."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    batch: dict[str, Any] = {} if own else {"batch_size": BATCH, "n_epochs": EPOCHS, "learning_rate": RATE}
    return PPO(
        "MlpPolicy",
        DummyVecEnv([partial(copy.copy, env)] * ENVS),  # copies share the compiled programs
        n_steps=STEPS,
        gamma=GAMMA,
        policy_kwargs={"net_arch": {"pi": [WIDTH] * 2, "vf": [WIDTH] * 2}},
        device="cpu",
        seed=seed,
        **batch,
    )


def peer_curves(ground: Ground, seeds: int, updates: int, own: bool) -> tuple[list[Curve], float]:
    """Train every seed of the peer; return the curves and the seconds of compiling its environment."""
    import torch

    torch.set_num_threads(1)  # faster than two for networks of this size
    began = time.perf_counter()
    env = ToGymnasium(TradingEnv(ENV.model_copy(update={"window": 1})), ground.train)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    compiling, curves = time.perf_counter() - began, []
    for seed in range(seeds):
        model, spent, seen = make_peer(copy.copy(env), seed, own), 0.0, []
        for number in range(updates):
            began = time.perf_counter()
            model.learn(ENVS * STEPS, reset_num_timesteps=number == 0)
            spent += time.perf_counter() - began
            seen.append((spent, growth(ground, our_params(model.policy))))
        curves.append(Curve(*np.array(seen).T))
        print(f"  seed {seed} of the peer: {curves[-1].result:+.3f} in {spent:.0f} s", flush=True)
    return curves, compiling


def interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return the mean and its 95 % percentile bootstrap interval."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (10_000, len(values))).mean(axis=1)
    return float(values.mean()), *(float(each) for each in np.quantile(means, (0.025, 0.975)))


def difference(ours: list[Curve], peer: list[Curve]) -> Rate:
    """Return the difference of the mean returns and its 95 % percentile bootstrap interval."""
    rng = np.random.default_rng(0)
    one, other = (np.array([curve.result for curve in curves]) for curves in (ours, peer))
    means = [rng.choice(each, (10_000, len(each))).mean(axis=1) for each in (one, other)]
    return Rate(float(one.mean() - other.mean()), *(float(q) for q in np.quantile(means[0] - means[1], (0.025, 0.975))))


def time_to(curves: list[Curve], level: float, extra: float = 0.0) -> float:
    """Return the median over the seeds of the seconds to a level."""
    return float(np.median([curve.reached(level) for curve in curves])) + extra


def compare(found: dict[str, tuple[list[Curve], float]], updates: int) -> Report:
    """Return the report: intervals of the return, and seconds to 90 % of the lesser mean of both sides."""
    results = {name: interval(np.array([curve.result for curve in curves])) for name, (curves, _) in found.items()}
    about: dict[str, Any] = {"envs": ENVS, "steps": STEPS, "batch": BATCH, "epochs": EPOCHS, "rate": RATE}
    about |= {"gamma": GAMMA, "updates": updates, "network": f"{WIDTH}, {WIDTH}, tanh", "clip": 0.2, "gae_lambda": 0.95}
    about |= {"entropy": 0.0, "sb3_own": "batch 64, 10 epochs, rate 3e-4", "threads": "torch 1"}
    about |= {"validation log growth (mean, 95 %)": results, "compile_s": {n: each[1] for n, each in found.items()}}
    about["curves"] = {n: [np.round(c, 4).tolist() for c in curves] for n, (curves, _) in found.items()}
    rates = {name: throughput(curves) for name, (curves, _) in found.items()}
    ratios: dict[str, Any] = {}
    ours, compiling = found[OURS]
    for name, (curves, other) in list(found.items())[1:]:
        level = 0.9 * min(results[OURS][0], results[name][0])
        about[f"level, {name}"] = level
        ratios[f"time to the same return, {name} / ours"] = time_to(curves, level) / time_to(ours, level)
        with_compiling = time_to(curves, level, other) / time_to(ours, level, compiling)
        ratios[f"the same, compile time included, {name} / ours"] = with_compiling
        ratios[f"mean return of ours - {name}"] = difference(ours, curves)
        ratios[f"return, upper end of {name} - upper end of ours"] = results[name][2] - results[OURS][2]
    targets = {name: 20.0 for name in ratios if name.startswith("time")}
    targets |= {name: AtMost(0.0) for name in ratios if name.startswith("return")}
    return Report("sb3_learning", "training samples per second", about, rates, ratios, targets)


def throughput(curves: list[Curve]) -> Rate:
    """Return the samples per second of the seeds."""
    return summary([len(curve.seconds) * ENVS * STEPS / float(curve.seconds[-1]) for curve in curves])


def main() -> None:
    """Measure and tell."""
    quick = parse_options("Learning beside PPO of stable-baselines3.").quick
    if missing("stable_baselines3", "torch"):
        return
    seeds, updates = (2, 12) if quick else (5, 30)
    ground = make_ground(updates)
    found = {OURS: our_curves(ground, seeds, updates)}
    print(f"  ours: {[round(curve.result, 3) for curve in found[OURS][0]]}", flush=True)
    found[SAME] = peer_curves(ground, seeds, updates, own=False)
    if not quick:
        found[OWN] = peer_curves(ground, 2, updates, own=True)
    publish(compare(found, updates), quick)


if __name__ == "__main__":
    main()
