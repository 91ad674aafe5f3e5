# Two commands do everything: `make demo` and `make test`. Each sets up what it needs; second runs start from caches.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
# Two processes, each with servers of its own (tests/conftest.py says who gets which tests), in the order of the folders.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder

export TZ := UTC

.DEFAULT_GOAL := help
.PHONY: help demo test test-engines lint types setup clean

help:  ## Show what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(READY)  ## Set everything up and run the whole main job on the real input
	@$(BIN)/es-ranking demo

test: $(READY)  ## Set everything up and run the whole test suite, linters and type checks included
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE)

test-engines: $(READY)  ## The tests of the search side, on Elasticsearch 8.16.1 and OpenSearch 3.8.0 instead
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -m engines tests/es_ranking

lint: $(READY)  ## Format and lint
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

types: $(READY)  ## Check types
	@$(BIN)/mypy

setup: $(READY)  ## Make the virtual environment only

clean:  ## Remove the virtual environment and build leftovers (caches stay)
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .hypothesis

$(READY): setup.cfg pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed. Hint: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or newer is needed, $(PYTHON) is older. Hint: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import shutil, sys; sys.exit(shutil.disk_usage(".").free < 12 * 2**30)' || { echo "error: less than 12 GB free here; the environment needs about 8 and the engine 2. Hint: free some disk" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (about 7 GB with torch and Spark; two to four minutes the first time)" >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[batch,redis,opensearch,serve,async,demo,dev]' || { echo "error: pip could not install the packages. Hint: look at the lines above; running make again resumes from pip's cache" >&2; exit 1; }
	@touch $(READY)
