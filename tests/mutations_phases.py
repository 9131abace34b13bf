"""Planted faults of the phases, the intervals and the search of a programme; see `tests.mutations`."""

PHASES = """
# train/programme/phases.py

an iteration begins its phase too early: its beginning counts, not its middle
- middle = (iteration + 0.5) / iterations
+ middle = iteration / iterations

the program is compiled for the base: a phase with more epochs is cut short
- return max((_epochs(phase, base_epochs) for phase in phases), default=base_epochs)
+ return base_epochs

epochs are cut off, not rounded: three of 0.75 x 5 look enough
- return max(1, round(base * phase.epochs))
+ return max(1, int(base * phase.epochs))

# train/programme/intervals.py

failures are left out: the mean of those that remain looks better
- ordered = np.sort(np.where(np.isnan(rows), -np.inf, rows), axis=1)
+ ordered = np.sort(np.where(np.isnan(rows), np.nanmean(rows, axis=1, keepdims=True), rows), axis=1)

half of what is cut: a quarter in all, not at each end
- cut = int(CUT * count)
+ cut = int(CUT * count / 2)

candidates drawn for all iterations at once: windows no longer apart
- chosen = generator.integers(candidates, size=(resamples, candidates, iterations))
+ chosen = generator.integers(candidates, size=(resamples, candidates, 1)) + np.zeros(iterations, int)

twins vote twice: candidates that traded alike are different strategies
- different = np.unique(table, axis=1) if candidates else table
+ different = table

signs apart: the difference is turned around for its interval alone
- return _interval(iqm(first) - iqm(second), drawn[0] - drawn[1], level)
+ return _interval(iqm(first) - iqm(second), drawn[1] - drawn[0], level)

# train/programme/search.py

settings come twice: what was tried is not remembered
- untried = [values for values in settings if _texts(values) not in tried]
+ untried = settings

each trial draws from the clock: a resumed search goes another way
- sampler=optuna.samplers.TPESampler(seed=int(sequence.generate_state(1)[0])), direction="maximize"
+ sampler=optuna.samplers.TPESampler(), direction="maximize"

half a line stays: what was being written at a kill is believed
- file.truncate(written.rfind(b"\\n") + 1)
+ pass

any journal will do: that of another space is gone on with
- elif before != _identity(config):
+ elif False:

a score of zero is none: truth for presence
- best = max((each for each in outcomes if each.score is not None)
+ best = max((each for each in outcomes if each.score)
"""
