# make demo    see live captions of a bundled recording, no model download
# make test    run all tests
# make help    the rest
#
# Needs Python 3.11 or newer, make, git and the package index.

VENV ?= .venv
# Tried in this order; the first one that is new enough and can make an environment wins.
PYTHONS ?= python3.11 python3.12 python3.13 python3.14 python3.15 python3

BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable
METADATA := setup.cfg pyproject.toml

WHISPERX_VENV ?= .venv-whisperx
WHISPERX_PIP_INSTALL := $(WHISPERX_VENV)/bin/python -m pip install --quiet \
	--disable-pip-version-check --editable

# Tests run in so many processes, twice the cores of a small machine: half of the time they wait for
# speech or for programs to start. 0: in one, in their order, as a debugger wants it.
PROCESSES := 3
# A test that ends its process, as one that hangs does in the end, is not tried again.
PYTEST := $(BIN)/python -m pytest -n $(PROCESSES) --max-worker-restart 0

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo serve test quick check whisperx test-whisperx extension clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 23

demo: $(VENV)/installed ## stream a bundled recording through server and client, live
	@$(BIN)/whisper-streaming demo

serve: $(VENV)/installed ## start the server on port 9090
	@$(BIN)/whisper-streaming serve

test: $(VENV)/installed-dev ## run all tests
	@$(PYTEST)

quick: $(VENV)/installed-dev ## run the tests that take no model and no time
	@$(PYTEST) -m "not model and not slow"

check: $(VENV)/installed-dev ## format, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

whisperx: $(WHISPERX_VENV)/installed ## install the whisperx backend, in an environment of its own
	@echo "Start it with: $(WHISPERX_VENV)/bin/whisper-streaming serve --backend whisperx"

test-whisperx: $(WHISPERX_VENV)/installed-dev ## run the tests of the whisperx backend there
	@$(WHISPERX_VENV)/bin/python -m pytest -m requires_whisperx tests/whisperx

extension: | $(BIN)/python ## put the browser extension together in build/extension
	@$(BIN)/python browser-extension/assemble.py

clean: ## remove the environment and what builds and tools leave behind
	rm -rf $(VENV) $(WHISPERX_VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps make a second run start at once; new metadata installs again.
$(VENV)/installed: $(METADATA) | $(BIN)/python
	@echo "Installing whisper-streaming into $(VENV) ..."
	@$(PIP_INSTALL) .
	@touch $@

$(VENV)/installed-dev: $(METADATA) | $(BIN)/python
	@echo "Installing whisper-streaming and its test tools into $(VENV) ..."
	@$(PIP_INSTALL) '.[dev]'
	@touch $@ $(VENV)/installed

# whisperx pins its own torch, transformers and hub client: about 8 GB with CUDA.
$(WHISPERX_VENV)/installed: $(METADATA) | $(BIN)/python
	@echo "Installing whisper-streaming and whisperx into $(WHISPERX_VENV) ..."
	@$(BIN)/python -m venv $(WHISPERX_VENV)
	@$(WHISPERX_PIP_INSTALL) '.[whisperx]'
	@touch $@

$(WHISPERX_VENV)/installed-dev: $(WHISPERX_VENV)/installed
	@$(WHISPERX_PIP_INSTALL) '.[whisperx,whisperx-dev]'
	@touch $@

$(BIN)/python:
	@found=; for python in $(PYTHONS); do \
	    command -v "$$python" >/dev/null 2>&1 || continue; \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || continue; \
	    found="$$found $$python"; \
	    echo "Creating $(VENV) with $$python ..."; \
	    "$$python" -m venv $(VENV) && exit 0; \
	    rm -rf $(VENV); \
	done; \
	if [ -z "$$found" ]; then \
	    echo "No Python 3.11 or newer among: $(PYTHONS)." >&2; \
	    echo "Install one (for example: sudo apt install python3 python3-venv), or name it: make PYTHONS=/path/to/python3" >&2; \
	else \
	    echo "Could not make an environment with:$$found." >&2; \
	    echo "On Debian and Ubuntu its module is a package of its own: sudo apt install python3-venv" >&2; \
	fi; \
	exit 1
