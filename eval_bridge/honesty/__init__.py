"""Is it skill? Intervals, tests against luck, baselines through the same engine, and a plain verdict."""
