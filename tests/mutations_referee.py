"""Planted faults of the export: what certifies and leak-checks the policies of many windows; see `tests.mutations`."""

REFEREE = """
# train/batched.py

filled-in rows kept: the answers to copies of the last row come back with the others
- np.concatenate(leaves)[:count], *parts)
+ np.concatenate(leaves)[-count:], *parts)

# train/referee.py

referee of other rules accepted: the network alone looks like all that is compiled
- if (own.policy, own.config.env) != (asked.policy, asked.config.env):
+ if own.policy != asked.policy:

range beyond the referee accepted: the rest of it would never be walked
- if span.decisions > referee.decisions:
+ if span.decisions > 10 * referee.decisions:

walk not cut off: the equity that stands still behind the range is compared
- return {name: leaf[: span.decisions] for name, leaf in walked.items()}
+ return walked

# train/bridge.py

referee made for each export: every window compiles again
- referee = referee_for(referee, setup, span)
+ referee = referee_for(None, setup, span)

leak check with a program of its own: it compiles again at every export
- leaks = check_leaks(bundle.manifest, policy, table, cuts_at_export(table), referee.walk_back)
+ leaks = check_leaks(bundle.manifest, policy, table, cuts_at_export(table))

origin forgotten: a candidate's bundle names the seed of the programme
- manifest_fields(setup, table, update, origin or origin_of(setup, update))
+ manifest_fields(setup, table, update, origin_of(setup, update))

# train/certificate.py

rules given the next row: both engines agree on the wrong market
- return Bars(account, result.history.actions, *market_row(table, bars_of(result)))
+ return Bars(account, result.history.actions, *market_row(table, bars_of(result) + 1))

# train/leaks.py

chunks cut from the first row: those of an lstm are counted from the first bar of the data
- begin = max(0, first - reach) // grid * grid
+ begin = max(0, first - reach)

# eval_bridge/leaks.py

live decisions remembered by the account: what it was fed of the market goes unnoticed
- fed = begin.to_bytes(8), rows.tobytes(), *(leaf.tobytes() for leaf in view)
+ fed = begin.to_bytes(8), *(leaf.tobytes() for leaf in view)
"""
