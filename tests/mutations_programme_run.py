"""Planted faults of what a programme puts together from its iterations; see `tests.mutations`."""

PROGRAMME_RUN = """
# train/programme/loop.py

validation traded as out of sample: bars that chose the winners
- spans = [Range(*result["spans"]["test"]) for result in legs]
+ spans = [Range(*result["spans"]["validation"]) for result in legs]

the first winner trades all windows: nobody takes over
- bundles = [f"{result['folder']}/policy.npz" for result in legs]
+ bundles = [f"{legs[0]['folder']}/policy.npz" for result in legs]

# train/programme/fleet.py

embargo forgotten: a test begins with the bar after validation
- plan = config.iterations, sizes, asked.kind, asked.purge, asked.embargo
+ plan = config.iterations, sizes, asked.kind, asked.purge, 0

# train/programme/summary.py

trials of the last window alone: luck is measured by the candidates
- "trials": found["trials"],
+ "trials": config.candidates,

legs in the wrong order: a window is told the growth of another
- row_of(result, part) for result, part in zip(results, parts, strict=True)
+ row_of(result, part) for result, part in zip(results, parts[::-1], strict=True)

# train/programme/ledger.py

early stops are no trials: choosing when to stop costs nothing
- if each["stopped_at"]:
+ if each["stopped_at"] == 0:
"""
