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
- "train": Range(train_first, train_end - split.purge),
+ "train": Range(train_first, train_end),

embargo forgotten in validation: only the test is dear
- "validation": Range(max(train_end + 1 + split.embargo, history), validation_end - split.purge),
+ "validation": Range(max(train_end + 1, history), validation_end - split.purge),

test begins in validation: one bar is shared
- "test": Range(max(validation_end + 1 + split.embargo, history), test_end),
+ "test": Range(max(validation_end + split.embargo, history), test_end),

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

# jaxtrade/market/sources/delimited.py

rows one too low: the header counts as a line, or it does not
- return _row_numbers(style.skipped + 1, text.lines + 1)
+ return _row_numbers(style.skipped, text.lines)

# jaxtrade/market/sources/numbers.py

one comma makes thousands: 10,523 is a number that people write
- FEWEST_GROUPED = 2  # a single 10,523 among 105.23 is a slip of the hand, no thousands
+ FEWEST_GROUPED = 1

# jaxtrade/market/sources/times.py

mixed zones pass: an offset is an offset
- problem[odd] = MIXED
+ pass

# jaxtrade/market/sources/formats.py

offsets the wrong way: UTC is local time and the offset
- clock - shift.astype
+ clock + shift.astype

# jaxtrade/market/checks/cells.py

zero is a price: a price is not negative
- low = ~infinite & ~over & ((values < 0) if name == "volume" else (values <= 0))
+ low = ~infinite & ~over & (values < 0)

# jaxtrade/market/checks/times.py

one step back passes: times must not fall much
- back = at[1:][np.diff(time) < 0]
+ back = at[1:][np.diff(time) < -3600]

# jaxtrade/market/repairs.py

filled from later bars: a hole takes the nearest close
- filled = np.flatnonzero(bad & (last >= 0))
+ last = np.minimum.accumulate(np.where(valid, np.arange(len(close)), len(close) - 1)[::-1])[::-1]
+ filled = np.flatnonzero(bad & (last >= 0))

clip narrows: high and low are put where open and close are
- columns["high"][places] = np.fmax(columns["high"][places], np.fmax(*body))
+ columns["high"][places] = np.fmax(*body)

points multiplied: a factor is a factor
- return np.asarray(points / (nearest if nearest and abs(units - nearest) < 1e-9 * units else units))
+ return np.asarray(points * (1 / units))

# jaxtrade/market/leaks.py

noise that spares the next bar: later bars begin after the next one
- later = slice(last + 1, None)
+ later = slice(last + 2, None)

outcomes not compared: what is known is what counts
- found = differences(table, other, cut, outcomes=how == "noise")
+ found = differences(table, other, cut, outcomes=False)

# jaxtrade/market/table.py

statistics of all bars: the last bar of training is forgotten
- scaler = fit_scaler(prepared.raw[train.first - (window - 1) : train.last + 1], config)
+ scaler = fit_scaler(prepared.raw[prepared.warm :], config)

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
