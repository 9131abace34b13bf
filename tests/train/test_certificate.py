"""The parity certificate: what it measures, that it fails on faults, and that a bundle without one is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from eval_bridge.bundle import load_bundle, save_bundle
from eval_bridge.policy import NumpyPolicy, make_policy
from eval_bridge.spec import Certificate
from jaxtrade.assemble import rule_book, rule_params
from jaxtrade.config import EnvConfig
from jaxtrade.rules import open_account
from jaxtrade.rules.types import Known, Outcome
from tests.helpers.chain import Trained, bundle_bytes, price_lines, untrained
from tests.helpers.commands import Runner, make_runner
from tests.helpers.price_files import write_lines
from train import certificate as room
from train import parity
from train.parity import Bars, compare_steps


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "policy.npz"
    path.write_bytes(bundle_bytes())
    return path


def params_of(bundle: Path) -> Any:
    """Return the parameters of a bundle as the trainer holds them."""
    return unflatten_dict({tuple(name.split("/")): array for name, array in load_bundle(bundle).params.items()})


def certify(bundle: Path) -> Certificate:
    setup, table, _ = untrained()
    return room.certify(setup, params_of(bundle), make_policy(load_bundle(bundle)), table, table.ranges["validation"])


def test_a_sound_bundle_is_certified(bundle: Path) -> None:
    certificate = load_bundle(bundle).manifest.certificate
    assert certificate is not None
    assert certificate.failures == ()
    assert certificate.bars > 50
    assert certificate.fills > 40
    assert certificate.discrete_unexplained == certificate.flips_unexplained == 0
    assert 0 < certificate.engine_error < 2e-5
    assert certify(bundle) == certificate  # the same at every export


def test_other_fees_in_one_engine_are_noticed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = room.make_env_params

    def dearer(*arguments: Any) -> Any:
        params = real(*arguments)
        return params.replace(rules=params.rules._replace(buy_rate=params.rules.buy_rate * 1.5))

    monkeypatch.setattr(room, "make_env_params", dearer)
    assert any("apart over the range" in failure for failure in certify(bundle).failures)


def test_another_rule_in_one_engine_is_noticed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = parity.advance

    def filling(xp: Any, book: Any, params: Any, account: Any, action: Any, known: Any, outcome: Outcome) -> Any:
        if xp is not np:
            outcome = outcome._replace(can_fill=outcome.can_fill & (outcome.gap > 0))
        return real(xp, book, params, account, action, known, outcome)

    monkeypatch.setattr(parity, "advance", filling)
    assert any("unexplained discrete" in failure for failure in certify(bundle).failures)


def test_another_forward_pass_is_noticed(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = NumpyPolicy.head

    def off(self: NumpyPolicy, market: Any, view: Any) -> Any:
        decision = real(self, market, view)
        return decision._replace(output=-decision.output)

    trained: Trained = untrained()
    policy = make_policy(load_bundle(bundle))
    monkeypatch.setattr(NumpyPolicy, "head", off)
    figures = room.compare_policies(trained.setup, *_replayed(trained, policy, bundle))
    assert figures["policy_error"] > 1e-2
    assert figures["flips_unexplained"] > 0


def _replayed(trained: Trained, policy: NumpyPolicy, bundle: Path) -> tuple[Any, ...]:
    """Return parameters, policy, table and a backtest for `compare_policies`."""
    table, span = trained.table, trained.table.ranges["validation"]
    actions = np.random.default_rng(0).normal(0, 0.5, (span.decisions, 1)).astype(np.float32)
    result = room.run_backtest(table, span, trained.setup.config.env, room.replay_actor(actions, span.first))
    return params_of(bundle), policy, table, result


def one_symbol(count: int, weight: np.ndarray, lots: float) -> Bars:
    """Return `count` fresh accounts of 100 that ask for target weights of a symbol at 10."""
    config = EnvConfig(action="target_weight", lot_size=lots, initial_cash=100.0)
    book = rule_book(config)
    account = open_account(np, book, np.zeros((count, 1)))
    nothing, yes, price = np.zeros((count, 1)), np.ones((count, 1), bool), np.full((count, 1), 10.0)
    outcome = Outcome(nothing, nothing, yes, np.zeros(count), price, price)
    return Bars(account, weight[:, None], Known(yes, price), outcome)


def test_what_lies_on_a_boundary_is_explained_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A millionth below two lots float32 may decide either way; a tenth below it may not."""
    config = EnvConfig(action="target_weight", lot_size=1.0, initial_cash=100.0)
    book, params = rule_book(config), rule_params(config, ["a"])
    near = 0.2 * (1 - 1.3e-6)  # just beyond the slack of floor*
    bars = one_symbol(3, np.array([near, 0.19, 0.3]), 1.0)
    sound = compare_steps(book, params, bars)
    assert sound.unexplained == 0
    real = parity.choices

    def one_lot_more(xp: Any, *given: Any) -> dict[str, Any]:
        """Float32 buys a second lot everywhere."""
        found = real(xp, *given)
        return found if xp is np else found | {"filled_lots": xp.maximum(found["filled_lots"], 2.0)}

    monkeypatch.setattr(parity, "choices", one_lot_more)
    steps = compare_steps(book, params, bars)
    assert (steps.explained, steps.unexplained) == (1, 1)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runner:
    return make_runner(monkeypatch, capsys)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with prices and the bundle of a policy whose certificate says that it failed."""
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "prices.csv", price_lines())
    (tmp_path / "good.npz").write_bytes(bundle_bytes())
    good = load_bundle(tmp_path / "good.npz")
    fields = {name: getattr(good.manifest, name) for name in type(good.manifest).model_fields}
    del fields["arrays"], fields["schema_version"]
    assert good.manifest.certificate is not None
    bad = good.manifest.certificate.model_copy(update={"discrete_unexplained": 2})
    save_bundle(tmp_path / "failed.npz", fields | {"certificate": bad}, good.params, good.golden)
    save_bundle(tmp_path / "none.npz", fields | {"certificate": None}, good.params, good.golden)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "why"), [("failed", "2 unexplained discrete differences"), ("none", "it holds no parity certificate")]
)
def test_an_uncertified_bundle_is_refused_and_marked(name: str, why: str, place: Path, run: Runner) -> None:
    refused = run("backtest", f"{name}.npz", "--data", "prices.csv", "--out", "out")
    assert refused.code == 2
    assert f"not certified: {why}. Export it again, or use --allow-uncertified" in refused.err
    assert not (place / "out").exists()
    allowed = run("backtest", f"{name}.npz", "--data", "prices.csv", "--out", "out", "--allow-uncertified")
    assert allowed.code == 0
    assert "NOT CERTIFIED" in (place / "out" / "report.html").read_text()
