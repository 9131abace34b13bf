"""A bundle of a walk-forward window: it loads, and its market is built again bit by bit."""

from pathlib import Path

import pytest

from eval_bridge.bundle import load_bundle
from eval_bridge.market import load_market
from jaxtrade.config import EnvConfig, MarketConfig, SplitConfig
from jaxtrade.market.loading import load_table
from jaxtrade.market.scales import scaler_from
from jaxtrade.market.splits import resolve_split
from jaxtrade.market.windows import Sizes, prepare, walk_forward_splits, window_table
from tests.helpers.bundles import write_random_bundle
from tests.helpers.tables import assert_same_table

SOURCE, WINDOW = "sample:nasdaq", 30


@pytest.mark.parametrize("number", [0, 2])
def test_the_market_of_a_window_is_built_again(tmp_path: Path, number: int) -> None:
    prepared = prepare(SOURCE, MarketConfig(), WINDOW)
    split = walk_forward_splits(prepared.bars.time, prepared.span, 3, Sizes(), purge=5, embargo=5)[number]
    table = window_table(prepared, split)
    manifest = load_bundle(write_random_bundle(tmp_path / "policy.npz", table, EnvConfig())).manifest
    assert manifest.market.split == split == table.config.split
    assert_same_table(load_market(manifest), table)
    assert_same_table(window_table(prepared, manifest.market.split, scaler_from(manifest.scaler)), table)


def test_a_bundle_from_before_has_open_ends(tmp_path: Path) -> None:
    """A manifest without the two keys says what it said then."""
    table = load_table(SOURCE, MarketConfig(), WINDOW)
    assert table.config.split.train_from is None is table.config.split.test_until
    bundle = load_bundle(write_random_bundle(tmp_path / "policy.npz", table, EnvConfig()))
    old = bundle.manifest.model_dump(mode="json")
    for key in ("train_from", "test_until"):
        del old["market"]["split"][key]
    manifest = type(bundle.manifest).model_validate(old)
    assert manifest == bundle.manifest
    assert manifest.market.split == resolve_split(table.time, SplitConfig())
    assert_same_table(load_market(manifest), table)
