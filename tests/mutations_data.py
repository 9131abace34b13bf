"""Planted faults of the data room: features, statistics, ranges, events and the leak check; see `tests.mutations`."""

DATA = """
# jaxtrade/market/features/intervals.py

forming bar visible: the bar of this week is there from its first day on
- whole = slice(1, int(np.searchsorted(closing, end[-1], side="right")))
+ whole = slice(0, int(np.searchsorted(closing, end[-1], side="right")))

coarse bars labelled by their start: a bar belongs to the period that it begins in
- period = (end - shift - 1) // seconds
+ period = (end - shift) // seconds

# jaxtrade/market/features/__init__.py

one coarse bar ahead: the number of bars seen is the number of the last
- found, last = _columns(call, bars), seen - 1
+ found, last = _columns(call, bars), np.minimum(seen, len(bars.close) - 1)

warm-up one bar short: the first bar counts
- ready &= last >= call.warm_up  # before its first coarse bar a row has -1, and is never ready
+ ready &= last >= call.warm_up - 1

missing bars look ahead: a bar that a symbol lacks takes the features of its next one
- last = np.searchsorted(rows, np.arange(len(ready)), side="right") - 1  # [T] the symbol's last bar; -1: none
+ last = np.minimum(np.searchsorted(rows, np.arange(len(ready)), side="left"), len(rows) - 1)

# jaxtrade/market/scales.py

half-missing rows in the statistics: a row counts when any feature is there
- rows = raw_rows[np.isfinite(raw_rows).all(axis=-1)]
+ rows = np.nan_to_num(raw_rows[np.isfinite(raw_rows).any(axis=-1)])

# jaxtrade/market/splits.py

purge forgotten in training: only the test is dear
- "train": Range(history, train_end - split.purge),
+ "train": Range(history, train_end),

embargo forgotten in validation: only the test is dear
- "validation": Range(max(train_end + 1 + split.embargo, history), validation_end - split.purge),
+ "validation": Range(max(train_end + 1, history), validation_end - split.purge),

test begins in validation: one bar is shared
- "test": Range(max(validation_end + 1 + split.embargo, history), last),
+ "test": Range(max(validation_end + split.embargo, history), last),

# jaxtrade/market/events.py

splits backwards: prices are those of the last share, as vendors have them
- shares = np.cumprod(bars.split, axis=0)  # [T, N] of now for one of the first bar
+ shares = 1 / (np.cumprod(bars.split[::-1], axis=0)[::-1] / bars.split)

volume not adjusted: only prices are
- return bars._replace(**prices, volume=bars.volume / shares, dividend=dividend, split=None)
+ return bars._replace(**prices, volume=bars.volume, dividend=dividend, split=None)

dividend not adjusted: a dividend is money, which no split changes
- dividend = None if bars.dividend is None else bars.dividend * shares
+ dividend = bars.dividend

# jaxtrade/market/table.py

statistics of all bars: the last bar of training is forgotten
- scaler = fit_scaler(computed.raw[warm : train.last + 1], config)
+ scaler = fit_scaler(computed.raw[warm:], config)

traded before its warm-up: a close is enough to trade
- known=Known(tradable=np.isfinite(bars.close) & computed.ready, close=mark),
+ known=Known(tradable=np.isfinite(bars.close), close=mark),

dividend a bar late: it belongs to the bar that pays it
- with_end(np.where(listed, bars.dividend[1:] / before, 0.0)),
+ with_end(np.where(listed, bars.dividend[:-1] / before, 0.0)),

test range open to training: the seal is only a word
- if self.sealed and name in ("test", "all"):
+ if self.sealed and name == "all":
"""
