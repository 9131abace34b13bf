"""Planted faults of the sharing out of candidates among devices; see `tests.mutations`."""

SPREAD = """
# train/programme/spread.py

one device does all: the results are the same, only late
- return max(count for count in range(1, min(candidates, devices) + 1) if candidates % count == 0)
+ return min(count for count in range(1, min(candidates, devices) + 1) if candidates % count == 0)

more devices than shares: as many as there are
- return devices[: shares(candidates, len(devices))]
+ return devices[:1]

the first market for ever: the one on the devices is never changed
- if self._kept[0] is not market:
+ if self._kept[0] is None:

left where it was computed: what comes after is compiled for several devices
- return _typed_keys(jax.device_put(results, self._home), self._shapes)
+ return _typed_keys(results, self._shapes)

every device does all candidates: the axis is left out of the share
- spec = {0: PartitionSpec(AXIS), None: PartitionSpec()}
+ spec = {0: PartitionSpec(), None: PartitionSpec()}

the user's flags are not looked at: one variable alone was thought of
- if FLAG in os.environ.get("XLA_FLAGS", "") or "JAX_NUM_CPU_DEVICES" in os.environ:
+ if "JAX_NUM_CPU_DEVICES" in os.environ:
"""
