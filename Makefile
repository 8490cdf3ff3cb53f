# make demo   environment, bundled data, a trained model, its evaluation, and a page that shows it
# make test   the test suite
# make help   everything else
SHELL := /bin/bash
VENV ?= .venv
BIN := $(VENV)/bin
export VENV
TESTS ?= tests
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format docs bench lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 18

# One stamp a dependency group: nothing is installed again until the requirements change.
$(VENV)/.ready-%: pyproject.toml constraints/py311.txt scripts/setup.sh
	@scripts/setup.sh $(filter-out core,$*)
	@touch $@

setup: $(VENV)/.ready-core $(VENV)/.ready-dev ## the environment, with all development tools

demo: $(VENV)/.ready-core ## data, model, evaluation table, and the page (DEMO="--no-serve" for the rest without it)
	@$(BIN)/bowerbird demo $(DEMO)

test: setup ## the test suite (TESTS=tests/serve for a part of it)
	@scripts/chromium.sh
	$(BIN)/python -m pytest $(TESTS) -n $(WORKERS) --dist loadfile

lint: setup ## style, types, and which package may import which
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: setup ## what can be put right by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.ready-core $(VENV)/.ready-docs ## the documentation, into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: setup ## the measurements behind docs/results (BENCH="latency" runs one; without: the list)
	$(BIN)/python -m benchmarks $(BENCH)

lock: setup ## refresh constraints/py311.txt from pyproject.toml
	scripts/lock.sh

clean: ## remove the environment and everything that was built (your stores and models stay)
	rm -rf $(VENV) build dist site demo .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
