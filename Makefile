# Every target brings what it needs: a virtual environment in .venv, caches below the user's cache folder.
# The checks behind `make test` are named in noxfile.py.

PYTHON ?= python3
LAB ?= demo
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.build/collections
export PIP_DISABLE_PIP_VERSION_CHECK := 1

COLLECTION := .build/collections/ansible_collections/clusternet/core
PIP := .venv/bin/python -m pip --quiet
WHEEL := roles/engine/files/requirements.txt

.DEFAULT_GOAL := help
.PHONY: help demo down build test unit integration molecule lint fuzz bench lock clean

help: ## Show this help
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: .build/run $(COLLECTION) ## Deploy to three real API servers and list them (lab stays up)
	@LAB=$(LAB) lab/demo

down: .build/run ## Stop the demo's lab
	@python -m clusternet_lab down --name $(LAB)

build: .build/run $(WHEEL) ## Build the engine's wheel into roles/engine/files

test: .build/test build $(COLLECTION) ## Run every check and test
	@nox

unit integration molecule lint: .build/test build $(COLLECTION) ## (unit, integration, molecule, lint) run one part of the tests
	@nox --tags $@

fuzz: .build/test ## Let tunnels and all readers of foreign text read garbage for ten minutes
	@nox --session fuzz

bench: .build/test build $(COLLECTION) ## Measure, beside the figures to beat (PARTS="registration access publishing modules hostile")
	@python tests/bench/bench.py $(PARTS)

lock: .build/test ## Pin the newest allowed versions of every package
	@requirements/lock

clean: ## Remove what make made in this folder (not the caches, not running labs)
	@rm -rf .venv .build roles/engine/files/*.txt roles/engine/files/*.whl

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found %d.%d; set PYTHON=" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv

.build/run: .venv/bin/python requirements/pip.txt requirements/run.txt requirements/collections.txt requirements/fetch-collections \
            engine/pyproject.toml lab/pyproject.toml
	@echo "Installing Python packages into .venv …"
	@mkdir -p .build
	@$(PIP) install --require-hashes --requirement requirements/pip.txt
	@$(PIP) install --no-deps --no-compile --require-hashes --requirement requirements/run.txt
	@$(PIP) install --no-deps --no-build-isolation --editable engine --editable lab
	@requirements/fetch-collections .build/collections
	@touch $@

.build/test: .build/run requirements/test.txt
	@echo "Installing test tools into .venv …"
	@$(PIP) install --no-deps --require-hashes --requirement requirements/test.txt
	@touch $@

$(COLLECTION):
	@mkdir -p $(@D)
	@ln -sfn ../../../.. $@

# The list names the wheel by its checksum too: where it differs, the engine is another one.
$(WHEEL): requirements/engine.txt requirements/pip.txt engine/pyproject.toml $(shell find engine/src -name '*.py')
	@mkdir -p $(@D)
	@rm -f $(@D)/*.whl
	@cp requirements/pip.txt $(@D)/pip.txt
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir $(@D) ./engine
	@cd $(@D) && { \
	  cat $(CURDIR)/requirements/engine.txt; \
	  printf './%s \\\n' *.whl; \
	  python -m pip hash *.whl | grep -o -- '--hash=.*' | sed 's/^/    /'; \
	} > $(@F)
