# The gateway from a fresh clone: `make demo`, `make test`, `make run`. Needs Python 3.11+ and GNU make; the tests also
# Node 20.19+ with npm. `make help` lists the targets.

PYTHON ?= python3
DEMO_ARGS ?= --once
RUN_ARGS ?=
# Most tests wait for somebody: five workers for two cores, who take tests over from one another, are quicker than four
# with a share each, by a fifth.
PYTEST_ARGS ?= -n $(shell expr 2 \* $$(nproc) + 1) --dist worksteal
BENCH_ARGS ?=
FAULTS_ARGS ?= tests/faults tests/journey/test_hung_database.py tests/journey/test_order_of_arrival.py \
    tests/journey/test_order_history.py tests/journey/test_performed_history.py -s
BATCHES ?= 1 2 17 256
BATCHES_ARGS ?= tests/faults --ignore tests/faults/test_three_gateways.py tests/journey/test_hung_database.py tests/journey/test_order_of_arrival.py \
    tests/journey/test_order_history.py tests/journey/test_performed_history.py tests/journey/test_crash.py \
    tests/journey/test_ris_story.py $(PYTEST_ARGS)
NIGHT_ARGS ?=
GOING_LIVE_ARGS ?=
THREATS_ARGS ?=
FUZZ ?= intake
FUZZ_MINUTES ?= 5
FUZZ_SEEDS ?=
PIXELS ?=
LOCK_ARGS ?=

BIN := .venv/bin
ENVIRONMENT := .venv/.installed
COLLECTED := .venv/.collected
COMPILE = --universal --generate-hashes --no-emit-index-url --no-annotate --quiet \
    --custom-compile-command 'make lock' $(LOCK_ARGS)
UV_VERSION := 0.13.9
UV := $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)

# Each of the processes that the tests start would compile every module.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo run test check style types pytest bench properties pixels objects statements corpus fuzz crash browser sources faults batches pooled night alerts java-peers rust-peers whole-ehr peers lock wheelhouse sbom vulnerabilities going-live threats clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' Makefile

demo: $(ENVIRONMENT) ## Play the whole journey with simulators (DEMO_ARGS, default --once)
	$(BIN)/gateway demo $(DEMO_ARGS)

run: $(ENVIRONMENT) gateway.yaml ## Run the gateway with gateway.yaml, which is written first if there is none
	$(BIN)/gateway run $(RUN_ARGS)

# Tests wait for somebody one sixth of their time: mypy, three quarters of a minute of CPU, is done in it.
test: $(ENVIRONMENT) ## Every check and every test (PYTEST_ARGS); stops at the first red one
	@$(MAKE) -j 2 style peers $(COLLECTED)
	@$(MAKE) -j 2 types pytest

check: style types ## Style, types and import rules

style: $(ENVIRONMENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(ENVIRONMENT)
	$(BIN)/mypy

pytest: $(ENVIRONMENT)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

bench: $(ENVIRONMENT) ## Measure (BENCH_ARGS)
	$(BIN)/python -m bench $(BENCH_ARGS)

properties: $(ENVIRONMENT) peers ## Try each property of the tests with 1000 examples instead of 25
	PROPERTIES=1000 $(BIN)/python -m pytest -m hypothesis $(PYTEST_ARGS)

pixels: $(ENVIRONMENT) peers ## Compare the pixels that are decoded here with those of DCMTK and GDCM (PIXELS: a folder of more files)
	tests/peers/install.sh pixels
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r tests/pixels/requirements.lock
	$(BIN)/python -m bench.pixels $(PIXELS)
	PIXELS=all $(BIN)/python -m pytest tests/journey/test_decoded_on_the_way.py

objects: $(ENVIRONMENT) ## Send every DICOM file of pydicom, pydicom-data and highdicom, and 200 made objects, the whole way
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r tests/pixels/requirements.lock
	OBJECTS=all $(BIN)/python -m pytest tests/journey/test_public_studies.py tests/journey/test_all_objects.py \
	    tests/mapping/studies/test_arrival_order.py

statements: $(ENVIRONMENT) ## Write the conformance statements of the defaults to docs/
	cd docs && ../$(BIN)/gateway conformance dicom > conformance.md && ../$(BIN)/gateway conformance hl7 > conformance-hl7.md && \
	    ../$(BIN)/gateway conformance fhir > conformance-fhir.md

corpus: $(ENVIRONMENT) ## Send every HL7 file below CORPUS to a gateway and tell how each type is answered
	$(BIN)/python -m bench.corpus $(CORPUS)

fuzz: $(ENVIRONMENT) ## Feed FUZZ (intake: HL7, or dimse) with made-up bytes for FUZZ_MINUTES (FUZZ_SEEDS: a folder of more)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r tests/fuzz/requirements.lock
	$(BIN)/python -m tests.fuzz.$(FUZZ) -max_total_time=$$(($(FUZZ_MINUTES) * 60)) $(FUZZ_SEEDS)

crash: $(ENVIRONMENT) peers ## Kill the gateway 20 times while 500 orders come in, and at every commit of an examination, on both databases
	CRASH_ORDERS=500 CRASH_KILLS=20 CRASH_COMMITS=all $(BIN)/python -m pytest tests/journey/test_crash.py \
	    tests/journey/test_ris_story.py $(PYTEST_ARGS)

browser: $(ENVIRONMENT) ## The console in Chromium: looks, keys, buttons (BROWSER_ARGS; BROWSER_SHOTS: a folder for screenshots)
	tests/peers/install.sh browser
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r tests/browser/requirements.lock
	$(BIN)/python -m pytest tests/browser $(BROWSER_ARGS)

sources: $(ENVIRONMENT) peers ## Read 50 studies of an Orthanc; let 200 studies arrive at Orthanc and dcmqrscp while these are polled
	POLLED_STUDIES=50 $(BIN)/python -m pytest tests/journey/test_polled_sources.py
	MORE_STUDIES=200 $(BIN)/python -m pytest tests/journey/test_dicom_sources.py -k arrive

faults: $(ENVIRONMENT) peers ## Pause, fill, hang and mislead whole gateways (FAULTS_ARGS, default all -s; half an hour)
	FAULTS=all $(BIN)/python -m pytest $(FAULTS_ARGS)

# Of each suite less than `make faults` and `make crash` run: four times, and what hangs on no transaction is short.
batches: $(ENVIRONMENT) peers ## Crash, fault and history suites with transactions of at most 1, 2, 17 and 256 units (BATCHES, BATCHES_ARGS)
	for size in $(BATCHES); do \
	    rm -f .venv/.batches; echo "transactions of at most $$size units"; \
	    BATCH=$$size BATCH_SIZES=$(CURDIR)/.venv/.batches FAULTS=all CRASH_ORDERS=200 CRASH_KILLS=6 CRASH_COMMITS=all \
	    HISTORIES=200 FROZEN_STUDIES=12 FAULTS_IMAGES=60 FAULTS_IMAGE_KILLS=5 FAULTS_BACKUP_MIB=50 FAULTS_AWAY_SECONDS=20 \
	    FAULTS_HEADS=100 FAULTS_ROUNDS=3 FAULTS_JUMPS=1 LARGE_BYTES=100000000 LARGE_INSTANCES=500 $(BIN)/python -m pytest $(BATCHES_ARGS) || exit 1; \
	done

pooled: $(ENVIRONMENT) peers ## What is tested on PostgreSQL of store and journey, behind PgBouncer in transaction mode (PYTEST_ARGS)
	POOLED=yes $(BIN)/python -m pytest tests/store tests/journey -k "postgres and not round_trips" $(PYTEST_ARGS)

night: $(ENVIRONMENT) ## Let everything fail once in 20 minutes of mixed load, on each database (NIGHT_ARGS; as root, for disks to fill)
	$(BIN)/python -m bench night $(NIGHT_ARGS)

alerts: ## Check the alert rules and play their stories (promtool, of the Debian package prometheus)
	cd docker/prometheus && promtool check rules alerts.yaml && promtool test rules alerts_test.yaml

java-peers: ## Build the peers in Java: HAPI FHIR, HL7's FHIR validator, HAPI HL7 v2 (Maven and a JDK)
	@tests/peers/install.sh java

rust-peers: ## Build the peer in Rust: the client of the crate dicom-web (Cargo)
	@tests/peers/install.sh rust

whole-ehr: $(ENVIRONMENT) peers java-peers ## 140 studies with lost answers, an emptied EHR and a restart, on HAPI FHIR and Medplum
	WHOLE_EHR_STUDIES=140 $(BIN)/python -m pytest tests/journey/test_whole_ehr.py

peers: ## Install what the tests talk to: DCMTK, Orthanc, dcmjs-dimse, a FHIR server
	@tests/peers/install.sh

lock: $(ENVIRONMENT) ## Pin the dependencies again after a change in pyproject.toml (LOCK_ARGS=--upgrade: the newest)
	printf 'hatchling\neditables\n' | $(UV) pip compile pyproject.toml - --extra dev $(COMPILE) -o requirements.lock
	$(UV) pip compile docker/build.in -c requirements.lock $(COMPILE) -o docker/build.lock
	$(UV) pip compile pyproject.toml --extra pixels --extra postgres -c requirements.lock $(COMPILE) -o docker/requirements.lock
	$(UV) pip compile docker/tools.in $(COMPILE) -o docker/tools.lock

# What is locked for the image, as files: for a machine without a network. Wheels are of this machine's kind and Python.
wheelhouse: $(ENVIRONMENT) ## Gather all wheels of the gateway into wheelhouse/, to install without a network (docs/going-live.md)
	rm -rf wheelhouse && mkdir wheelhouse
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
	    -r docker/requirements.lock -d wheelhouse
	$(BIN)/hatchling build -t wheel -d wheelhouse > /dev/null
	cp docker/requirements.lock wheelhouse/
	cd wheelhouse && sha256sum *.whl requirements.lock > SHA256SUMS
	@echo "$$(ls wheelhouse/*.whl | wc -l) wheels, $$(du -sh wheelhouse | cut -f1)"

going-live: $(ENVIRONMENT) peers wheelhouse ## Install without a network, run as a service behind proxies, upgrade and roll back (as root, systemd)
	$(BIN)/python -m pytest tests/going_live -s $(GOING_LIVE_ARGS)

threats: $(ENVIRONMENT) peers wheelhouse ## Run the tests that THREAT_MODEL.md names, and print each row with what came of them (THREATS_ARGS)
	$(BIN)/python -m tests.going_live.threats $(THREATS_ARGS)

sbom: $(ENVIRONMENT) ## Write sbom.cdx.json: what the installed gateway consists of (CycloneDX)
	docker/parts.sh sbom

vulnerabilities: $(ENVIRONMENT) ## Look up known vulnerabilities of what the image installs (pip-audit; asks its services)
	docker/parts.sh vulnerabilities

clean: ## Remove what was installed and cached; gateway.yaml and databases stay
	rm -rf .venv tests/peers/*/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# pytest rewrites each assertion of a test file that changed, in ten seconds of CPU for all: once, not in each worker.
$(COLLECTED): $(ENVIRONMENT) $(shell find gateway tests -name node_modules -prune -o -name '*.py' -print)
	$(BIN)/python -m pytest --collect-only -q -q > $@.log || { cat $@.log; exit 1; }
	@mv $@.log $@

gateway.yaml:
	cp gateway.example.yaml $@

# Everything is pinned and checked by hash, also what builds the package itself; uv, when it is missing, is pinned alone.
$(ENVIRONMENT): pyproject.toml requirements.lock $(BIN)/python
	test -x "$(UV)" || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or later is needed; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(if $(wildcard $(UV)),--without-pip) .venv || \
	    { rm -rf .venv; echo "No venv module; on Debian: apt-get install -y python3-venv" >&2; exit 1; }
