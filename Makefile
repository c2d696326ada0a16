# Each target works alone on a fresh clone: it needs Python 3.11 or newer with pip, and make.
#   make demo    several pictures, a follow-up, a zoom, a reading, and the conversation as a page
#   make test    the tests
#   make pocket-smoke   the recipe of the pocket checkpoint at toy length; make pocket: all of it, hours on a CPU
#   make pocket-eval    what the shipped pocket checkpoint answers rightly
#   make words   the catalogues of what looktwice says, after a sentence in the code has changed
#   make lint types bench clean

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
TYPED  := build/types/looktwice

# On Linux the package index gives torch with gigabytes of CUDA. Where that is not wanted:
#   make TORCH_INDEX="--index-url https://download.pytorch.org/whl/cpu" test
TORCH_INDEX ?=

EXTRAS := ocr,compare,quantize,langchain,parquet,documents,remote,server,mcp,training,dev

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint types bench words pocket pocket-smoke pocket-eval clean

help:
	@sed -n 's/^#   //p' Makefile

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "looktwice needs Python 3.11 or newer; run: make PYTHON=python3.12 ..." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH_INDEX) -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(EXTRAS)]'
	touch $@

demo: $(READY)
	$(BIN)/python examples/demo.py

test: $(READY)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# pyright sees the rooms as they are installed, or it can't follow their relative imports.
types: $(READY)
	rm -rf build/types
	mkdir -p $(TYPED)
	cp package/*.py package/py.typed $(TYPED)/
	cp -R agent memory tools package/world $(TYPED)/
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pyright --pythonpath $(BIN)/python

bench: $(READY)
	for script in benchmarks/*.py; do $(BIN)/python $$script || exit 1; done

words: $(READY)
	$(BIN)/python -m looktwice.agent.words.catalogues

pocket: $(READY)
	$(BIN)/python -m training build/pocket

pocket-smoke: $(READY)
	rm -rf build/pocket-smoke
	$(BIN)/python -m training build/pocket-smoke --config training/smoke.toml --questions 1

pocket-eval: $(READY)
	$(BIN)/python -m training build/pocket --steps evaluate --checkpoint pocket

clean:
	rm -rf $(VENV) build dist demo *.egg-info .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
