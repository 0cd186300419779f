# `make demo` and `make test` do all their set-up themselves: they need Python 3.11+, pip and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: help demo test smoke check lint types contracts docs backends bench clean

help:
	@echo "make demo      install, run the whole pipeline on built-in scenes, say where the report is"
	@echo "make test      install, run all tests"
	@echo "make smoke     run all experiments of the paper at their smallest size"
	@echo "make check     lint, types, import contracts, docs"
	@echo "make backends  add JAX and PyTorch, so that their tests run too"
	@echo "make bench     print the table of performance ratios"


$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "aeret needs Python 3.11 or newer; set PYTHON=")'
	@# Debian without python3-venv leaves half an environment behind, which the next make would take for whole.
	@# A folder that was there before make is not ours to remove.
	was=$$([ -e "$(VENV)" ] && echo yes); $(PYTHON) -m venv "$(VENV)" || \
	{ if [ "$$was" ]; then rm -f "$(BIN)/python"; else rm -rf "$(VENV)"; fi; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.installed: $(VENV)/bin/python setup.cfg pyproject.toml
	@echo "Installing aeret into $(VENV) (about a minute; TensorFlow is 260 MB) ..."
	$(BIN)/python -m pip install --editable '.[cpu]'
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --editable '.[cpu,test,quality,docs]'
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/aeret run pipelines/demo.yaml

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

# Every experiment of the paper on a few drawn scenes: that all of it runs, in minutes.
smoke: $(VENV)/.installed-test
	$(BIN)/aeret run pipelines/paper.yaml --preset smoke

check: lint types contracts docs

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-test
	$(BIN)/mypy

contracts: $(VENV)/.installed-test
	$(BIN)/lint-imports

docs: $(VENV)/.installed-test
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

# 2.13 is the newest PyTorch with a build for the CPU alone on every index we know.
backends: $(VENV)/.installed-test
	$(BIN)/python -m pip install --quiet jax 'torch==2.13.0'

bench: $(VENV)/.installed-test
	$(BIN)/python -m benchmarks

clean:
	@# Only an environment of ours: VENV may name any folder.
	if [ -e "$(VENV)/.installed" ] || [ -e "$(VENV)/pyvenv.cfg" ]; then rm -rf "$(VENV)"; fi
	rm -rf docs/_build .mypy_cache .ruff_cache .pytest_cache
