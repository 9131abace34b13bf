"""Planted faults of the commands: what is stated, what is stressed, what is written; see `tests.mutations`."""

COMMANDS = """
# eval_bridge/stress.py

delays off by one: the newest action is counted as waiting
- return np.stack([recent[-1 - delay][lane] for lane, delay in enumerate(delays)])
+ return np.stack([recent[-max(delay, 1)][lane] for lane, delay in enumerate(delays)])

half the costs scale: spread and slippage look like prices
- SCALED = ("buy_rate", "sell_rate", "min_commission", "duty_buy", "duty_sell", "half_spread", "slippage")
+ SCALED = ("buy_rate", "sell_rate", "min_commission", "duty_buy", "duty_sell")

lanes share one factor: the first of the grid
- return params._replace(**{name: getattr(params, name) * factors[:, None] for name in SCALED})
+ return params._replace(**{name: getattr(params, name) * factors[:1, None] for name in SCALED})

break-even from the wrong side: the sign of the interpolation
- return points[at - 1] + share * (points[at] - points[at - 1])
+ return points[at - 1] - share * (points[at] - points[at - 1])

the last crossing for the first: a policy that recovers looks robust
- at = next((n for n, value in enumerate(values) if value <= 0), None)
+ at = next((n for n, value in reversed(list(enumerate(values))) if value <= 0), None)

# eval_bridge/stochastic.py

samples share a generator: they are no longer those of their seeds
- generators = [np.random.default_rng(np.random.SeedSequence(seed)) for seed in range(samples)]
+ generators = [np.random.default_rng(np.random.SeedSequence(0))] * samples

# eval_bridge/steps.py

delay is stated but not traded: the actor is not delayed
- actor = delayed(policy_actor(policy, table, span), options.delay, config, len(table.symbols))
+ actor = delayed(policy_actor(policy, table, span), 0, config, len(table.symbols))

trials under other costs count: each would deflate the next
- if split in SEALED and options.as_trained:
+ if split in SEALED:

# eval_bridge/evaluation.py

costs are stated but not traded: the rules of training
- config = options.applied(manifests[0].env)
+ config = manifests[0].env

# eval_bridge/console.py

verdict left out: the figures speak for themselves
- lines += textwrap.wrap(evaluation.verdict, width, subsequent_indent="  ")
+ pass

# eval_bridge/files.py

warning only in the report: tables travel alone
- if evaluation.warnings:
+ if False:

openings in metrics.json: no two runs are the same
- "about": {name: text for name, text in evaluation.about.items() if name != LEDGER_ROW},
+ "about": dict(evaluation.about),

# eval_bridge/compare.py

other data compared: only the bars are looked at
- SAME = ("data_sha256", "split", "fill")  # rows of `about` that must not differ
+ SAME = ("split", "fill")
"""
