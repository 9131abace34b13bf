"""The processes of made-up markets and their parameters, per bar; numbers here, traced arrays inside a program."""

from typing import Any, NamedTuple

Number = Any  # a float, or an array [] or [N]


class Shape(NamedTuple):
    """What all processes share: how a bar's return spreads over the bar, and its volume."""

    overnight: Number = 0.3  # share of a bar's variance and drift that falls between close and open
    correlation: Number = 0.0  # of the symbols' shocks, through one common factor
    volume: Number = 1e6  # median volume, in units
    volume_spread: Number = 0.3  # standard deviation of log volume


class GBM(NamedTuple):
    """Geometric Brownian motion."""

    drift: Number = 0.0003  # log of the expected growth of the price
    volatility: Number = 0.01  # standard deviation of log returns


class OU(NamedTuple):
    """Ornstein-Uhlenbeck process of the log price: it returns to the starting price."""

    theta: Number = 0.05  # speed of the return; half of a deviation is gone after log(2) / theta bars
    volatility: Number = 0.01  # of the shocks; the log price deviates by volatility / sqrt(2 theta)


class Regimes(NamedTuple):
    """Regime switching (Hamilton 1989); one value for each of K regimes."""

    drift: Number = (0.0006, -0.001)  # [K] mean log return
    volatility: Number = (0.007, 0.02)  # [K] standard deviation of log returns
    stay: Number = (0.99, 0.97)  # [K] probability of staying; a regime lasts 1 / (1 - stay) bars on average


class GARCH(NamedTuple):
    """GARCH(1,1) (Bollerslev 1986)."""

    drift: Number = 0.0003  # mean log return
    volatility: Number = 0.01  # unconditional standard deviation of log returns
    alpha: Number = 0.08  # weight of the last squared shock
    beta: Number = 0.9  # weight of the last variance


class Jumps(NamedTuple):
    """Jump diffusion (Merton 1976)."""

    drift: Number = 0.0003  # log of the expected growth of the price, jumps included
    volatility: Number = 0.01  # of the diffusion
    rate: Number = 0.02  # jumps in a bar, on average
    jump_mean: Number = -0.01  # mean of a jump of the log price
    jump_volatility: Number = 0.03  # standard deviation of a jump


Process = GBM | OU | Regimes | GARCH | Jumps
PROCESSES: dict[str, type[Any]] = {"gbm": GBM, "ou": OU, "regimes": Regimes, "garch": GARCH, "jumps": Jumps}
