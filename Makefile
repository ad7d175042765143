# Needs python3 (3.11 or newer) and make; everything else comes into .venv on first use.
# `make help` lists what there is to do. Settings come from the environment, from `.env`, or from
# the command line: make run PORT=9000 DATA_DIR=/srv/sharezync

PYTHON ?= python3
# How many tests run at once, and more arguments for pytest: make test ARGS="-k upload -x"
WORKERS ?= 2
ARGS ?=
# How long the messages of `make torture` go on; in `make test` it is one round.
TORTURE_SECONDS ?= 120
# Where `make observe` draws the dashboards (matplotlib is needed for that, and is in no lock).
PICTURES ?=
# How large a file `make memory` sends from user to user; in `make test` it is 640 MiB.
TRANSFER_MEMORY_MIB ?= 4096
# How long each attack of `make hostile` goes on.
HOSTILE_SECONDS ?= 6
# How many streams of requests `make differential` tries in each of its tests, new ones each time; in
# `make test` they are few.
EXAMPLES ?= 1000
# What `make images` tags its images with; docker-compose.yml reads the same.
SHAREZYNC_TAG ?= dev

SERVICES := auth chat transfer storage gateway
MEMBERS  := shared $(SERVICES:%=services/%) embedded clients/python testkit
VENV     := .venv
PY       := $(VENV)/bin/python
# One stamp for each place and interpreter: an environment that was copied or moved is made anew.
READY    := $(VENV)/.ready-$(shell echo "$(CURDIR) $$($(PYTHON) -V 2>&1)" | cksum | cut -d' ' -f1)
PYTEST   := $(PY) -m pytest
LOCK     := $(PY) -m uv pip compile --quiet --generate-hashes --universal --python-version 3.11 \
            --no-annotate --no-header --no-emit-index-url \
            $(foreach member,shared $(SERVICES) embedded testkit,--no-emit-package sharezync-$(member)) \
            --no-emit-package sharezync

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore
# Tests start hundreds of processes: each would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: check secrets audit sbom images local-images help venv run fleet init test unit api integration blackbox replicas torture rollout drills observe dashboards memory hostile differential mutants k8s lint types format docs lock bench clean chaos compose-test

##@ Start here

help: ## this list
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\n'

run: $(READY) ## the whole product in one process on an embedded PostgreSQL (PORT=8000 DATA_DIR=data)
	@exec $(PY) -m sharezync_embedded up --stop-with-parent

fleet: $(READY) ## five processes on RabbitMQ and PostgreSQL (AMQP_URL, DATABASE_URL, or brought up here)
	@exec $(PY) -m sharezync_embedded fleet --stop-with-parent

init: $(READY) ## create or upgrade the databases of all services, and stop (DATABASE_URL, or the embedded one)
	@exec $(PY) -m sharezync_embedded init --stop-with-parent

venv: $(READY) ## only build the environment in .venv

secrets: ## random secrets for docker compose into .env; what is there stays
	@$(PYTHON) deploy/make_secrets.py

##@ Test

test: $(READY) ## everything: unit, api, integration, deploy and the black-box suite in both ways
	@$(PY) -m sharezync_testkit.programs
	$(PYTEST) -n $(WORKERS) --dist loadgroup $(ARGS)

check: lint types unit ## what to run before each commit

unit: $(READY) ## pure tests, in seconds
	$(PYTEST) -n $(WORKERS) --dist loadgroup $(wildcard shared/tests/unit services/*/tests/unit clients/*/tests/unit) \
	  tests/mutants $(ARGS)

api: $(READY) ## each service over HTTP and WebSocket, on an embedded PostgreSQL
	$(PYTEST) -n $(WORKERS) --dist loadgroup \
	  $(wildcard shared/tests/api services/*/tests/api clients/*/tests/api) $(ARGS)

integration: $(READY) ## real RabbitMQ, an S3 server, processes killed and started again
	@$(PY) -m sharezync_embedded rabbitmq install
	$(PYTEST) $(wildcard shared/tests/integration services/*/tests/integration) \
	  embedded testkit $(ARGS)

blackbox: $(READY) ## one suite from outside, over `make run` and over `make fleet`
	@$(PY) -m sharezync_testkit.programs
	$(PYTEST) tests --ignore tests/fleet $(ARGS)

replicas: $(READY) ## two of each that matters: revoked, cut off, killed, rotated, deleted; with figures
	@$(PY) -m sharezync_embedded rabbitmq install
	$(PYTEST) tests/fleet -s $(ARGS)

torture: $(READY) ## messages and transfers while processes are killed or hang at any moment (TORTURE_SECONDS=120)
	@$(PY) -m sharezync_embedded rabbitmq install
	TORTURE_SECONDS=$(TORTURE_SECONDS) KILLS=all \
	  $(PYTEST) tests/fleet/test_history.py tests/fleet/test_transfer_kills.py \
	    tests/fleet/test_hanging.py -s $(ARGS)

rollout: $(READY) ## the release before on our schema, alone and beside us, under its whole black-box suite
	@$(PY) -m sharezync_testkit.programs
	WHOLE_ROLLOUT=1 $(PYTEST) tests/rollout -s $(ARGS)

drills: $(READY) ## backups restored, dumps, points in time, a standby that takes over with commits lost
	@$(PY) -m sharezync_embedded rabbitmq install
	DRILLS=all $(PYTEST) tests/test_restore_drill.py tests/test_failover.py embedded/tests/test_backup.py \
	  shared/tests/integration/test_restored_clusters.py $(ARGS)

chaos: $(READY) ## every part killed, stopped, paused, cut off under load: docs/operations/faults.md (15 min)
	@$(PY) -m sharezync_embedded rabbitmq install
	$(PY) -m tests.chaos processes --write docs/operations/faults.md $(ARGS)
	@if docker info >/dev/null 2>&1; \
	  then $(PY) -m tests.chaos compose --write docs/operations/faults.md $(ARGS); \
	  else echo 'No container engine answers: the fleet of docker-compose.yml was LEFT OUT.'; fi

compose-test: $(READY) ## docker-compose.yml brought up by a real engine, under the black-box suite
	@$(PY) deploy/make_secrets.py
	$(PY) -m tests.chaos.compose $(PYTEST) tests/blackbox $(ARGS)

observe: $(READY) ## a loaded fleet under a real Prometheus: every panel asked, alerts raised (PICTURES=folder)
	@$(PY) -m sharezync_testkit.programs
	PICTURES=$(PICTURES) $(PYTEST) tests/observed/live.py -s $(ARGS)

memory: $(READY) ## a transfer of 4 GiB through a process that may have 512 MiB (TRANSFER_MEMORY_MIB=4096)
	TRANSFER_MEMORY_MIB=$(TRANSFER_MEMORY_MIB) $(PYTEST) tests/test_transfer_memory.py $(ARGS)

hostile: $(READY) ## every attack of bench/load/attacks.py, beside an innocent user (HOSTILE_SECONDS=6)
	@$(PY) -m sharezync_embedded rabbitmq install
	$(PY) bench/hostile.py --seconds $(HOSTILE_SECONDS) $(ARGS)

differential: $(READY) ## what clients may send, read by us and by h11, also by proxies (EXAMPLES=1000)
	@$(PY) -m sharezync_testkit.programs
	EXAMPLES=$(EXAMPLES) LONG_UPLOAD_MIB=1024 $(PYTEST) tests/edge --timeout 0 $(ARGS)

mutants: $(READY) ## plant faults and count which the tests notice (ARGS=chat/: those called so)
	@$(PY) -m tests.mutants --workers $(WORKERS) $(ARGS)

k8s: $(READY) ## render deploy/k8s and check it against the schemas, those of operators included
	CUSTOM_RESOURCES=1 $(PYTEST) deploy $(ARGS)

images: ## build the images of all services with docker (SHAREZYNC_TAG=dev PYTHON_IMAGE=...)
	$(foreach service,$(SERVICES),docker build -f services/$(service)/Dockerfile \
	  $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) \
	  -t sharezync-$(service):$(SHAREZYNC_TAG) . &&) true

local-images: ## stand-ins for the images from elsewhere, out of Debian's packages (deploy/local-images)
	deploy/local-images/build.sh

##@ Check

lint: $(READY) ## style, formatting and who may import whom
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	PYTHONPATH=$(subst $() ,:,$(MEMBERS:%=%/src)) $(VENV)/bin/lint-imports --no-logo

types: $(READY) ## mypy --strict over everything, tests included
	$(PY) -m mypy $(MEMBERS) deploy tests examples conftest.py

audit: $(READY) ## known vulnerabilities in the locks, where they can be looked up
	@$(PY) deploy/supply_chain.py audit

sbom: $(READY) ## a bill of materials (CycloneDX) for each image, into build/sbom
	@$(PY) deploy/supply_chain.py sbom

format: $(READY) ## put the code into shape
	$(PY) -m ruff check --fix-only --quiet
	$(PY) -m ruff format

##@ Maintain

docs: ## the documentation as one searchable site, in build/site (links are checked)
	@test -x build/docs-venv/bin/mkdocs && test build/docs-venv -nt docs/requirements.lock || { \
	  $(PYTHON) -m venv --clear build/docs-venv && \
	  build/docs-venv/bin/pip install --quiet --require-hashes -r docs/requirements.lock && \
	  touch build/docs-venv; }
	@$(PYTHON) deploy/docs_site.py
	@NO_MKDOCS_2_WARNING=1 build/docs-venv/bin/mkdocs build --quiet -f build/mkdocs.yml
	@echo "build/site/README.html"

dashboards: $(READY) ## write Grafana's dashboards and the operator's rules from what declares them
	@$(PY) -m deploy.observability.dashboards

lock: $(READY) ## write all locks after a pyproject.toml changed (ARGS=--upgrade: newest versions)
	@printf 'requirements.lock\n'
	@$(LOCK) --group pyproject.toml:dev $(MEMBERS:%=%/pyproject.toml) --all-extras \
	  -o requirements.lock $(ARGS)
	@$(foreach service,$(SERVICES),printf 'services/%s/requirements.lock\n' $(service) && \
	  $(LOCK) services/$(service)/pyproject.toml --extra tracing --constraints requirements.lock \
	    -o services/$(service)/requirements.lock &&) true
	@printf 'docs/requirements.lock\n'
	@$(LOCK) docs/requirements.in -o docs/requirements.lock
	@printf 'deploy/build-requirements.lock\n'
	@$(LOCK) deploy/build-requirements.in --constraints requirements.lock \
	  -o deploy/build-requirements.lock

bench: $(READY) ## which benchmarks there are, and how to run one
	@found=$$(find bench -name '*.py' -not -path '*/results/*' | sort); \
	  if [ -n "$$found" ]; then printf '$(PY) %s\n' $$found; else echo 'There are no benchmarks yet.'; fi

clean: ## remove the environment and all caches; DATA_DIR stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------- the environment
# pip takes its registry from the machine's own settings; the lock pins every file by its hash.

$(READY): requirements.lock $(MEMBERS:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "ShareZync needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12"; exit 1; }
	@echo 'Building .venv from requirements.lock: about 90 seconds the first time …'
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) can't make environments; on Debian: apt-get install python3-venv"; exit 1; }
	@$(PY) -m pip install -qq --no-input --require-hashes -r requirements.lock
	@$(PY) -m pip install -qq --no-input --no-build-isolation --no-deps $(MEMBERS:%=-e ./%)
	@rm -f $(VENV)/.ready-* && touch $@
	@echo 'The environment is ready.'
