"""The multi-scale LSTM: training samples per second: `python -m benchmarks.lstm_sps [--quick]`.

Windows of 260 bars x 16 features, branches of 1, 5, 20, 60 and 120 bars of 64 units, 4 epochs. Ours encodes every
bar once for all accounts of a lane; the peer is PPO of stable-baselines3 with the very same network on windows, at
several numbers of environments, batch sizes and threads. The mlp policy at the same settings tells what the LSTM costs.
"""

from typing import Any

from benchmarks.harness import AtMost, Rate, Report, Work, best_of, measure, missing, parse_options, publish, ratio
from benchmarks.numpy_env import market_of, rules_of
from benchmarks.ours import random_market, train_work
from eval_bridge.spec import NetworkConfig
from jaxtrade.market.table import MarketTable
from train.config import TrainConfig

LSTM, MLP = "jaxtrade, multiscale_lstm", "jaxtrade, mlp"
CONFIGS = {LSTM: TrainConfig(network=NetworkConfig(kind="multiscale_lstm"))}
CONFIGS[MLP] = TrainConfig(network=NetworkConfig(kind="mlp"))


def policy_of(config: TrainConfig, features: int) -> dict[str, Any]:
    """Return the keywords of the same policy in PyTorch: the encoder shared, two heads of two layers."""
    from benchmarks.torch_lstm import MultiScaleExtractor

    network = config.network
    encoder: dict[str, Any] = {"window": config.env.window, "features": features}
    encoder |= {"branches": network.branches, "hidden": network.hidden}
    heads = {"pi": [network.head] * 2, "vf": [network.head] * 2}
    return {"features_extractor_class": MultiScaleExtractor, "features_extractor_kwargs": encoder, "net_arch": heads}


def peer_works(table: MarketTable, config: TrainConfig, quick: bool) -> dict[str, Work]:
    """Return the trainers of stable-baselines3: one whole update each, small enough to be timed several times."""
    if missing("stable_baselines3"):
        return {}
    from benchmarks.sb3_ppo import Trainer, trainer_work

    market, rules = market_of(table, table.ranges["train"]), rules_of(config.env)
    base = Trainer(envs=128, steps=4, batch=64, epochs=config.ppo.epochs, window=config.env.window, threads=2)
    tried = [base, base._replace(threads=1)]
    if not quick:
        tried += [base._replace(envs=8, steps=32), base._replace(envs=64, steps=8, batch=512)]
    policy = policy_of(config, table.features.shape[-1])
    return {str(each): trainer_work(market, rules, each, policy) for each in tried}


def ratios_of(rates: dict[str, Rate], peers: list[str]) -> tuple[dict[str, Rate], dict[str, float | AtMost]]:
    """Return the ratios and their targets."""
    cost = "time of a sample, multiscale_lstm / mlp"
    ratios = {cost: ratio(rates[MLP], rates[LSTM])}
    targets: dict[str, float | AtMost] = {cost: AtMost(3.0)}
    if peers:
        best = best_of(rates, peers)
        ratios |= {f"{LSTM} / {peer}": ratio(rates[LSTM], rates[peer]) for peer in peers}
        targets[f"{LSTM} / {best}"] = 500.0
    return ratios, targets


def run(quick: bool) -> Report:
    """Measure both networks and the peers on one random market."""
    config = CONFIGS[LSTM]
    table = random_market(1, 5000, config.env.window)
    subjects = {name: train_work(table, each, 1) for name, each in CONFIGS.items()}
    works = peer_works(table, config, quick)
    rates = measure(subjects | works, repeats=2 if quick else 5)
    ratios, targets = ratios_of(rates, list(works))
    about: dict[str, Any] = {
        "num_envs": config.num_envs,
        "rollout_length": config.ppo.rollout_length,
        "lanes": config.lanes,
    }
    about |= {"epochs": config.ppo.epochs, "minibatches": config.ppo.minibatches, "window": config.env.window}
    about |= {"features": table.features.shape[-1], "branches": config.network.branches, "units": config.network.hidden}
    about |= {"head": config.network.head, "bars": table.ranges["train"].decisions}
    return Report("lstm_sps", "training samples per second", about, rates, ratios, targets)


def main() -> None:
    """Measure and tell."""
    quick = parse_options("Training samples per second of the multi-scale LSTM.").quick
    publish(run(quick), quick)


if __name__ == "__main__":
    main()
