"""The table of the 37 details is complete, its tests exist, and layers begin as it says."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxtrade.config import EnvConfig
from tests.helpers.learning import LSTM, MLP, QUICK
from train.config import NetworkConfig
from train.health import by_name
from train.networks import init_params, make_policy

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ppo.md").read_text(encoding="utf-8")


def numbers(page: str) -> list[int]:
    """Return the numbers of the details that have a row."""
    rows = re.findall(r"^\| (\d+)(?:-(\d+))? +\|", page, re.MULTILINE)
    return [number for first, last in rows for number in range(int(first), int(last or first) + 1)]


def missing_tests(page: str) -> set[str]:
    """Return the tests that a page names and that are nowhere."""
    files = (file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("test_*.py"))
    return set(re.findall(r"`(test_\w+)`", page)) - set(re.findall(r"def (test_\w+)", "\n".join(files)))


def test_every_detail_has_a_row_and_every_test_exists() -> None:
    assert numbers(PAGE) == list(range(1, 38))
    assert missing_tests(PAGE) == set()
    assert missing_tests("`test_that_is_nowhere`") == {"test_that_is_nowhere"}
    assert numbers(PAGE.replace("| 8   |", "| x   |")) != list(range(1, 38))


@pytest.mark.parametrize("network", [MLP, LSTM])
def test_layers_begin_orthogonal(network: dict[str, object]) -> None:
    """Gain sqrt 2 throughout, 0.01 for the actor's output, 1 for the critic's and for what LSTMs carry; biases 0."""
    policy, _ = make_policy(NetworkConfig(**network), EnvConfig(window=30, action="discrete9"), 2)
    start = jax.jit(lambda key: init_params(policy, key, 2, 5), compiler_options=QUICK)
    params = by_name(start(jax.random.key(0)))
    seen = 0
    for name, leaf in params.items():
        layer, _, kind = name.rpartition("/")
        if kind == "bias" and "lstm" not in layer:
            assert not np.any(leaf), name
        if kind in ("kernel", "kernel_h"):
            gain = {"actor_out": 0.01, "critic_out": 1.0}.get(layer, 1.0 if kind == "kernel_h" else 2**0.5)
            narrow = leaf if leaf.shape[0] >= leaf.shape[1] else leaf.T
            np.testing.assert_allclose(narrow.T @ narrow, gain**2 * np.eye(narrow.shape[1]), atol=1e-5, err_msg=name)
            seen += 1
    assert seen == (10 if network is MLP else 9)
