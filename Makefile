# `make setup` prepares everything and is quick when there is nothing to do; all else calls it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup demo test lab crash lint bench fuzz mutants rpm pack clean

PY := .venv/bin/python
STAMPS := $(addprefix .cache/setup/,debian venv venv36 venv313 npm)
stage = @printf '\n=== %s (%(%H:%M:%S)T)\n' "$(1)" -1

help:
	@echo "make setup   .venv with relun in it, and what the tests need"
	@echo "make demo    a real LUN image copied, resigned and shown beside its original"
	@echo "make test    lint, all tests, coverage, and core on CPython 3.6 and 3.13"
	@echo "make lab     the scenarios with a kernel of their own: original and clone over iSCSI"
	@echo "make crash   more crash states than make test tries: CRASH (10) times the random ones"
	@echo "make lint    ruff, mypy, layers"
	@echo "make bench   the figures of the README"
	@echo "make rpm     dist/relun-*.noarch.rpm, for dom0"
	@echo "make pack    the same as a signed update ISO and as a yum repository: KEY=<your gpg key>"
	@echo "make mutants small mistakes made in what plans, writes and recovers: does a test notice each?"
	@echo "make fuzz    every parser and whole LUNs fuzzed, FUZZ_SECONDS (300) a target; more properties"

# Compiled each time: start-up time counts, and PYTHONDONTWRITEBYTECODE may be set.
setup: $(STAMPS)
	@$(PY) -m compileall -q src

.cache/setup/debian: scripts/debian-packages.txt scripts/setup
	@scripts/setup debian
.cache/setup/venv: pyproject.toml scripts/setup scripts/find-python | .cache/setup/debian
	@scripts/setup venv
.cache/setup/venv36: scripts/requirements-3.6.txt scripts/setup scripts/find-python | .cache/setup/debian
	@scripts/setup venv36
.cache/setup/npm: scripts/setup
	@scripts/setup npm
.cache/setup/venv313: scripts/setup scripts/find-python | .cache/setup/debian
	@scripts/setup venv313

demo: setup
	@$(PY) scripts/demo.py

bench: setup
	@$(PY) bench/all.py

lab: setup tier-lab

# make test has fewer of the random ones.
crash: export RELUN_CRASH ?= $(or $(CRASH),10)
crash: setup
	@$(PY) -m pytest -q tests/crash/test_states.py

# make test has a short run of both.
fuzz: export FUZZ_SECONDS ?= 300
fuzz: setup
	@PYTHONPATH=src:tests:fuzz $(PY) -m hostile.run
	@RELUN_PROPERTIES=many $(PY) -m pytest -q tests/properties

# make test has a selection of them.
mutants: setup
	@PYTHONPATH=src:tests nice -n 10 $(PY) -m mutants.run

rpm: setup
	@$(PY) packaging/build.py rpm

pack: setup
	@$(PY) packaging/build.py pack --key "$(KEY)" $(if $(BASE_URL),--base-url "$(BASE_URL)")

lint: setup
	$(call stage,ruff)
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	$(call stage,mypy --strict)
	@$(PY) -m mypy
	$(call stage,layers)
	@.venv/bin/lint-imports --no-cache

# Two tiers at a time, the long ones first; each prints in one piece when it is done.
TIERS := lab crash mutants fuzz oracles dom0 core pool kills core36 properties fuzz_regressions \
    remote packaging cli core313
test: lint
	@rm -rf .cache/results
	$(call stage,all tests: two tiers at a time on $$($(PY) -V))
	@status=0; $(MAKE) --no-print-directory --output-sync=target --keep-going --jobs=2 \
	    $(addprefix tier-,$(TIERS)) || status=1; \
	$(PY) scripts/proof.py || status=1; exit $$status
	$(call stage,done)

tier-%:
	$(call stage,tests/$*)
	@$(PY) -m pytest -q tests/$*
tier-fuzz: export FUZZ_SECONDS ?= 30
tier-fuzz: export FUZZ_SEED ?= 1
tier-fuzz:
	$(call stage,fuzzing)
	@PYTHONPATH=src:tests:fuzz FUZZ_JOBS=1 $(PY) -m hostile.run
tier-mutants: export MUTANT_SECONDS ?= 60
tier-mutants: export MUTANT_SEED ?= 1
tier-mutants:
	$(call stage,tests/mutants and a selection of mutants)
	@$(PY) -m pytest -q tests/mutants
	@PYTHONPATH=src:tests $(PY) -m mutants.run --jobs 1 --seconds $$MUTANT_SECONDS --seed $$MUTANT_SEED
tier-core:
	$(call stage,tests/core with branch coverage of core)
	@$(PY) -m coverage run -m pytest -q tests/core
	@$(PY) -m coverage report
tier-core36:
	$(call stage,core on $$(.venv36/bin/python -V))
	@.venv36/bin/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 6))' \
	    || echo '*** NOT CPython 3.6, which is what dom0 runs: none was found by make setup ***'
	@.venv36/bin/python -m pytest -q tests/core
	@.venv36/bin/python -m pytest -q --noconftest tests/packaging/test_sm_plugins.py
tier-core313:
	$(call stage,core on Python 3.13)
	@if [ ! -x .venv313/bin/python ]; then echo '*** no CPython 3.13 found: left out ***'; \
	elif $(PY) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))'; then \
	    echo 'done above: all tests ran on it'; \
	else .venv313/bin/python -m pytest -q tests/core; fi

clean:
	rm -rf .venv .venv36 .venv313 .cache build dist .mypy_cache .pytest_cache .ruff_cache .coverage
