# One command each; everything runs in .venv, which is made on first use.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
PROJECT ?= imagenet_resnet
ARGS ?=
BIN := .venv/bin
CONSTRAINTS ?= constraints/cpu-py311.txt
export NO_ALBUMENTATIONS_UPDATE := 1

.DEFAULT_GOAL := help
.PHONY: help setup train test test-slow lint format bench clean

help:  ## Show this help
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo '  Variables: PROJECT=$(PROJECT)  ARGS="trainer.max_epochs=1 seed=7"'

setup: .venv/ready  ## Create .venv with everything training and tests need

.venv/ready: pyproject.toml $(CONSTRAINTS)
	@echo "Setting up .venv with $(PYTHON) (once; a few minutes, about 3 GB) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed (PYTHON): make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS) -e '.[paddle,wandb,sftp,serve,sweeps,dev]'
	@touch $@
	@echo "Done: $(BIN)/python is ready."

train: .venv/ready  ## Train PROJECT (default: imagenet_resnet) with ARGS
	@$(BIN)/python projects/$(PROJECT)/train.py $(ARGS)

test: .venv/ready lint  ## Set up and run all tests but the slow ones and those that need a GPU
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile

test-slow: .venv/ready  ## Run the slow tests too (minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist loadfile -m 'not gpu'

lint: .venv/ready  ## Check style and the types of shared/policy
	@$(BIN)/ruff format --check --quiet . || { echo "error: files are not formatted: run 'make format'" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

format: .venv/ready  ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: .venv/ready  ## Run the benchmarks of scripts/bench (minutes; prints ratios)
	@for script in input_pipeline shards train_step speaker_eval speaker_step video_decode video_memory; do $(BIN)/python scripts/bench/$$script.py || exit 1; done

clean:  ## Remove .venv and caches; runs/ and data/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
