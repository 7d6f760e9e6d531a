# Everything a person or CI does here. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# A client that conflicts with another of the same name, but not with what that one needs.
CLIENTS := $(VENV)/clients
# Half of them more than there are cores: much of a test is waiting for a program of its own.
PYTEST_WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) \* 3 / 2)
CRASH_JOBS ?= $(shell $(PYTHON) -c 'import os; print(os.cpu_count() or 1)')
# The tests start hundreds of programs; without it each of them compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help install demo test laws crash slow test-all fuzz golden examples fmt format-check lint type schemas schemas-check \
        docs docs-check bench corpus build wheel-test check clean

help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## Make .venv and install shplan into it

$(STAMP): pyproject.toml Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "shplan needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[sandbox,dev]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	  --target $(CLIENTS)/sentinelhub-3.11.1 sentinelhub==3.11.1
	@touch $(STAMP)

demo: $(STAMP)  ## See it work: init, plan, apply, change, apply, verify, on the sandbox
	@PATH="$(CURDIR)/$(BIN):$$PATH" sh scripts/demo.sh

test: $(STAMP)  ## Run all tests but the slow ones
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal -m "not slow"

laws: $(STAMP)  ## Run only the laws (crashes, properties)
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal tests/laws

crash: $(STAMP)  ## Kill the client at every boundary (ONLY='tiles-* job-run/plain' MINUTES=20 LIMIT=crashes of a case THIN=1: all)
	$(BIN)/python -m tests.crash --jobs $(CRASH_JOBS) $(if $(LIMIT),--most $(LIMIT)) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(THIN),--thin $(THIN)) $(if $(TWICE),--twice) \
	    $(foreach one,$(ONLY),'$(one)')

slow: $(STAMP)  ## Run what takes minutes: every request, many interleavings, more examples of each law
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal -m "slow or sampled or hypothesis" \
	    --hypothesis-profile=thorough

test-all: $(STAMP)  ## Run all tests once, the slow ones too
	$(BIN)/python -m pytest -n $(PYTEST_WORKERS) --dist worksteal --durations=30

SECONDS ?= 60
fuzz: $(STAMP)  ## Bend what is read from files and servers for some time (SECONDS=60)
	$(BIN)/python -m tests.fuzz $(SECONDS)

golden: $(STAMP)  ## Write the golden files anew; review their difference as code
	SHPLAN_GOLDEN=1 $(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) tests/manifest tests/views tests/examples \
	    tests/sandbox/scenes tests/scripts

examples: $(STAMP)  ## Validate, plan, apply and plan again every example
	$(BIN)/python -m pytest -q -n $(PYTEST_WORKERS) tests/examples

fmt: $(STAMP)  ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

format-check: $(STAMP)
	$(BIN)/ruff format --check .

lint: $(STAMP)  ## Lint
	$(BIN)/ruff check .

type: $(STAMP)  ## Check the types
	$(BIN)/mypy

schemas: $(STAMP)  ## Derive the schemas again from the extract
	$(BIN)/python -m shplan.schema

schemas-check: schemas
	git diff --exit-code -- schemas

docs: $(STAMP)  ## Write docs/cli.md from --help
	$(BIN)/python -m shplan.cli.docs

docs-check: docs
	git diff --exit-code -- docs

bench: $(STAMP)  ## Measure against a floor of the same run
	$(BIN)/python benchmarks/run.py
	$(BIN)/python benchmarks/pixels.py
	$(BIN)/python benchmarks/process.py
	$(BIN)/python benchmarks/ledger.py

corpus: $(STAMP)  ## Run a folder of evalscripts (DIR=...) and count how they end
	$(BIN)/python benchmarks/corpus.py --list $(if $(DIR),"$(DIR)")

build: $(STAMP)  ## Build the wheel
	rm -rf dist
	$(BIN)/python -m build --wheel --outdir dist .

wheel-test: build  ## Try the installed wheel, outside the checkout
	PYTHON=$(CURDIR)/$(BIN)/python sh scripts/wheel_test.sh dist/*.whl

check: format-check lint type schemas-check docs-check wheel-test test-all  ## Everything that CI runs

clean:  ## Remove what was made
	rm -rf $(VENV) *.egg-info dist build .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
