"""Planted faults of the figures; see `tests.mutations`."""

METRICS = """
# eval_bridge/metrics/returns.py

marks for bars: a year has one bar too many
- return (len(time) - 1) / years if years > 0
+ return len(time) / years if years > 0

debt after ruin: two losses make a gain
- before, after = np.maximum(equity[:-1], 0), np.maximum(equity[1:], 0)
+ before, after = equity[:-1], equity[1:]

a day compounded to a year: the formula holds for any length, does it not
- return float((1 + total) ** (1 / years) - 1) if years >= SHORTEST else Undefined(TOO_SHORT)
+ return float((1 + total) ** (1 / years) - 1)

# eval_bridge/metrics/values.py

rounding taken for variation: a Sharpe ratio of 1e13 for an account that earns interest
- return found if found > ROUNDING * scale else 0.0
+ return found if found > 0 else 0.0

deviation over n: ddof forgotten
- found = float(np.std(values, ddof=1))
+ found = float(np.std(values))

# eval_bridge/metrics/ratios.py

downside deviation over the losing bars alone: what many libraries did
- downside = float(np.sqrt(np.mean(np.minimum(returns, 0.0) ** 2)))
+ downside = float(np.sqrt(np.mean(returns[returns < 0] ** 2))) if np.any(returns < 0) else 0.0

# eval_bridge/metrics/drawdown.py

time under water from the first mark under water: the peak is left out
- return float(np.max((time[recovered] - time[peak])[under]) / DAY)
+ return float(np.max((time[recovered] - time[np.minimum(peak + 1, len(time) - 1)])[under]) / DAY)

# eval_bridge/metrics/tails.py

the tail without the quantile itself: strictly beyond instead of at or beyond
- return np.sort(returns)[: (len(returns) - 1) * TAIL_PERCENT // 100 + 1]
+ return np.sort(returns)[: max(1, (len(returns) - 1) * TAIL_PERCENT // 100)]

# eval_bridge/metrics/relative.py

beta the wrong way round: of the market on the policy
- return float(np.sum(own * other) / np.sum(other**2))
+ return float(np.sum(own * other) / np.sum(own**2))

a market of other dates: its end for its beginning
- return np.concatenate([market[:marks], np.full(missing, market[-1])])
+ return np.concatenate([market[-marks:], np.full(missing, market[-1])])

# eval_bridge/metrics/activity.py

shorts taken off: net exposure for gross
- gross = np.sum(np.abs(result.accounts.position), axis=-1)
+ gross = np.sum(result.accounts.position, axis=-1)

# eval_bridge/metrics/trades.py

open lots counted as closed trades: the table has both
- closed = trades[trades["status"] == "closed"]
+ closed = trades

# eval_bridge/metrics/tables.py

a month from its own first mark: the returns over the month's end are lost
- return periods[last], returns_of(equity[np.append(0, last + 1)])
+ return periods[last], equity[last + 1] / equity[np.append(0, last[:-1] + 1) + 1] - 1
"""
