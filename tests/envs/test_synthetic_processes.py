"""Made-up markets against theory: every moment within five standard errors, and beyond them under a planted fault.

A statistic is computed on each of many independent paths; its standard error is that of their mean.
"""

from collections.abc import Callable

import jax
import numpy as np
import pytest

from tests.helpers.synthetic_samples import (
    BARS,
    CASES,
    NIGHT,
    PATHS,
    SHAPE,
    WALK,
    Sample,
    Statistic,
    errors,
    everything,
    sample,
)

SKIP = 100  # bars at the start, left out where a theory is that of the long run


def returns(drawn: Sample) -> np.ndarray:
    return (drawn.overnight + drawn.intraday)[..., 0]


def each(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).mean(axis=1)


def gbm_moments(drawn: Sample) -> dict[str, Statistic]:
    drift, volatility = CASES["gbm"]
    mean, r = drift - volatility**2 / 2, returns(drawn)
    other = (drawn.overnight + drawn.intraday)[..., 1]
    return {
        "growth": (each(np.exp(r)), np.exp(drift)),
        "drift": (each(r), mean),
        "volatility": (each((r - mean) ** 2), volatility**2),
        "night": (each((drawn.overnight[..., 0] - NIGHT * mean) ** 2), NIGHT * volatility**2),
        "correlation": (each((r - mean) * (other - mean)), SHAPE.correlation * volatility**2),
        "memory": (each((r[:, 1:] - mean) * (r[:, :-1] - mean)), 0.0),
    }


def ou_moments(drawn: Sample) -> dict[str, Statistic]:
    theta, volatility = CASES["ou"]
    x = np.cumsum(returns(drawn), axis=1)
    variance = volatility**2 / (2 * theta)
    opens = (np.cumsum(drawn.overnight + drawn.intraday, axis=1) - drawn.intraday)[..., 0]
    return {
        "variance": (each(x**2), variance),
        "variance of the first bar": (x[:, 0] ** 2, variance),
        "autocorrelation": (each(x[:, 1:] * x[:, :-1]), variance * np.exp(-theta)),
        "close to open": (each(opens[:, 1:] * x[:, :-1]), variance * np.exp(-theta * NIGHT)),
    }


def garch_moments(drawn: Sample) -> dict[str, Statistic]:
    drift, volatility, a, b = CASES["garch"]
    e = (returns(drawn) - drift)[:, SKIP:]
    v = volatility**2
    fourth = 3 * v**2 * (1 - (a + b) ** 2) / (1 - (a + b) ** 2 - 2 * a**2)
    first = a * (1 - a * b - b**2) / (1 - 2 * a * b - b**2)  # autocorrelation of e^2 at one bar (Bollerslev 1986)
    return {
        "drift": (each(e), 0.0),
        "variance": (each(e**2), v),
        "squares": (each(e[:, 1:] ** 2 * e[:, :-1] ** 2), v**2 + first * (fourth - v**2)),
        "squares at two bars": (each(e[:, 2:] ** 2 * e[:, :-2] ** 2), v**2 + (a + b) * first * (fourth - v**2)),
    }


def jump_moments(drawn: Sample) -> dict[str, Statistic]:
    drift, volatility, rate, mean, spread = CASES["jumps"]
    r = returns(drawn)
    jump = [mean, mean**2 + spread**2, mean**3 + 3 * mean * spread**2]
    jump.append(mean**4 + 6 * mean**2 * spread**2 + 3 * spread**4)  # moments of a normal; cumulants are rate times them
    centre = drift - volatility**2 / 2 - rate * np.expm1(mean + spread**2 / 2) + rate * jump[0]
    variance = volatility**2 + rate * jump[1]
    return {
        "growth": (each(np.exp(r)), np.exp(drift)),
        "variance": (each((r - centre) ** 2), variance),
        "skewness": (each((r - centre) ** 3), rate * jump[2]),
        "kurtosis": (each((r - centre) ** 4), 3 * variance**2 + rate * jump[3]),
    }


def regime_moments(drawn: Sample) -> dict[str, Statistic]:
    drift, volatility, stay = (np.array(field) for field in CASES["regimes"])
    share = 1 / (1 - stay)
    share /= share.sum()
    mean, r = share @ drift, returns(drawn)
    move = np.where(np.eye(3, dtype=bool), stay[:, None], (1 - stay[:, None]) / 2)
    second = volatility**2 + drift**2
    return {
        "drift": (each(r), mean),
        "variance": (each(r**2), share @ second),
        "first bar": (r[:, 0] ** 2, share @ second),
        "persistence": (each((r[:, 1:] * r[:, :-1]) ** 2), share * second @ (move @ second)),
    }


MOMENTS: dict[str, Callable[[Sample], dict[str, Statistic]]] = {
    "gbm": gbm_moments,
    "ou": ou_moments,
    "regimes": regime_moments,
    "garch": garch_moments,
    "jumps": jump_moments,
}


@pytest.mark.parametrize("kind", CASES)
def test_moments_are_those_of_theory(kind: str) -> None:
    found = errors(MOMENTS[kind](sample(kind)))
    assert max(found.values()) < 5, found


def shuffled(leaf: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).permuted(leaf, axis=1)


def scaled(factor: float, shift: float = 0.0) -> Callable[[Sample], Sample]:
    return lambda drawn: drawn._replace(overnight=drawn.overnight * factor, intraday=drawn.intraday * factor + shift)


def reordered(drawn: Sample) -> Sample:
    order = np.random.default_rng(1).permutation(BARS)
    return jax.tree.map(lambda leaf: leaf[:, order], drawn)


def euler(drawn: Sample) -> Sample:
    """An Ornstein-Uhlenbeck process by Euler steps: right for short steps only."""
    theta, volatility = CASES["ou"]
    shock = np.random.default_rng(1).normal(0, volatility, (BARS, PATHS))
    x = np.zeros((BARS + 1, PATHS))
    for t in range(BARS):
        x[t + 1] = (1 - theta) * x[t] + shock[t]
    step = np.diff(x, axis=0).T[..., None]
    return drawn._replace(overnight=0.3 * step, intraday=0.7 * step)


def estranged(drawn: Sample) -> Sample:
    """Symbols that share nothing."""
    return jax.tree.map(lambda leaf: np.stack([leaf[..., 0], np.roll(leaf[..., 1], 1, axis=0)], axis=-1), drawn)


def sudden(drawn: Sample) -> Sample:
    """A process that starts from its mean: too calm at first."""
    first = np.cumsum(returns(drawn), axis=1)[:, :1, None] * 0.7
    return drawn._replace(overnight=np.concatenate([drawn.overnight[:, :1] - first, drawn.overnight[:, 1:]], axis=1))


def normal(drawn: Sample) -> Sample:
    """Normal returns of the same variance: no jumps."""
    r = returns(drawn)
    step = np.random.default_rng(1).normal(r.mean(), r.std(), r.shape)[..., None]
    return drawn._replace(overnight=0.3 * step, intraday=0.7 * step)


FAULTS: dict[str, tuple[str, Callable[[Sample], Sample], str]] = {  # kind, fault, what must show it
    "no correction of the drift": ("gbm", scaled(1, WALK.volatility**2 / 2), "drift"),
    "volatility of another unit": ("gbm", scaled(1.02), "volatility"),
    "symbols of their own": ("gbm", estranged, "correlation"),
    "Euler steps": ("ou", euler, "autocorrelation"),
    "start near the mean": ("ou", sudden, "variance of the first bar"),
    "constant variance": ("garch", reordered, "squares"),
    "no jumps": ("jumps", normal, "kurtosis"),
    "no compensation of jumps": ("jumps", scaled(1, -0.3 * 0.02), "growth"),
    "regimes without memory": ("regimes", reordered, "persistence"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_show(fault: str) -> None:
    kind, plant, where = FAULTS[fault]
    assert errors(MOMENTS[kind](plant(sample(kind))))[where] > 5


def test_high_and_low_are_those_of_a_brownian_motion() -> None:
    variance = (1 - NIGHT) * WALK.volatility**2  # without drift, the maximum is distributed as |N(0, variance)|
    drawn = sample("gbm")

    def moments(wick: np.ndarray, sign: int) -> dict[str, Statistic]:
        reach = (wick + np.maximum(sign * drawn.intraday, 0))[..., 0]
        return {"mean": (each(reach), np.sqrt(2 * variance / np.pi)), "square": (each(reach**2), variance)}

    for wick, sign in ((drawn.upper, 1), (drawn.lower, -1)):
        assert max(errors(moments(wick, sign)).values()) < 5
        assert min(errors(moments(0.95 * wick, sign)).values()) > 5


def test_regimes_last_as_long_as_they_should() -> None:
    state = everything()["states"]
    share = np.array([0.8, 0.2])  # proportional to 1 / (1 - stay)

    def moments(state: np.ndarray) -> dict[str, Statistic]:
        return {
            "share": (each(state == 0), share[0]),
            "first": ((state[:, 0] == 0).astype(float), share[0]),
            "calm": (each((state[:, 1:] == 0) & (state[:, :-1] == 0)), share[0] * 0.95),
            "wild": (each((state[:, 1:] == 1) & (state[:, :-1] == 1)), share[1] * 0.8),
        }

    assert max(errors(moments(state)).values()) < 5
    assert errors(moments(shuffled(state)))["wild"] > 5
