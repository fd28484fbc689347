# make demo   set everything up, render a scene, run the pipeline, say where the results are
# make test   set everything up, run all tests
# make faults strike runs on this machine, a GPU host and a Slurm cluster with every fault at every step (root, tests/rig/install.sh)
# make soak   let the queue work for an hour on hosts that lose power, with dispatchers that are killed (root)
# make check  types, style, import rules, dead code
# make lowest install with the lowest versions that pyproject.toml allows, and run the demo with them
# make bench  run benchmarks/: one JSON object a line
# make ui     Dagster's page on http://127.0.0.1:3000

PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
UV := UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv

.PHONY: setup demo test faults soak check lowest bench ui docs clean

setup: $(VENV)/.runtime

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; found $$($(PYTHON) --version). Set PYTHON=/path/to/python3.12." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 2; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"

$(VENV)/.runtime: $(BIN)/uv pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --inexact --no-dev --compile-bytecode
	@touch $@

$(VENV)/.dev: $(BIN)/uv pyproject.toml uv.lock
	@$(UV) sync --quiet --frozen --inexact --compile-bytecode
	@touch $@ $(VENV)/.runtime

demo: $(VENV)/.runtime
	@$(BIN)/cosmos demo

# Three at a time keep two cores busy: one of them has the fleet, and waits for it mostly. Compiled
# modules are kept: the tests start a thousand processes.
test: $(VENV)/.dev
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 3 --dist loadgroup $(ARGS)

faults: $(VENV)/.dev
	@$(BIN)/python -m tests.faults $(ARGS)

soak: $(VENV)/.dev
	@$(BIN)/python -m tests.soak $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python tests/check_dead_code.py

lowest: $(BIN)/uv
	@$(BIN)/python tests/check_lowest.py

bench: $(VENV)/.dev
	@for b in benchmarks/bench_*.py; do $(BIN)/python $$b || exit 1; done

ui: $(VENV)/.runtime
	@$(BIN)/cosmos ui

docs: $(VENV)/.dev
	$(BIN)/python -m cosmos_pipelines.cli.reference

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
