"""Equity curves and calendars for the tests of the figures."""

import numpy as np

HOUR = np.timedelta64(3600, "s")


def business_days(count: int, first: str = "2015-01-01") -> np.ndarray:
    """Return `count` days from Monday to Friday, from the first one at or after `first`."""
    return np.busday_offset(first, np.arange(count), roll="forward").astype("datetime64[s]")


def round_the_clock(count: int, first: str = "2021-01-01") -> np.ndarray:
    """Return `count` hours without a gap."""
    return np.datetime64(first, "s") + np.arange(count) * HOUR


def sessions(count: int, first: str = "2019-01-01") -> np.ndarray:
    """Return `count` hours, seven a business day, with 40 business days missing in the middle."""
    days = np.delete(business_days(count // 7 + 41, first), np.arange(count // 14, count // 14 + 40))
    return (days[:, None] + np.arange(14, 21) * HOUR).ravel()[:count]


def equity_of(returns: np.ndarray, capital: float = 10_000.0) -> np.ndarray:
    """Return the curve, [K + 1], that starts with the capital."""
    return capital * np.cumprod(np.append(1.0, 1.0 + np.asarray(returns)))


CALENDARS = {"daily": business_days(1261), "hourly": round_the_clock(9000), "sessions with a gap": sessions(3000)}
