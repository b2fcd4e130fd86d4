# Everything from one place; `make help` says what there is.
.DEFAULT_GOAL := help
PYTHON ?= python3
PY := .venv/bin/python
FLASK := $(PY) -m flask --app wsgi
export FLASK_SKIP_DOTENV := 1
PIP_AUDIT := 2.10.1

.PHONY: help run test check thorough lint types audit demo fuzz faults bench bench-api bench-money upgrade-test docs screenshots lock clean

help: ## what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

.venv/.runtime: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 …"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: install the package python3-venv"; exit 1; }
	@test -x $(PY) || $(PYTHON) -m venv .venv
	@echo "Installing requirements…"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@touch $@

.venv/.development: requirements-dev.txt .venv/.runtime
	@echo "Installing development requirements…"
	@$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

run: .venv/.runtime ## install, migrate, load the demo the first time, start web and worker
	@$(FLASK) db upgrade
	@$(FLASK) products load
	@$(FLASK) demo load --if-empty
	@exec $(PY) -m insurance.operations.serve

demo: .venv/.runtime ## load the demo portfolio into an empty database and print the sign-ins
	@$(FLASK) db upgrade
	@$(FLASK) demo load --if-empty

test: .venv/.development ## the test suite
	@$(PY) -m pytest -n 2 --dist worksteal -m "not thorough"

thorough: .venv/.development ## the tests that take long: whole installations killed and restored, every page and form tried
	@$(PY) -m pytest -n 2 --dist worksteal -m thorough

check: .venv/.development lint types test thorough ## lint, types, and every test

lint: .venv/.development
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@.venv/bin/lint-imports

types: .venv/.development
	@$(PY) -m mypy

fuzz: .venv/.development ## try the API with all that schemathesis knows (N=50 examples), and every form with every value
	@FUZZ=$(or $(N),50) $(PY) -m pytest tests/api/test_from_outside.py tests/web/test_abuse.py -k "document or form"

bench: .venv/.runtime ## time every page on 1,000 and on N policies (N=100000); BENCH_POSTGRES_URL for PostgreSQL
	@$(PY) bench/pages.py --policies $(or $(N),100000)

bench-api: .venv/.runtime ## what the API's list of 50 policies costs above its queries (N=1000); BENCH_POSTGRES_URL for PostgreSQL
	@$(PY) -m bench.api --policies $(or $(N),1000)

bench-money: .venv/.development ## time payments and a night's billing on N policies (N=100000); BENCH_POSTGRES_URL for PostgreSQL
	@$(PY) bench/money.py --policies $(or $(N),100000)

faults: .venv/.development .venv/localstripe ## every experiment with a fault, at full strength
	@FAULTS=full $(PY) -m pytest -m fault

.venv/localstripe: ## a Stripe for one experiment: a program of its own, under another licence, never imported
	@$(PYTHON) -m venv $@
	@$@/bin/python -m pip install --quiet --disable-pip-version-check localstripe==1.15.10

upgrade-test: .venv/.runtime ## upgrade a book of N policies from the last release, and compare (N=100000)
	@$(PY) -m bench.upgrade --policies $(or $(N),100000)

docs: .venv/.runtime ## write docs/lifecycles.md from the code
	@$(FLASK) docs lifecycles > docs/lifecycles.md

screenshots: .venv/.development ## take the README's pictures anew (needs Chromium)
	@$(PY) -m tests.browser.screenshots

audit: .venv/.runtime ## look for known weaknesses in what is installed (asks PyPI), and for newer versions
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==$(PIP_AUDIT)
	@.venv/audit/bin/pip-audit --disable-pip --require-hashes --requirement requirements.txt
	@$(PY) -m pip list --outdated

lock: ## compile requirements.in and requirements-dev.in with hashes (needs uv)
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 requirements.in -o requirements.txt
	uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate --python-version 3.11 requirements-dev.in -o requirements-dev.txt

clean: ## remove the virtual environment and caches; data under instance/ stays
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
