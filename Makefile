# One command each: `make run` shows Causeway at work, `make test` proves it.
# PYTHON chooses the interpreter (3.11 or newer), ARGS is passed on to the command.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint services soak bench clean

help: ## list these targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 20

run: .venv/.installed-server ## start a demonstration of two sites on this machine
	$(BIN)/causeway demo $(ARGS)

test: lint services ## lint, then every test but the soak, against real MinIO and DynamoDB Local
	$(BIN)/pytest -n 2 $(ARGS)

lint: .venv/.installed-test ## style, format, import directions, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

services: .venv/.installed-test ## install what the tests run beside us: MinIO, mc, rclone, DynamoDB Local
	$(BIN)/python -m tests.services.install

soak: .venv/.installed-test services ## the long simulations and the large fullsync
	$(BIN)/pytest -m soak --timeout 0 $(ARGS)

bench: .venv/.installed-test services ## side-by-side measurements against real peers
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove the environment, builds and caches of this checkout
	rm -rf .venv build dist *.egg-info .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Causeway needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/.installed-server: pyproject.toml requirements.txt | .venv/bin/python
	@echo "installing Causeway and what it needs into .venv: the first time this takes half a minute"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[server]'
	@touch $@

.venv/.installed-test: pyproject.toml requirements.txt | .venv/bin/python
	@echo "installing Causeway, what it needs and what tests it into .venv: the first time this takes minutes"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[server,test]'
	@touch $@ .venv/.installed-server
