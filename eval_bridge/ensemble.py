"""Several seeds of one training, asked together: mean probabilities or mean actions, and how far the seeds agree."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from eval_bridge.bundle import NAME, Bundle, bundle_path, load_bundle, require_certificate
from eval_bridge.policy import Bars, Decision, FloatArray, NumpyPolicy, Odds, make_policy, softmax
from eval_bridge.spec import Manifest
from eval_bridge.turns import is_relay, read_turns
from jaxtrade.errors import InputError
from jaxtrade.rules import AccountView

SHARED = ("env", "network", "market", "feature_names", "scaler")  # fields of the manifest that seeds have in common
ONE_CONFIGURATION = "An ensemble is made of seeds of one configuration on the same data"


class Ensemble(NumpyPolicy):
    """Policies that decide as one, wherever one policy would.

    Discrete actions are chosen by the mean of the policies' probabilities; continuous actions are the mean of the
    policies' actions, after a tanh if they have one.
    """

    def __init__(self, members: Sequence[NumpyPolicy]) -> None:
        """Take policies of one network and one kind of action."""
        self.members = tuple(members)
        first = self.members[0]
        self.network, self.discrete, self.flat, self.bounds = first.network, first.discrete, first.flat, first.bounds

    def market(self, rows: FloatArray, bars: Bars, origin: int = 0) -> FloatArray:
        """Encode bars as `NumpyPolicy.market` does, [n, members, N, 2 * head]."""
        return np.stack([member.market(rows, bars, origin) for member in self.members], axis=1)

    def head(self, market: FloatArray, view: AccountView) -> Decision:
        """Return mean probabilities [..., choices] or mean actions [..., N], and the mean of the values [...]."""
        decisions = [member.head(rows, view) for member, rows in self._each(market)]
        if self.discrete:
            outputs = [softmax(each.output) for each in decisions]
        else:
            outputs = [member.act(each) for member, each in zip(self.members, decisions, strict=True)]
        return Decision(_mean(outputs), _mean([each.value for each in decisions]))

    def act(self, decision: Decision) -> npt.NDArray[Any]:
        """Return the likeliest choice [...], or the mean action [..., N]."""
        return np.asarray(np.argmax(decision.output, axis=-1)) if self.discrete else decision.output

    def odds(self, market: FloatArray, view: AccountView) -> Odds:
        """Return the mixture of the members' distributions, with these in `members`.

        Of Gaussians: the mixture's mean and standard deviation, before any tanh.
        """
        odds = tuple(member.odds(rows, view) for member, rows in self._each(market))
        if self.discrete:
            probabilities = _mean([each.probabilities for each in odds])
            return Odds(np.asarray(np.argmax(probabilities, axis=-1)), probabilities, None, members=odds)
        means, deviations = (np.array([getattr(each, name) for each in odds]) for name in ("mean", "deviation"))
        spread = np.sqrt(_mean(np.square(deviations)) + means.var(axis=0))
        return Odds(_mean([each.action for each in odds]), None, spread, _mean(means), odds)

    def sample(self, odds: Odds, generator: np.random.Generator) -> npt.NDArray[Any]:
        """Draw a member for each of the odds, and an action from its distribution."""
        pairs = zip(self.members, odds.members, strict=True)
        drawn = np.stack([member.sample(each, generator) for member, each in pairs])
        actions = drawn.shape[1:] if self.discrete else drawn.shape[1:-1]
        who = generator.integers(len(self.members), size=actions)
        return np.asarray(np.take_along_axis(drawn, who[None] if self.discrete else who[None, ..., None], axis=0)[0])

    def _each(self, market: FloatArray) -> Sequence[tuple[NumpyPolicy, FloatArray]]:
        return [(member, market[..., k, :, :]) for k, member in enumerate(self.members)]


def _mean(arrays: Any) -> FloatArray:
    return np.asarray(np.mean(np.asarray(arrays), axis=0))


class Loaded(NamedTuple):
    """A policy and the files that it comes from, one for each seed."""

    policy: NumpyPolicy  # of several seeds an Ensemble
    bundles: tuple[Bundle, ...]
    paths: tuple[Path, ...]
    relay: Path | None = None  # the relay.json, of policies that follow one another

    @property
    def files(self) -> tuple[Path, ...]:
        """All that decides what is traded."""
        return self.paths if self.relay is None else (*self.paths, self.relay)


def load_policy(path: Path, allow_uncertified: bool = False) -> Loaded:
    """Load a bundle, a run's folder, or a folder of several of either as an ensemble.

    Of a programme's folder it is the newest policy, which decides from now on; `load_relay` loads all of them.

    Raises:
        InputError: A bundle is missing, damaged or uncertified, or the seeds do not belong together.
    """
    paths = bundle_paths(path)
    bundles = tuple(load_bundle(each) for each in paths)
    for each, bundle in zip(paths, bundles, strict=True):
        if not allow_uncertified:
            require_certificate(each, bundle.manifest)
    require_alike(paths, bundles)
    policies = [make_policy(bundle) for bundle in bundles]
    return Loaded(policies[0] if len(policies) == 1 else Ensemble(policies), bundles, paths)


def bundle_paths(path: Path) -> tuple[Path, ...]:
    """Return the bundle of a path, or all those in a folder of seeds, sorted by name.

    Raises:
        InputError: A folder holds no bundle.
    """
    if is_relay(path):
        return (path / read_turns(path)[-1].bundle,)
    if not path.is_dir() or (path / NAME).exists():
        return (bundle_path(path),)
    found = sorted([*path.glob("*.npz"), *path.glob(f"*/{NAME}")])
    return tuple(found) or (bundle_path(path),)


def shared_facts(manifest: Manifest) -> dict[str, Any]:
    """Return what seeds have in common, as plain values."""
    facts = {name: _plain(getattr(manifest, name)) for name in SHARED}
    return facts | {"symbols": manifest.data.symbols}


def require_alike(
    paths: Sequence[Path],
    bundles: Sequence[Bundle],
    facts: Callable[[Manifest], dict[str, Any]] = shared_facts,
    remedy: str = ONE_CONFIGURATION,
) -> None:
    """Refuse policies that see or do different things.

    Args:
        paths: Their files, for the message.
        bundles: The policies.
        facts: Returns what must be the same.
        remedy: What they should be.

    Raises:
        InputError: Two differ, with what differs.
    """
    first = facts(bundles[0].manifest)
    for path, bundle in zip(paths[1:], bundles[1:], strict=True):
        differs = _difference(first, facts(bundle.manifest))
        if differs:
            raise InputError(path, f"differs from {paths[0]} in {differs}", remedy)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


def _difference(one: Any, other: Any, name: str = "") -> str:
    """Return where two records differ first, as `env.action: discrete9 and continuous`; empty if nowhere."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = list(dict.fromkeys((*one, *other)))
        found = (_difference(one.get(key), other.get(key), f"{name}.{key}".lstrip(".")) for key in names)
        return next(filter(None, found), "")
    if one == other:
        return ""
    texts = [str(each) for each in (one, other)]
    return f"{name}: {texts[1]} and {texts[0]}" if max(map(len, texts)) < 60 else name
