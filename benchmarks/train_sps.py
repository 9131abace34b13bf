"""Training samples per second: `python -m benchmarks.train_sps [--quick]`.

One sample is one step of one account, collected and passed through all epochs. Three reports, each against its peers in
the same run: the default run against a batched NumPy environment with a compiled learner (the same network, loss,
optimiser, accounts, steps and epochs); a [256, 256] network on 30 symbols against PPO of stable-baselines3, at that
one's hyper-parameters and at ours; CartPole against rejax, the other compiled trainer.
"""

from typing import Any

from benchmarks.harness import Rate, Report, Work, best_of, measure, missing, parse_options, publish, ratio
from benchmarks.numpy_env import market_of, rules_of
from benchmarks.numpy_ppo import NumpyPPO
from benchmarks.ours import control_work, random_market, train_work
from eval_bridge.spec import NetworkConfig
from jaxtrade.config import EnvConfig
from jaxtrade.market.loading import load_table
from jaxtrade.market.table import MarketTable
from train.config import LanesPPOConfig, PPOConfig, TrainConfig

KINDS = ("mlp", "multiscale_lstm")
PEER = "NumPy env + jitted learner, mlp"
WIDE = NetworkConfig(kind="flat_mlp", head=256)  # features and account of all symbols -> 256 -> 256
SB3_PPO = LanesPPOConfig(rollout_length=2048, lanes=8, epochs=10, minibatches=64)  # 64 minibatches of 256
EIGHT, TOGETHER = "jaxtrade x8, 8 lanes", "jaxtrade x8, 1 lane"
MANY = "jaxtrade x4096, default epochs"
POLICY = {"net_arch": {"pi": [256, 256], "vf": [256, 256]}}  # tanh is the default of stable-baselines3
COPIES = (64, 2048)


def peer_work(table: MarketTable, config: TrainConfig, updates: int) -> Work:
    """Return the work of some updates of the NumPy peer."""
    peer = NumpyPPO(table, config)

    def work() -> int:
        for _ in range(updates):
            peer.update()
        return updates * config.samples

    return work


def run_defaults(quick: bool) -> Report:
    """Measure the default run with both networks, and the NumPy peer."""
    configs = {kind: TrainConfig(network=NetworkConfig(kind=kind)) for kind in (KINDS[:1] if quick else KINDS)}
    config = configs["mlp"]
    table = load_table(config.data, config.market, config.env.window)
    updates = 1 if quick else 2
    subjects = {f"jaxtrade, {kind}": train_work(table, each, updates) for kind, each in configs.items()}
    subjects[PEER] = peer_work(table, config, updates)
    rates = measure(subjects, repeats=2 if quick else 7)
    ratios = {f"{name} / {PEER}": ratio(rates[name], rates[PEER]) for name in subjects if name != PEER}
    about: dict[str, Any] = {
        "data": config.data,
        "num_envs": config.num_envs,
        "rollout_length": config.ppo.rollout_length,
    }
    about |= {"lanes": config.lanes, "epochs": config.ppo.epochs, "minibatches": config.ppo.minibatches}
    about |= {"hidden": config.network.hidden, "branches": config.network.branches}
    return Report("train_sps", "training samples per second", about, rates, ratios)


def sb3_works(table: MarketTable, config: EnvConfig, quick: bool) -> tuple[dict[str, Work], list[str]]:
    """Return the trainers of stable-baselines3, and the names of those at its own hyper-parameters."""
    if missing("stable_baselines3"):
        return {}, []
    from benchmarks.sb3_ppo import Trainer, trainer_work

    own = [Trainer(threads=2)]
    own += [] if quick else [Trainer(), Trainer(envs=1), Trainer(envs=1, threads=2), Trainer(threads=2, batched=True)]
    other = [Trainer(batch=4096, epochs=4, threads=2, batched=each) for each in (False, True)[: 1 if quick else 2]]
    market, rules = market_of(table, table.ranges["train"]), rules_of(config)
    works = {str(each): trainer_work(market, rules, each, POLICY) for each in (*own, *other)}
    return works, [str(each) for each in own]


def run_sb3(quick: bool) -> Report:
    """Measure a wide network on 30 symbols at the hyper-parameters of stable-baselines3, and at ours."""
    configs = {
        EIGHT: TrainConfig(num_envs=8, network=WIDE, ppo=SB3_PPO),
        TOGETHER: TrainConfig(num_envs=8, network=WIDE, ppo=SB3_PPO.model_copy(update={"lanes": 1})),
        MANY: TrainConfig(network=WIDE),
    }
    config = configs[MANY]
    table = random_market(30, 5000, config.env.window)
    works, own = sb3_works(table, config.env, quick)
    subjects = {name: train_work(table, each, 1) for name, each in configs.items() if name != TOGETHER or not quick}
    rates = measure(subjects | works, repeats=1 if quick else 5)
    ratios, targets = sb3_ratios(rates, own, list(works))
    about: dict[str, Any] = {
        "symbols": 30,
        "features": table.features.shape[-1],
        "network": WIDE.kind,
        "width": WIDE.head,
    }
    about |= {"x8": "2048 steps, batch 256, 10 epochs", "x4096": f"{config.ppo.rollout_length} steps"}
    about |= {"lanes": config.lanes, "epochs": config.ppo.epochs, "minibatches": config.ppo.minibatches}
    return Report("train_sps-sb3", "training samples per second", about, rates, ratios, targets)


def sb3_ratios(rates: dict[str, Rate], own: list[str], every: list[str]) -> tuple[dict[str, Rate], dict[str, float]]:
    """Return the ratios to the best of the peers' settings, and the targets."""
    if not every:
        return {}, {}
    same, best = best_of(rates, own), best_of(rates, every)
    pairs = {(EIGHT, same): 3.0, (MANY, best): 10.0, (TOGETHER, same): None, (MANY, same): None}
    pairs = {pair: limit for pair, limit in pairs.items() if pair[0] in rates}
    ratios = {f"{ours} / {peer}": ratio(rates[ours], rates[peer]) for ours, peer in pairs}
    return ratios, {f"{ours} / {peer}": limit for (ours, peer), limit in pairs.items() if limit}


def run_cartpole(quick: bool) -> Report:
    """Measure our learner and rejax's on CartPole: two layers of 64, 128 steps, 4 epochs, 4 minibatches."""
    ppo = PPOConfig(rollout_length=128, epochs=4, minibatches=4, learning_rate=2.5e-4, normalize_reward=False)
    updates = {copies: -(-(512 if quick else 2048) // copies) for copies in COPIES}
    works = {f"jaxtrade x{n}": control_work("CartPole-v1", ppo, n, (64, 64), updates[n]) for n in COPIES}
    about: dict[str, Any] = {"environment": "CartPole-v1", "network": (64, 64), "rollout_length": ppo.rollout_length}
    about |= {"epochs": ppo.epochs, "minibatches": ppo.minibatches, "activation": "tanh"}
    absent = missing("rejax")
    if not absent:
        from benchmarks.rejax_peer import rejax_work

        works |= {f"rejax x{n}": rejax_work(n, updates[n]) for n in COPIES}
    rates = measure(works, repeats=2 if quick else 7)
    pairs = () if absent else tuple((f"jaxtrade x{n}", f"rejax x{n}") for n in COPIES)
    ratios = {f"{ours} / {peer}": ratio(rates[ours], rates[peer]) for ours, peer in pairs}
    targets = dict.fromkeys(ratios, 1.3)
    return Report("train_sps-cartpole", "training samples per second", about, rates, ratios, targets)


def main() -> None:
    """Measure and tell."""
    quick = parse_options("Training samples per second.").quick
    publish(run_defaults(quick), quick)
    publish(run_cartpole(quick), quick)
    publish(run_sb3(quick), quick)


if __name__ == "__main__":
    main()
