# make         set up, rebuild every table and figure at mini scale, say where they are
# make test    set up, run the tests, but for the long ones
# make test-all        set up, run every test, the long ones too, and the heavy ones with config.yaml again: hours
# make test-services   set up, run what needs servers: Slurm, PostgreSQL, SSH (as root, on Debian)
# make check   set up, lint, format, types and unit tests: six minutes
# Other targets: install, lint, unit, lock, clean (the environment stays), distclean (results go too).

PYTHON ?= python3
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# Keyed by what is locked: another lock or another Python makes the environment anew, nothing else does.
LOCKED := $(shell sha256sum requirements.lock | cut -c1-16)
STAMP := $(VENV)/locked-$(LOCKED)
# Beside the environment's own packages, not among them: see the extras in pyproject.toml.
SERVICES := $(VENV)/services
SERVICES_STAMP := $(SERVICES)/locked-$(shell sha256sum requirements-services.lock | cut -c1-16)

# No hub and no telemetry, whatever a tool's own default is.
export HF_HUB_OFFLINE := 1
export TRANSFORMERS_OFFLINE := 1
export HF_HUB_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: all install build test test-all test-services check lint unit lock clean distclean

all: build
	@echo
	@echo "tables   results/mini/tables/<method>/<table>.md   (and .csv)"
	@echo "claims   results/mini/claims.csv"
	@echo "report   results/mini/report/index.html"
	@echo "MLflow   $(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db"

install: $(STAMP)

$(STAMP): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make: $(PYTHON) is $$($(PYTHON) -V 2>&1); CPython 3.11 or later is needed: make PYTHON=python3.12" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv --without-pip $(VENV)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --require-hashes -r requirements.lock
	@touch $@

build: install
	$(BIN)/snakemake --cores all

# pytest's own last line says how many passed; its exit status is make's.
test: install
	$(BIN)/python -m pytest -m "not long"

test-all: install
	$(BIN)/python -m pytest

test-services: $(SERVICES_STAMP)
	$(BIN)/python -m pytest tests/services

$(SERVICES_STAMP): requirements-services.lock $(STAMP)
	rm -rf $(SERVICES)
	$(PYTHON) -m pip --python $(BIN)/python install --quiet --no-deps --require-hashes --target $(SERVICES) \
	    -r requirements-services.lock
	@touch $@

check: lint unit

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/mypy

unit: install
	$(BIN)/python -m pytest tests/unit tests/architecture

# Pins what the environment holds now: install another version into it, test, lock.
lock: $(SERVICES_STAMP)
	$(BIN)/python tools/lock.py
	touch $(VENV)/locked-$$(sha256sum requirements.lock | cut -c1-16)
	touch $(SERVICES)/locked-$$(sha256sum requirements-services.lock | cut -c1-16)

clean:
	rm -rf .cache .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) results data/mini .snakemake mlflow.db*
