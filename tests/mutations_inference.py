"""Planted faults of inference, ensembles, rewards and the stateful environment; see `tests.mutations`."""

INFERENCE = """
# eval_bridge/policy.py

deviations without their bounds: the network's output is a log already
- np.float32(LOG_STD_SPAN) * np.tanh(raw)
+ np.float32(LOG_STD_SPAN) * raw

samples before the tanh: the Gaussian's number looks like an action
- return number if self.bounds is None else squashed(number, *self.bounds)
+ return number

# eval_bridge/ensemble.py

logits averaged: the bolder seed decides
- outputs = [softmax(each.output) for each in decisions]
+ outputs = [each.output for each in decisions]

one network for all: every seed is asked the first one's question
- for k, member in enumerate(self.members)]
+ for k, member in enumerate(self.members) for k in (0,)]

quarrel forgotten: seeds far apart look as sure as one
- _mean(np.square(deviations)) + means.var(axis=0)
+ _mean(np.square(deviations))

one certificate for all: the first seed vouches for the others
- if not allow_uncertified:
+ if not allow_uncertified and each == paths[0]:

# eval_bridge/inference/asof.py

the bar before answers: who asks on a Sunday means Friday
- if bar >= 0 and time[bar] >= date.time:
+ if bar >= 0:

symbols of the future: the panel is that of the file
- which = np.asarray(listed.any(axis=0) | keep)
+ which = np.asarray(listed.any(axis=0) | True)

old data is data: the age is computed and forgotten
- if age > most:
+ if False:

# eval_bridge/inference/feature_range.py

range of all bars: what the test range saw is allowed
- table.ranges["train"].last + 1]
+ table.ranges["all"].last + 1]

# eval_bridge/api.py

last row alone is looked at: the network looks back further
- market.table.features[-manifest.network.reach :]
+ market.table.features[-1:]

recorded at every question: a loop over dates fills the ledger
- if ("infer", market.data_sha256, policy, (bar, bar)) in entries:
+ if False:

# eval_bridge/inference/holdings.py

entry prices are read and forgotten: every position stands at no profit
- entry = price[n] if position.entry_price is None else position.entry_price
+ entry = price[n]

shorts slip into a long-only policy: the rules will sort it out
- if short.any() and not book.allow_short:
+ if False:

# eval_bridge/inference/recommend.py

shares of the first bar: a split is history
- unit = np.ones(len(table.symbols)) if split is None else np.prod(split[: bar + 1], axis=0)
+ unit = np.ones(len(table.symbols))

weights before costs: what is paid is still there
- after.position / record.equity,
+ after.position / record.equity_before,

# eval_bridge/rewards.py

accumulators stand still: a ratio that never leaves its warm-up
- memory, paid[k] = reward.step(np, memory, record, params)
+ _, paid[k] = reward.step(np, memory, record, params)

# eval_bridge/stateful_env.py

the window ends a bar late: tomorrow's features are on the table anyway
- self.table.features[bar - self.table.window + 1 : bar + 1]
+ self.table.features[bar - self.table.window + 2 : bar + 2]

ruin is the end of the data: done is done
- engine.over and not terminated
+ engine.over
"""
