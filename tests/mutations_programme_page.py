"""Planted faults of the pages of programmes and benchmarks, and of `train.compare`; see `tests.mutations`."""

PROGRAMME_PAGE = """
# train/programme/page_tables.py

an unfinished programme says what a finished one would: there is a verdict anyway
- line, why, kind = f"not finished: {progress(summary)}, no verdict yet", OPEN, "none"
+ line, why, kind = f"no evidence of skill: {progress(summary)}", OPEN, "none"

early stops are credited with adaptive timesteps: both are steps that were not done
- shortened, stopped = steps.plain - steps.planned, steps.planned - steps.done
+ shortened, stopped = steps.plain - steps.planned, steps.plain - steps.done

an optimisation that is off says what it did: the words are there
- did.get(name, "") if on else ""
+ did.get(name, "")

# train/programme/page_iterations.py

the winner's compiled validation stands for the exact one: they are nearly the same
- Cell(growth(winner.exact_log_growth), best,
+ Cell(growth(winner.log_growth), best,

steps are sorted as they are shown: 12 M comes before 950 k
- {row.updates.plain}", sort=row.steps.done),
+ {row.updates.plain}"),

# train/programme/page_charts.py

the line stands a bar early: the last bar of a window is not the first of the next
- np.flatnonzero(np.diff(leg)) + 1])
+ np.flatnonzero(np.diff(leg))])

error bars are ends of the interval: the plot wants distances
- return None if high is None or low is None else high - low
+ return None if high is None or low is None else high

the winner is drawn in the middle: its dot is another candidate's
- wins = [_strip(row)[row.winner.candidate] for row in rows]
+ wins = [float(row.iteration) for row in rows]

words of candidates are not escaped: a setting is read as markup
- words.append(label(f"candidate {each.candidate}, seed {each.seed}{settings}"))
+ words.append(f"candidate {each.candidate}, seed {each.seed}{settings}")

# train/programme/benchmark_page.py

a variant that is worse passes for as good: only better counts as another
- "overlaps" if against.overlaps else "worse"
+ "overlaps"

# train/compared.py

other data are compared: the name of the file is the same
- if run.data_sha256 != runs[0].data_sha256:
+ if run.data != runs[0].data:

a run of other windows is faster: the clock is the clock
- same = run.validated == reference.validated and run.finished and reference.finished
+ same = run.finished and reference.finished

the last validation for the best: the policy is that of the end
- best=max((each for each in grown if each is not None), default=None),
+ best=grown[-1],

a resumed run is fast: what came before the resume is left out
- if found["updates"]["from"] == 0:
+ if found["updates"]["to"]:

# train/compare.py

a validation on other bars bears no mark: the column is the same
- return shown if shown == "-" or run.validated == runs[0].validated else f"{shown} *"
+ return shown
"""
