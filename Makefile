# Fleet Warden. `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# PYTHON=/path/to/python overrides the search of tools/find-python.
export PYTHON
# Nothing here may meet an account or a configuration of the person who runs it, nor report to anyone.
export AWS_CONFIG_FILE := /dev/null
export AWS_SHARED_CREDENTIALS_FILE := /dev/null
export AWS_EC2_METADATA_DISABLED := true
export SAM_CLI_TELEMETRY := 0
export CKV_SKIP_PACKAGE_UPDATE_CHECK := true
unexport BC_API_KEY
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Each worker, and each of the many processes that tests start, would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
SAM := .venv-sam/bin/sam
CHECKS := .venv-checks/bin
CODE := cli device functions layers tests tools
# Three workers on two cores: the end-to-end tests share one local AWS and so one worker (tests/conftest.py), which waits more
# than it computes.
TEST_WORKERS ?= 3
TEST_ARGS ?=
# Only the whole suite can reach every branch of the package.
COVERAGE := --cov --cov-report=term-missing:skip-covered --cov-fail-under=100

.PHONY: help
help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.PHONY: set-up
set-up: .venv/.installed .venv-sam/.installed .venv-checks/.installed  ## Make the environments (done again only when a pin changes)

# One recipe for all: requirements/dev.txt fills .venv, requirements/sam.txt .venv-sam, and so on.
.venv/.installed: requirements/dev.txt .python-version
.venv-sam/.installed: requirements/sam.txt .python-version
.venv-checks/.installed: requirements/checks.txt .python-version
.venv-mutation/.installed: requirements/mutation.txt .python-version
%/.installed:
	@python=$$(tools/find-python); \
	echo "Setting up $* with $$python (a minute or two) ..."; \
	rm -rf $*; \
	"$$python" -m venv $*; \
	$*/bin/python -m pip install --quiet --progress-bar off --no-deps --requirement $<; \
	$*/bin/python -m pip check; \
	touch $@

.PHONY: demo
demo: set-up  ## Play the whole story on a local AWS (KEEP=1 leaves it running and prints how to reach it)
	@PYTHONPATH=cli:device $(BIN)/python -m local_fleet.demo $(if $(filter-out 0,$(KEEP)),--keep)

.PHONY: invoke
invoke: set-up  ## Run one function in a container (FUNCTION=IngestFunction EVENT=events/detect-violation-in-alarm.json)
	@PYTHONPATH=cli:device $(BIN)/python -m local_fleet.invoke $(ARGS) $(FUNCTION) $(EVENT)

.PHONY: test
test: set-up browser  ## Run every test, end to end included (TEST_ARGS="-k quarantine" for some)
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadscope $(or $(TEST_ARGS),$(COVERAGE))

# A machine that cannot install it tests everything but how the pages look, and says so.
.PHONY: browser
browser:  ## Install Chromium for the tests of pages, where it is missing (Debian and Ubuntu, as root)
	@tools/find-chromium --install

.PHONY: quick
quick: lint types  ## For every save, under a minute: lint, types, unit tests (no coverage, no local AWS)
	$(BIN)/python -m pytest -q -n $(TEST_WORKERS) --no-cov tests/unit

.PHONY: check lint types template checkers
check: lint types template checkers  ## Lint, types, template and security: everything that needs no test run

lint: set-up
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: set-up
	$(BIN)/python -m mypy

template: set-up
	$(SAM) validate --lint --region us-east-1
	$(BIN)/cfn-lint --config-file tools/cfn-lint.yaml

# checkov reads the templates as they are written (what SAM makes of one gives the same findings, tried); parliament the IAM
# policies as they are deployed. Both work from what is installed: nothing is fetched, nothing is sent.
checkers: set-up
	$(CHECKS)/bandit --quiet --configfile pyproject.toml --recursive cli device functions layers
	$(CHECKS)/checkov --config-file tools/checkov.yaml
	PYTHONPATH=.:layers/warden $(BIN)/python -m tools.deployed_policies build/policies
	$(CHECKS)/python -m tools.check_policies build/policies

# Each part has its bound; together under 100 minutes on two cores. What it prints at the end goes, with its date,
# into the table of runs in docs/reliability.md.
NIGHTLY := WARDEN_NIGHTLY=1 WARDEN_MODEL=big
.PHONY: nightly
nightly: set-up  ## What takes too long for every run: every fault, pairs of them, two switches, big storms and models (under 100 minutes)
	@date -u
	$(NIGHTLY) timeout 20m $(BIN)/python -m pytest --timeout=0 tests/e2e/test_storm.py
	FAULT_POINTS=all timeout 15m $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal --timeout=0 --no-cov tests/faults/test_faults.py
	$(NIGHTLY) FAULT_POINTS=pairs timeout 65m $(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal --timeout=0 \
	  --durations=10 tests/model tests/faults/test_faults.py tests/interleavings
	@date -u

.PHONY: check-model
check-model: set-up  ## Have TLC walk the TLA+ models of the hand-over and of containment (needs Java; five minutes)
	tools/check-model

# Nightly, on one core that nothing else wants: 3,000 mutants take half an hour. docs/mutation.md explains the score.
.PHONY: mutation
mutation: .venv-mutation/.installed  ## Change the domain's code in every small way and see the unit tests fail (half an hour)
	rm -rf build/mutation
	mkdir -p build/mutation/layers
	cp -r layers/warden/warden layers/plan/python/warden_plan cli/warden_cli tests events docs template.yaml build/mutation
	cp -r layers/plan build/mutation/layers
	cp tools/mutation.toml build/mutation/pyproject.toml
	cd build/mutation && nice -n 19 ../../.venv-mutation/bin/python -m mutmut run --max-children 1
	.venv-mutation/bin/python -m tools.mutation_score build/mutation 95

.PHONY: format
format: set-up  ## Rewrite the code as ruff wants it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

.PHONY: bench
bench: set-up  ## Measure calls, quotas, memory, cold starts and costs against their limits (build/bench/*.json)
	@PYTHONPATH=.:layers/warden:layers/plan/python:device:cli $(BIN)/python -m tests.bench

.PHONY: plan-table
plan-table: set-up  ## Rewrite the table of docs/response-plan.md from the plan
	@PYTHONPATH=cli:layers/warden:layers/plan/python $(BIN)/python -m warden_cli.plan_table docs/response-plan.md

.PHONY: pins
pins:  ## Resolve requirements/*.in again into the fully pinned requirements/*.txt
	@python=$$(tools/find-python); \
	"$$python" -m venv build/pins; \
	build/pins/bin/python -m pip install --quiet uv; \
	for name in dev sam checks mutation; do \
	  build/pins/bin/uv pip compile --quiet --upgrade --no-emit-index-url --no-emit-find-links \
	    --custom-compile-command "make pins" --python-version "$$(cat .python-version)" \
	    requirements/$$name.in --output-file requirements/$$name.txt; \
	done
	@! grep -nE '://|--(extra-)?index-url|--find-links' requirements/*.txt \
	  || { echo "requirements/*.txt must name no index, host or file"; exit 1; }

.PHONY: clean
clean:  ## Remove what was built and the environments
	rm -rf .venv .venv-sam .venv-checks .venv-mutation .aws-sam build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find $(wildcard $(CODE)) -name __pycache__ -type d -prune -exec rm -rf {} +
