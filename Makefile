# Needs Python 3.11 or newer, make and git; everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
RUN_FLAGS ?=

.PHONY: train test nightly ladder bench bench-quick clean

train: .venv/installed ## train on the embedded sample, export, backtest
	$(BIN)/python -m train.ppo --num-envs 4096 $(RUN_FLAGS)
	$(BIN)/python -m eval_bridge.backtest runs/latest
	@echo "Open runs/latest/backtest/test/report.html in a browser."

test: .venv/installed ## lint, types, import contracts, tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

nightly: .venv/installed ## the heavier proofs
	$(BIN)/python -m pip install --quiet --editable ".[dev,bench,live]"
	JAXTRADE_TEST_OPTIMIZED=1 $(BIN)/python -m pytest -m nightly

ladder: .venv/installed ## what can be learned is learned, against the known optimum: with figures
	$(BIN)/python -m pytest -m nightly -s tests/ladder

bench: .venv/installed ## speed, as ratios to peers in the same run
	$(BIN)/python -m pip install --quiet --editable ".[dev,bench]"
	$(BIN)/python -m benchmarks

bench-quick: .venv/installed ## the same in five minutes: noisy, and with fewer settings of the peers
	$(BIN)/python -m pip install --quiet --editable ".[dev,bench]"
	$(BIN)/python -m benchmarks --quick

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
