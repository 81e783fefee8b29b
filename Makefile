# The commands of every day; README.md has the lines for those without make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help run test slow long lint lock ui viz clean

help:                   ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

run: .venv/installed    ## Set up, then run the whole chain on a small sample
	$(BIN)/kedro run --pipeline=full --params=dry_run

test: .venv/developing  ## Set up, then run the tests
	$(BIN)/pytest -n 3 --dist loadscope -m "not slow and not long"

slow: .venv/developing  ## Run the tests that run whole pipelines
	$(BIN)/pytest -n 3 --dist loadscope -m "slow and not long"

long: .venv/developing  ## Run the tests that repeat shorter ones at full size
	$(BIN)/pytest -n 2 --dist loadscope -m long

lint: .venv/developing  ## Check style, types and who imports whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:                   ## Pin what is installed in .venv
	$(BIN)/python tools/write_lock.py

ui: .venv/installed     ## Open the experiments in MLflow
	$(BIN)/kedro mlflow ui

viz: .venv/installed    ## Open the pipelines in Kedro-Viz
	$(BIN)/kedro viz run

clean:                  ## Remove caches, but no data and no environment
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -not -path './.venv/*' -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet -c requirements.lock -e ".[viz]"
	@touch $@

.venv/developing: .venv/bin/python pyproject.toml requirements.lock
	$(BIN)/python -m pip install --quiet -c requirements.lock -e ".[viz,dev]"
	@touch $@ .venv/installed
