# Two commands on a fresh machine with Python 3.11 and git:
#   make ledger   sets up everything and runs the main job on two cores
#   make test     sets up everything, checks style and types, and passes the tests
# While you work:
#   make test-fast   the tests that start no Snakemake, in under three minutes on two cores
#   make lint        style and types alone
.PHONY: ledger test test-fast setup lint clean

PYTHON ?= python3.11
BIN := .venv/bin
SOURCES := src plugins/snakemake-executor-plugin-modal/src
export PYTHONHASHSEED := 0
export HF_HUB_DISABLE_TELEMETRY := 1

ledger: setup
	@$(BIN)/snakemake results/ledger.md --profile profiles/local --quiet rules host

test: lint
	@$(BIN)/python -m pytest --durations=25

test-fast: setup
	@$(BIN)/python -m pytest -m "not slow"

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/snakefmt --check Snakefile rules
	@MYPYPATH=$(subst $() ,:,$(SOURCES)) $(BIN)/mypy

setup:
	@PYTHON=$(PYTHON) bash envs/setup.sh

clean:
	rm -rf results/* .snakemake
