"""Planted faults of the stitched backtest of a programme; see `tests.mutations`."""

RELAY = """
# eval_bridge/relay.py

legs share the features of the first: the same bars look like the same rows
- parts = {k: self.legs[k].policy.market(self.legs[k].features, bars[number == k]) for k in np.unique(number)}
+ parts = {k: self.legs[k].policy.market(self.legs[0].features, bars[number == k]) for k in np.unique(number)}

the old leg decides at the border: an end that is taken for included
- number = np.searchsorted(self.borders, bars, side="right")
+ number = np.searchsorted(self.borders, bars, side="left")

the first leg's head answers for all: what was encoded looks like what is decided
- getattr(self.legs[int(number)].policy, ask)(rows, view)
+ getattr(self.legs[0].policy, ask)(rows, view)

accounts on both sides of a border are mixed up: answers are put in the order of the legs
- merged[number == k] = part
+ merged[np.sort(number) == k] = part

a policy decides bars that it was chosen on: nobody compares the dates
- if turn.first < np.datetime64(str(until), "D") + 1:
+ if turn.first < np.datetime64(str(manifest.market.split.train_until), "D") + 1:

legs of other data: only the configuration is compared
- facts |= {"market": market, "data": manifest.data.sha256}
+ facts |= {"market": market}

uncertified legs trade: the newest one was looked at
- if not allow_uncertified:
+ if not allow_uncertified and path == paths[-1]:

# eval_bridge/turns.py

bars between two test ranges have no policy: a leg ends with its own range
- ends = [*(span.first for span in spans[1:]), spans[-1].last]
+ ends = [span.last for span in spans]

legs may overlap: only gaps are looked for
- if apart:
+ if apart > 0:

# eval_bridge/market.py

each leg with the statistics of the first: they are read once like the bars
- window_table(prepared, each.market.split, scaler_from(each.scaler))
+ window_table(prepared, each.market.split, scaler_from(manifests[0].scaler))

a resumed programme opens the range again: every call is recorded
- if not once or ("open-test", table.data_hash, policy, (span.first, span.last)) not in known:
+ if True:

# eval_bridge/ensemble.py

other borders are the same policy: only the bundles are hashed
- return self.paths if self.relay is None else (*self.paths, self.relay)
+ return self.paths

# eval_bridge/stitched.py

a trade belongs to the leg of the bar it fills in: the decision is forgotten
- decided = np.searchsorted(table.time, closed.astype(table.time.dtype)) - table.fill_bar
+ decided = np.searchsorted(table.time, closed.astype(table.time.dtype))

a mark belongs to the leg that decides there: not to the one that led to it
- decided = result.span.first + np.maximum(np.arange(len(result.time)) - 1, 0)
+ decided = result.span.first + np.arange(len(result.time))
"""
