# Two commands on a fresh machine with Python 3.11 and git:
#   make ledger   sets up everything and runs the main job on two cores
#   make test     sets up everything and passes the tests
.PHONY: ledger test setup lint clean

PYTHON ?= python3.11
BIN := .venv/bin
export PYTHONHASHSEED := 0
export HF_HUB_DISABLE_TELEMETRY := 1

ledger: setup
	@$(BIN)/snakemake results/ledger.md --profile profiles/local --quiet rules host

test: setup
	@$(BIN)/python -m pytest

lint: setup
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/snakefmt --check Snakefile rules

setup:
	@PYTHON=$(PYTHON) bash envs/setup.sh

clean:
	rm -rf results/* .snakemake
