"""Training samples per second: `python -m benchmarks.train_sps [--quick]`.

One sample is one step of one account, collected and passed through all epochs. The peer, in the same run, is the usual
arrangement: a batched NumPy environment on the host and a compiled learner, with the same network, loss, optimiser,
number of accounts, steps and epochs.
"""

import jax
import jax.numpy as jnp

from benchmarks.harness import Report, Work, measure, parse_options, publish
from benchmarks.numpy_ppo import NumpyPPO
from eval_bridge.spec import NetworkConfig
from jaxtrade.envs.trading import make_env_params
from jaxtrade.market.table import MarketTable, load_table
from train.config import TrainConfig
from train.learner import compile_chunk
from train.state import init_state, make_setup

KINDS = ("mlp", "multiscale_lstm")
PEER = "NumPy env + jitted learner, mlp"


def jaxtrade_work(table: MarketTable, config: TrainConfig, updates: int) -> Work:
    """Return the work of some compiled updates."""
    setup = make_setup(config, table.ranges["train"])
    market = make_env_params(table, table.ranges["train"], config.env)
    chunk = compile_chunk(setup)
    state = jax.device_put(init_state(setup, market), jax.devices()[0])

    def work() -> int:
        nonlocal state
        state, figures = chunk(state, market, jnp.int32(updates))
        jax.block_until_ready((state, figures))
        return updates * config.samples

    return work


def peer_work(table: MarketTable, config: TrainConfig, updates: int) -> Work:
    """Return the work of some updates of the peer."""
    peer = NumpyPPO(table, config)

    def work() -> int:
        for _ in range(updates):
            peer.update()
        return updates * config.samples

    return work


def run(quick: bool) -> Report:
    """Measure both networks and the peer."""
    configs = {kind: TrainConfig(network=NetworkConfig(kind=kind)) for kind in KINDS}
    config = configs["mlp"]
    table = load_table(config.data, config.market, config.env.window)
    updates = 1 if quick else 2
    subjects = {f"jaxtrade, {kind}": jaxtrade_work(table, each, updates) for kind, each in configs.items()}
    subjects[PEER] = peer_work(table, config, updates)
    rates = measure(subjects, repeats=3 if quick else 7)
    ratios = {f"{name} / {PEER}": rates[name].median / rates[PEER].median for name in subjects if name != PEER}
    about = {"data": config.data, "num_envs": config.num_envs, "rollout_length": config.ppo.rollout_length}
    about |= {"lanes": config.lanes, "epochs": config.ppo.epochs, "minibatches": config.ppo.minibatches}
    about |= {"hidden": config.network.hidden, "branches": configs["multiscale_lstm"].network.branches}
    return Report("train_sps", "training samples per second", about, rates, ratios)


def main() -> None:
    """Measure and tell."""
    quick = parse_options("Training samples per second.").quick
    publish(run(quick), quick)


if __name__ == "__main__":
    main()
