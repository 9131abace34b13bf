#!/usr/bin/env bash
# Everything that needs a GPU, inside ten minutes: parity of the engines and of the policies, then the figures, as JSON
# in benchmarks/results/gpu-*.json. `benchmarks/gpu.sh --smoke` tries it out anywhere, at tiny sizes. PYTHON names the
# interpreter; it needs jaxtrade with its dev and cuda extras.
set -uo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-$([ -x .venv/bin/python ] && echo .venv/bin/python || echo python3)}
BUDGET=${BUDGET:-570} # seconds for everything
SMOKE=()
TESTS=(
  tests/test_engine_parity.py::test_float64_environment_is_the_backtester
  tests/test_engine_parity.py::test_float32_environment_stays_close
  tests/train/test_policy_parity.py::test_numpy_answers_as_flax_does
  tests/train/test_policy_parity.py::test_the_table_is_the_network_on_windows
)
if [ "${1:-}" = --smoke ]; then
  export JAX_PLATFORMS=${JAX_PLATFORMS:-cpu}
  SMOKE=(--smoke)
else
  DETERMINISTIC=--xla_gpu_deterministic_ops=true
  export JAX_PLATFORMS=${JAX_PLATFORMS:-cuda,cpu}
fi

began=$SECONDS
failed=0
passes() { if "${@:2}"; then echo "$1 passed"; else echo "$1 FAILED"; fi; }
# Matrix products of a GPU round to TF32 by default, and sums by atomic additions depend on their order: NumPy has
# neither, and both cost speed, so the proofs alone turn them off.
prove() {
  JAX_DEFAULT_MATMUL_PRECISION=highest XLA_FLAGS="${XLA_FLAGS:-} ${DETERMINISTIC:-}" timeout "$@" >&2
}
proofs=$(passes parity prove 240 "$PYTHON" -m pytest -x "${TESTS[@]}")
proofs+=", $(passes determinism prove 90 "$PYTHON" -m benchmarks.gpu "${SMOKE[@]}" --determinism)"
echo "$proofs; $((SECONDS - began)) s"
left=$((BUDGET - (SECONDS - began)))
timeout "$left" "$PYTHON" -m benchmarks.gpu "${SMOKE[@]}" --seconds $((left - 90)) --proofs "$proofs" || failed=1
echo "$((SECONDS - began)) s in all"
case "$proofs" in *FAILED*) failed=1 ;; esac
exit "$failed"
