"""Planted faults of a programme: who is best, who is stopped, what is recorded and added up; see `tests.mutations`."""

PROGRAMME = """
# train/programme/candidates.py

stopped candidates go on to win: they are still validated, so their scores look as good as any
- better = runs & (scores > contest.score)
+ better = scores > contest.score

patience without a threshold: any gain looks like progress
- converging = scores > jnp.where(jnp.isfinite(contest.mark), contest.mark + threshold, contest.mark)
+ converging = scores > contest.mark

the mark creeps: small gains move it, and then none is ever large enough, or all are
- mark=jnp.where(runs & converging, scores, contest.mark),
+ mark=jnp.where(better, scores, contest.mark),

infinity wins: not finite is not the same as bad
- scores = jnp.where(jnp.isfinite(scores), scores, -jnp.inf)
+ scores = jnp.where(jnp.isnan(scores), -jnp.inf, scores)

patience ends one validation late: more than, not as many as
- stopped=jnp.where(runs & (worse >= patience), learner.update, contest.stopped),
+ stopped=jnp.where(runs & (worse > patience), learner.update, contest.stopped),

all keep what one of them has found: the best of all looks like the best of each
- return jnp.where(better.reshape(-1, *(1,) * (new.ndim - 1)), new, old)
+ return jnp.where(jnp.any(better), new, old)

episodes are averaged like all else: sums of what is counted become half of them
- name: (xp.sum if name.startswith("episode_") else xp.mean)(leaf, axis) for name, leaf in figures.scalars.items()
+ name: xp.mean(leaf, axis) for name, leaf in figures.scalars.items()

# train/programme/fleet.py

the phase turns the learning rate alone: its entropy factor is forgotten
- entropy_weight=numbers([each.ppo.entropy_weight * knobs.entropy_weight for each in configs]),
+ entropy_weight=numbers([each.ppo.entropy_weight for each in configs]),

costs are varied in name only: every candidate trades at those of env
- rules = [rule_params(each.env, table.symbols) for each in configs]
+ rules = [rule_params(setup.config.env, table.symbols) for each in configs]

validated on what it was trained on: a range by the wrong name
- validation=make_env_params(table, table.span("validation"), setup.config.env),
+ validation=make_env_params(table, table.span("train"), setup.config.env),

# train/programme/config.py

no floor: the factor goes on for ever
- steps = max(steps * self.timesteps_factor**iteration, min(least, self.total_timesteps))
+ steps = steps * self.timesteps_factor**iteration

a seed of its own for each setting: settings are then compared by luck
- return [Candidate(self.seed + k // count, settings[k % count]) for k in range(self.candidates)]
+ return [Candidate(self.seed + k, settings[k % count]) for k in range(self.candidates)]

values are not tried on the configuration: a bad one shows when all is written
- check_values(own, settings)
+ check_values(own, {})

# train/programme/open.py

any folder may be resumed: one of train.ppo becomes a programme
- if is_programme(run):
+ if run.exists():

the search is looked at when it begins: the folder is there by then
- possible_settings(config, lambda text: None)
+ _ = possible_settings

# train/programme/ledger.py

twins are one trial: the same seed and settings twice look like a repetition
- text = json.dumps([number, config.model_dump(mode="json")], sort_keys=True)
+ text = json.dumps(config.model_dump(mode="json"), sort_keys=True)

a resume records its starts again: trials that never were
- trials.record_once(ledger, "train", **about(trial, number, candidate), detail=detail)
+ trials.append(ledger, "train", **about(trial, number, candidate), detail=detail)

early stops are not recorded: they cost nothing, so they look free
- if each["stopped_at"]:
+ if each["stopped_at"] is None:

# train/programme/watch.py

the end is forgotten: a resumed iteration trains on after all have stopped
- self._stopped = saved["stopped"]
+ self._stopped = False

ends with the first that stops: one is not all
- if step.validation is not None and step.validation["running"] == 0:
+ if step.validation is not None and step.validation["running"] <= 1:

seconds of the last start only: those before a kill look lost
- "training_seconds": before["training_seconds"] + seconds["chunk"],
+ "training_seconds": seconds["chunk"],

# train/programme/iteration.py

stopped by the end of training: patience that ends with the last update counts as saved
- return about | {"validation": found, "stopped_at": stopped if 0 < stopped < planned else None}
+ return about | {"validation": found, "stopped_at": stopped or None}

a signal in the last update is swallowed: training is finished, so all looks well
- if outcome.signal:  # it came in the last update; a resume goes on with the export
+ if outcome.abandoned:

drafts are left behind: copied where they should be moved
- draft.replace(path)
+ path.write_bytes(draft.read_bytes())

# train/programme/loop.py

the last of the best: later rounds win ties
- return int(np.argmax([result["winner"]["log_growth"] for result in results]))
+ return len(results) - 1 - int(np.argmax([result["winner"]["log_growth"] for result in results[::-1]]))

on a fixed window from the newest: the best round is left behind
- place = len(results) - 1 if self.config.windows.kind != "fixed" else best_round(results)
+ place = len(results) - 1

# train/programme/summary.py

a candidate without a score is left at zero: a failure looks like standing still
- return np.array([[math.nan if score is None else score for score in row] for row in scores]).T
+ return np.array([[0.0 if score is None else score for score in row] for row in scores]).T

warm starts are counted by iteration: each candidate is one
- "warm_starts": sum(count for result in results if result["warm_started"]),
+ "warm_starts": sum(1 for result in results if result["warm_started"]),

rounds on a fixed window follow one another: the same bars twice in a row
- return np.concatenate(returns, axis=1 if config.windows.kind == "fixed" else 0)
+ return np.concatenate(returns, axis=0)
"""
