"""Planted faults of the learner and of what keeps its work; see `tests.mutations`."""

LEARNER = """
# train/gae.py

truncation ends the value: what was cut off is taken for an end
- alive = 1 - terminated.astype(values.dtype)
+ alive = 1 - (terminated | truncated).astype(values.dtype)

truncation ignored: advantages run on over a reset
- goes_on = 1 - (terminated | truncated).astype(values.dtype)
+ goes_on = 1 - terminated.astype(values.dtype)

gamma missing in the trace: lambda alone looks like the decay
- advantage = delta + gamma * lam * more * advantage
+ advantage = delta + lam * more * advantage

# train/losses.py

the better of both surrogates: maximum for minimum, and the clip does nothing
- policy_loss = -jnp.mean(jnp.minimum(ratio * batch.advantage, clipped * batch.advantage))
+ policy_loss = -jnp.mean(jnp.maximum(ratio * batch.advantage, clipped * batch.advantage))

entropy is punished: a sign of three
- + config.value_weight * value_loss - knobs.entropy_weight * entropy
+ + config.value_weight * value_loss + knobs.entropy_weight * entropy

clipped value error taken where it is smaller: the pessimist's maximum turned around
- return jnp.maximum(error, (near - batch.target) ** 2)
+ return jnp.minimum(error, (near - batch.target) ** 2)

advantages centred only: the deviation is forgotten
- (advantage - jnp.mean(advantage)) / (jnp.std(advantage) + 1e-8)
+ (advantage - jnp.mean(advantage))

# train/distributions.py

squashed density without its Jacobian: that of the Gaussian looks right
- return GAUSSIAN.log_prob(params, action) - jnp.sum(_log_slope(action) + log_half, axis=-1)
+ return GAUSSIAN.log_prob(params, action)

stretch left out of the density: bounds of one need none
- return GAUSSIAN.log_prob(params, action) - jnp.sum(_log_slope(action) + log_half, axis=-1)
+ return GAUSSIAN.log_prob(params, action) - jnp.sum(_log_slope(action), axis=-1)

choices drawn with one key: components that should be independent move together
- keys = jax.random.split(key, len(sizes))
+ keys = [key] * len(sizes)

# train/schedules.py

schedules share the learning rate's: the wrong column of a table
- schedules = ppo.learning_rate_schedule, ppo.clip_schedule, ppo.entropy_schedule
+ schedules = ppo.learning_rate_schedule, ppo.learning_rate_schedule, ppo.learning_rate_schedule

warm-up forgotten in the decay: the cosine ends late
- warm, warm + rest, config.end)
+ warm, 2 * warm + rest, config.end)

# train/normalize.py

returns run on over ruin: the discounted sum is not ended
- return jnp.where(ended, jnp.zeros_like(discounted), discounted), discounted
+ return discounted, discounted

spread between rollouts forgotten: variances alone are averaged
- jnp.var(seen) * added + delta**2 * scale.count * added / total
+ jnp.var(seen) * added

# train/health.py

infinite numbers pass: only NaN is looked for
- return jnp.any(~jnp.isfinite(x), axis=tuple(range(1, x.ndim)))
+ return jnp.any(jnp.isnan(x), axis=tuple(range(1, x.ndim)))

faulty updates kept: the choice is turned around
- return jax.tree.map(lambda yes, no: jnp.where(ok, yes, no), new, old)
+ return jax.tree.map(lambda yes, no: jnp.where(ok, yes, yes), new, old)

first name instead of first cause: the alphabet decides
- return min(found)[1:] if found else None
+ return min(found, key=lambda each: each[1])[1:] if found else None

# train/episodes.py

rows overwritten: the log forgets how many it holds
- row = log.rows + jnp.cumsum(ended, dtype=jnp.int32) - 1
+ row = jnp.cumsum(ended, dtype=jnp.int32) - 1

lost rows left out of the sums: means lean to what came first
- rows=log.rows + jnp.sum(ended, dtype=jnp.int32),
+ rows=jnp.minimum(log.rows + jnp.sum(ended, dtype=jnp.int32), room),

# train/manifest.py

sizes are enough: the hash is not looked at
- same = found == size and _digest(path) == digest
+ same = found == size

a manifest is believed: its own hash is not looked at
- whole = data == _render(files)
+ whole = True

# train/checkpoint.py

a NaN is saved: parameters are not looked at
- if bad is not None:
+ if False:

the best is deleted: only the latest are kept
- *([] if best is None else best[:1])
+ *()

deleted before it is replaced: room is made first
- self._write(update, data, text)
+ for old in set(self._metrics) - kept(self._metrics | {update: metric}, self._config):
+     self._remove(old)
+ self._write(update, data, text)

# train/saved.py

facts are not compared: the shapes fit
- if saved.get(name) != value:
+ if False:

a NaN is best: comparison with it is never true
- if value is not None and math.isfinite(value)}
+ if value is not None}

# train/callbacks/early_stop.py

patience is forgotten at a resume: only the best is remembered
- self._worse, self._update = saved["worse"], saved["update"]
+ self._update = saved["update"]

# train/callbacks/gradient_monitor.py

faults are told and nothing follows: training goes on for ever
- self._judge(step)
+ pass

# train/loggers.py

rows of the future stay: a resume writes them twice
- (update or 0) > keep_until
+ (update or 0) > 10**9
"""
