# Two commands matter: `make run` and `make test`. Both make .venv by themselves.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FOR ?=
LONG_ARGS ?=
JOBS ?= 5

# QUICK=1: ours and the official client only, short windows, printed. Else everything (20 minutes on a quiet machine), which
# writes docs/performance.json, .md and the pictures, and goes on where it was ended. BENCH_ARGS: see bench/run.py.
QUICK ?=
BENCH_ARGS ?=

.PHONY: setup setup-dev run test test-long test-suites test-containers bench chaos-full chaos-nats demo-nats check lint types layers lock clean links

# The packages under src/deltawire are links to the folders here. Zip archives, and Windows checkouts without the right to make
# links, have nothing or small text files there: pip does without them (setup.py), linters and tests want them.
ROOMS := apiserver cli client common fifo handlers informer jetstream reflector
links:
	@for p in $(ROOMS); do l=src/deltawire/$$p; test -d $$l || { rm -f $$l && ln -s ../../$$p $$l && test -d $$l; } || { \
	  echo "$$l is not a link to a folder and cannot be made one. Use 'git clone', on Windows with"; \
	  echo "'git config core.symlinks true', or install without links: pip install ."; exit 2; }; done

$(VENV)/.runtime: requirements/runtime.lock pyproject.toml setup.py
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11 or newer"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "the venv module is missing: on Debian 'apt-get install python3-venv'"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/runtime.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $@

setup: links $(VENV)/.runtime
setup-dev: links $(VENV)/.dev

run: setup
	@exec $(BIN)/deltawire up --embedded $(if $(FOR),--for $(FOR))

# Hundreds of short processes run the same modules: they write the bytecode, also where the environment says not to
# (an empty value means unset).
test test-suites test-containers bench: export PYTHONDONTWRITEBYTECODE =

test: setup-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

# What takes minutes: tests marked `long`, then the containers on a Docker engine (installed where there is none).
# LONG_ARGS: further arguments of pytest for the first part.
test-long: test-suites test-containers

test-suites: setup-dev
	$(BIN)/python -m pytest -m long -n 2 --dist loadgroup $(LONG_ARGS)

test-containers: setup-dev
	deploy/container-test.sh

# A thousand kills and 200 stops, and everything else at random: half an hour or more. Writes docs/chaos-full.json.
chaos-full: setup-dev
	$(BIN)/python tests/acceptance/chaos_full.py docs/chaos-full.json

# Ten minutes of the same on two hosts and three NATS servers. SEED=N for one seed again.
chaos-nats: setup-dev
	$(BIN)/deltawire chaos --engine nats --for 600s $(if $(SEED),--seed $(SEED))

# Two hosts, three NATS servers and three handlers on this machine; each of them is killed in turn (2 minutes).
demo-nats: setup-dev
	$(BIN)/python tests/acceptance/nats_demo.py

bench: setup-dev
	$(BIN)/python bench/run.py $(if $(QUICK),--quick) $(BENCH_ARGS)

check: lint types layers
# A test whose imports fail is found here, not minutes later.
lint: setup-dev
	$(BIN)/ruff check .
	@collected=$$($(BIN)/python -m pytest --collect-only -q -p no:cacheprovider 2>&1) || { tail -30 <<<"$$collected"; exit 2; }
types: setup-dev
	$(BIN)/mypy
layers: setup-dev
	$(BIN)/lint-imports

lock: setup-dev
	for f in runtime dev; do $(BIN)/uv pip compile --python-version 3.11 --universal --generate-hashes --quiet \
	  --no-header --no-emit-index-url --no-emit-find-links requirements/$$f.in -o requirements/$$f.lock; done

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .deltawire src/*.egg-info
