"""The Flax policy and the exported NumPy policy are one function, and so are the two deterministic walks.

The measured differences are logged (`--log-cli-level=INFO`).
"""

import json
import logging
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from eval_bridge import layers
from eval_bridge.backtester import policy_actor, run_backtest
from eval_bridge.bundle import load_bundle, save_bundle
from eval_bridge.policy import NumpyPolicy, make_policy
from eval_bridge.spec import NetworkConfig, parameter_shapes
from jaxtrade.config import EnvConfig
from jaxtrade.envs.trading import make_env_params
from jaxtrade.market.loading import load_table
from jaxtrade.market.scales import scaler_from
from jaxtrade.rules import AccountView
from tests.helpers.policy_cases import CASES, NAMES, Case, table_of, trained
from train.bridge import write_bundle
from train.certificate import certify
from train.distributions import SPAN
from train.evaluate import walk
from train.forward import flat_params, flax_answers, random_views
from train.lstm import Form, Kernels, lstm
from train.networks import init_params, lane_windows
from train.networks import make_policy as make_network

pytestmark = pytest.mark.optimized

LOG = logging.getLogger(__name__)
LIMIT, EQUITY = 1e-5, 2e-5


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Path]:
    """Return `case -> the file of its bundle`."""
    folder = tmp_path_factory.mktemp("bundles")

    @lru_cache
    def bundle_of(case: Case) -> Path:
        network = case.network
        name = f"{network.kind}-{network.std}-{network.squash}-{case.action}-{case.symbols}.npz"
        return write_bundle(folder / name, trained(case)[0], table_of(case.symbols), trained(case)[1], update=1)

    return bundle_of


@pytest.mark.parametrize("name", NAMES)
def test_numpy_answers_as_flax_does(name: str, bundles: Callable[[Case], Path]) -> None:
    """Over the whole test range, with random accounts."""
    case = CASES[name]
    setup, params = trained(case)
    table, policy = table_of(case.symbols), make_policy(load_bundle(bundles(case)))
    span = table.ranges["test"]
    assert span.decisions > 300
    bars = np.arange(span.first, span.last)
    view = random_views(len(bars), case.symbols)
    output, value, wanted = flax_answers(setup, params, table.features, bars, view)
    decision = policy.head(policy.market(table.features, bars), view)
    error = max(np.max(np.abs(decision.output - output)), np.max(np.abs(decision.value - value)))
    LOG.info("%s: %.3g", name, error)
    assert error <= LIMIT, f"outputs or values differ by {error:.3g}"
    assert np.std(output) > 0.1
    assert np.std(value) > 0.1
    acted = policy.act(decision)
    if case.network.squash == "tanh" and case.action != "discrete9":
        low, high = setup.config.env.bounds
        apart = float(np.max(np.abs(acted - wanted)))
        LOG.info("%s: actions %.3g", name, apart)
        assert apart <= 1e-6
        np.testing.assert_allclose(wanted, low + (high - low) * (1 + np.tanh(output)) / 2, atol=1e-6)
    if case.action == "discrete9":
        assert len(np.unique(np.argmax(output, axis=-1))) > 2
    certificate = load_bundle(bundles(case)).manifest.certificate  # over the validation range
    assert certificate is not None
    LOG.info("%s: %s", name, certificate)
    assert not certificate.failures
    assert certificate.policy_error <= LIMIT


@pytest.mark.parametrize("kind", ["swapped gates", "a bar late"])
def test_a_wrong_forward_pass_is_noticed(
    kind: str, bundles: Callable[[Case], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["lstm, continuous"]
    policy = make_policy(load_bundle(bundles(case)))
    real = layers.lstm_last

    def late(params: Any, name: str, length: int, rows: np.ndarray, bars: np.ndarray) -> np.ndarray:
        return real(params, name, length, rows, bars - (length == 60))

    def swapped(params: Any, name: str, *rest: Any) -> np.ndarray:
        hidden = case.network.hidden
        order = np.r_[hidden : 2 * hidden, 0:hidden, 2 * hidden : 4 * hidden]
        return real({key: array[..., order] for key, array in params.items() if key.startswith(name)}, name, *rest)

    monkeypatch.setattr("eval_bridge.policy.lstm_last", swapped if kind == "swapped gates" else late)
    table = table_of(1)
    certificate = certify(*trained(case), policy, table, table.ranges["test"])
    assert certificate.policy_error > 10 * LIMIT
    assert any("forward passes" in failure for failure in certificate.failures)
    with pytest.raises(Exception, match="golden test differs"):
        make_policy(load_bundle(bundles(case)))


@pytest.mark.parametrize("name", ["lstm, panel", "mlp, panel", "mlp, discrete9"])
def test_the_table_is_the_network_on_windows(name: str) -> None:
    """What is encoded once for many bars is what the network answers for each bar's own window."""
    case = CASES[name]
    setup, params = trained(case)
    table, reach = table_of(case.symbols), case.network.reach
    first = table.ranges["test"].first
    bars = np.arange(first, first + 20)
    view = random_views(len(bars), case.symbols)
    output, value, _ = flax_answers(setup, params, table.features, bars, view)
    lift = lambda *leaves: (jnp.asarray(leaf)[None] for leaf in leaves)  # noqa: E731
    one = jax.jit(lambda rows, *seen: setup.policy.apply({"params": params}, rows[None], *lift(*seen)))
    for n, bar in enumerate(bars):
        window = table.features[bar - reach + 1 : bar + 1]
        dist_params, alone = one(window, view.assets[n], view.account[n])
        answer = dist_params if setup.policy.discrete else dist_params.mean
        np.testing.assert_allclose(answer[0], output[n], atol=LIMIT)
        np.testing.assert_allclose(alone[0], value[n], atol=LIMIT)


def test_a_branch_is_an_optimized_lstm_cell() -> None:
    """Flax's own cell, its kernels hstacked in the order i, f, g, o, window by window."""
    hidden, features, length, bars = 6, 5, 12, np.array([11, 12, 30, 39])
    random = np.random.default_rng(0)
    draw = lambda *shape: random.normal(0, 0.5, shape).astype(np.float32)  # noqa: E731
    rows = draw(40, 2, features)
    own = {"kernel_x": draw(features, 4 * hidden), "kernel_h": draw(hidden, 4 * hidden), "bias": draw(4 * hidden)}
    x, h, b = (np.split(own[name], 4, axis=-1) for name in ("kernel_x", "kernel_h", "bias"))
    theirs = {f"i{gate}": {"kernel": x[n]} for n, gate in enumerate("ifgo")}
    theirs |= {f"h{gate}": {"kernel": h[n], "bias": b[n]} for n, gate in enumerate("ifgo")}
    windows = lane_windows(jnp.asarray(rows)[None], jnp.asarray(bars - (length - 1))[None])
    found = lstm(Kernels(*own.values()), windows, Form(length, stride=2)).reshape(len(bars), 2, hidden)
    layer = nn.RNN(nn.OptimizedLSTMCell(hidden, name="cell"))
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        for n, bar in enumerate(bars):
            windows = np.swapaxes(rows[bar - length + 1 : bar + 1], 0, 1)  # [N, length, F]
            wanted = layer.apply({"params": {"cell": theirs}}, windows)[:, -1]
            np.testing.assert_allclose(found[n], wanted, atol=1e-6)
    flat = {f"lstm/{name}": array for name, array in own.items()}
    np.testing.assert_allclose(layers.lstm_last(flat, "lstm", length, rows, bars), found, atol=1e-6)


@pytest.mark.parametrize("name", [pytest.param("lstm, panel", marks=pytest.mark.nightly), "mlp, panel"])
def test_symbols_may_be_permuted(name: str, bundles: Callable[[Case], Path]) -> None:
    """Outputs follow their symbols, the value does not care; in Flax and in NumPy."""
    case, order = CASES[name], np.array([2, 0, 1])
    setup, params = trained(case)
    rows, policy = table_of(3).features, make_policy(load_bundle(bundles(case)))
    first = table_of(3).ranges["test"].first
    bars, view = np.arange(first, first + 30), random_views(30, 3)
    other = AccountView(view.assets[:, order], view.account)
    output, value, _ = flax_answers(setup, params, rows, bars, view)
    permuted, same, _ = flax_answers(setup, params, rows[:, order], bars, other)
    np.testing.assert_allclose(permuted, output[:, order], atol=LIMIT)
    np.testing.assert_allclose(same, value, atol=LIMIT)
    assert np.max(np.abs(permuted - output)) > 0.1
    found = policy.head(policy.market(rows[:, order], bars), other)
    np.testing.assert_allclose(found.output, output[:, order], atol=LIMIT)


def both_walks(case: Case, policy: NumpyPolicy, split: str = "test") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the equities of the environment's walk and of the backtest, and the environment's actions."""
    setup, params = trained(case)
    table = table_of(case.symbols)
    span = table.ranges[split]
    env_params = make_env_params(table, span, setup.config.env)
    with jax.default_matmul_precision("highest"):
        seen = jax.jit(lambda p: walk(setup, p, env_params, span.decisions)[1])(params)
    result = run_backtest(table, span, setup.config.env, policy_actor(policy, table, span))
    return np.asarray(seen["equity"], np.float64), result.series("equity"), np.asarray(seen["action"])


@pytest.mark.parametrize("name", NAMES)
def test_the_deterministic_walks_agree(name: str, bundles: Callable[[Case], Path]) -> None:
    case = CASES[name]
    found, wanted, actions = both_walks(case, make_policy(load_bundle(bundles(case))))
    apart = float(np.max(np.abs(found / wanted - 1)))
    LOG.info("%s: equity %.3g apart after %d bars, ends at %.4f", name, apart, len(found), wanted[-1])
    assert apart <= EQUITY, f"equity differs by {apart:.3g}"
    assert np.std(actions) > 0
    assert np.max(np.abs(wanted - 1)) > 1e-3


def test_a_policy_a_little_off_is_noticed(bundles: Callable[[Case], Path]) -> None:
    case = CASES["mlp, continuous"]
    bundle = load_bundle(bundles(case))
    off = bundle.params | {"actor_out/bias": bundle.params["actor_out/bias"] + np.float32(0.01)}
    found, wanted, _ = both_walks(case, NumpyPolicy(bundle._replace(params=off)))
    assert np.max(np.abs(found / wanted - 1)) > EQUITY


@pytest.mark.parametrize("kind", ["mlp", pytest.param("flat_mlp", marks=pytest.mark.nightly)])
def test_deviations_follow_the_state_from_their_first_value(kind: str) -> None:
    """Each symbol has a mean and a deviation of its own, in their order; fresh ones are near the configured value."""
    network = NetworkConfig(kind=kind, hidden=8, head=8, std="state", log_std=-1.0)
    policy, _ = make_network(network, EnvConfig(), 3)
    params, view = init_params(policy, jax.random.key(0), 3, 5), random_views(6, 3)
    rows = jax.random.normal(jax.random.key(1), (6, 1, 3, 5))

    def answers(params: Any, rows: Any) -> Any:
        return jax.jit(policy.apply)({"params": params}, rows, *view)[0]

    fresh = answers(params, rows)
    assert fresh.mean.shape == fresh.log_std.shape == (6, 3)
    np.testing.assert_allclose(fresh.log_std, -1.0, atol=0.1)
    params["actor_out"]["kernel"] *= 300
    bold = answers(params, rows)
    assert np.min(np.std(bold.log_std, axis=0)) > 0.05
    assert np.max(np.abs(bold.log_std + 1.0)) < SPAN
    shift = np.zeros(params["actor_out"]["bias"].shape, np.float32)
    shift[len(shift) // 2] = 1.0  # the first deviation
    params["actor_out"]["bias"] = params["actor_out"]["bias"] + shift
    moved = answers(params, rows)
    np.testing.assert_array_equal(moved.mean, bold.mean)
    assert np.all(moved.log_std[:, 0] > bold.log_std[:, 0])
    assert np.all((moved.log_std[:, 1:] > bold.log_std[:, 1:]) == (kind == "mlp"))


def test_a_policy_that_forgets_to_squash_is_noticed(bundles: Callable[[Case], Path]) -> None:
    case = CASES["flat mlp, squashed"]
    policy, table = make_policy(load_bundle(bundles(case))), table_of(3)
    policy.bounds = None
    certificate = certify(*trained(case), policy, table, table.ranges["test"])
    assert any("forward passes" in failure for failure in certificate.failures)
    found, wanted, _ = both_walks(case, policy)
    assert np.max(np.abs(found / wanted - 1)) > EQUITY


def test_an_older_bundle_reads_as_before(bundles: Callable[[Case], Path]) -> None:
    """Its manifest knows neither `std` nor `squash`: the deviation is a parameter and the rules clip."""
    bundle = load_bundle(bundles(CASES["flat mlp, squashed"]))
    record = json.loads(bundle.manifest.model_dump_json())
    del record["network"]["std"], record["network"]["squash"]
    old = type(bundle.manifest).model_validate(record)
    assert (old.network.std, old.network.squash) == ("free", "clip")
    sizes = len(old.data.symbols), len(old.feature_names), 0
    assert parameter_shapes(old.network, None, *sizes)["log_std"] == ()
    assert "log_std" not in parameter_shapes(bundle.manifest.network, None, *sizes)


@pytest.mark.parametrize("name", NAMES)
def test_a_bundle_holds_the_parameters_bitwise(name: str, bundles: Callable[[Case], Path], tmp_path: Path) -> None:
    case = CASES[name]
    bundle, wanted = load_bundle(bundles(case)), flat_params(trained(case)[1])
    assert set(bundle.params) == set(wanted)
    for key, array in wanted.items():
        np.testing.assert_array_equal(bundle.params[key].view(np.uint32), array.view(np.uint32))
    fields = {key: value for key, value in dict(bundle.manifest).items() if key not in ("arrays", "schema_version")}
    save_bundle(tmp_path / "again.npz", fields, bundle.params, bundle.golden)
    again = load_bundle(tmp_path / "again.npz")
    assert again.manifest == bundle.manifest
    jax.tree.map(np.testing.assert_array_equal, again.params, bundle.params)


def test_the_policy_sees_the_scaler_of_its_training(bundles: Callable[[Case], Path]) -> None:
    """The manifest's statistics rebuild the very features of training."""
    case = CASES["mlp, continuous"]
    manifest, table = load_bundle(bundles(case)).manifest, table_of(1)
    again = load_table("sample:nasdaq", manifest.market, manifest.env.window, scaler_from(manifest.scaler))
    np.testing.assert_array_equal(again.features, table.features)
    assert again.data_hash == manifest.data.sha256
