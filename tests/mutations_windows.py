"""Planted faults of walk-forward windows and of the ledger that their runs share; see `tests.mutations`."""

WINDOWS = """
# jaxtrade/market/windows.py

tests overlap: a window begins one bar before the last one's test ends
- cuts = (_day_start(time, bar) for bar in (tested.first - validation, tested.first, tested.last + 1))
+ cuts = (_day_start(time, bar) for bar in (tested.first - validation, tested.first - 1, tested.last + 1))

ends within a day: a date then takes bars of the next range
- return bar if bar == len(time) else first_bar(time, date_at_bar(time, bar))
+ return bar

the last bars left over: windows begin with the first bar
- used = Range(span.last + 1 - train - validation - iterations * test, span.last)
+ used = Range(span.first, span.first + train + validation + iterations * test - 1)

purge forgotten: the windows' splits have none
- purge=purge, embargo=embargo))
+ embargo=embargo))

validation of a whole test where training has less: one window never fits
- validation = min(test, before // 2) if
+ validation = test if

report of the source lost: a window's table says nothing of repairs
- return prepare_bars(loaded.bars, config, window)._replace(report=loaded.report.record())
+ return prepare_bars(loaded.bars, config, window)

# jaxtrade/market/splits.py

training from the first bar: the date is resolved and not used
- "train": Range(train_first, train_end - split.purge),
+ "train": Range(history, train_end - split.purge),

first date before the history: training begins in the warm-up
- max(first_bar(time, train_from), history)
+ first_bar(time, train_from)

test without an end: later bars are tested as well
- "test": Range(max(validation_end + 1 + split.embargo, history), test_end),
+ "test": Range(max(validation_end + 1 + split.embargo, history), last),

# jaxtrade/market/table.py

statistics from the first bar on: training's beginning is forgotten
- fit_scaler(prepared.raw[train.first - (window - 1) : train.last + 1], config)
+ fit_scaler(prepared.raw[prepared.warm : train.last + 1], config)

statistics without the look-back: what the first decision sees is not counted
- fit_scaler(prepared.raw[train.first - (window - 1) : train.last + 1], config)
+ fit_scaler(prepared.raw[train.first : train.last + 1], config)

one report for all windows: a note in one is in every other
- report=dict(prepared.report),
+ report=prepared.report,

# jaxtrade/market/leaks.py

a cut through the purged bars: training ends earlier, and that is called a leak
- kept = last + table.config.split.purge if how == "cut" else last
+ kept = last

# jaxtrade/trials.py

early stops are free: who stops by validations tried nothing
- return len(trained) + sum(entry.event == "early-stop" for entry in here)
+ return len(trained)

a ledger in every programme: trials of other runs are forgotten
- while all((run.parent / name).exists() for name in OF_A_RUN):
+ while False:

any configuration above is a run: a project's own ledger is left behind
- OF_A_RUN = ("config.yaml", "fingerprint.json")
+ OF_A_RUN = ("config.yaml",)

once is always: a resumed programme counts twice
- for before in entries if once else ():
+ for before in ():

once for all candidates: the detail is not compared
- ALIKE = ("event", "run", "data_sha256", "config_sha256", "detail")
+ ALIKE = ("event", "run", "data_sha256", "config_sha256")
"""
