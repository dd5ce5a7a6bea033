# Copyright (c) 2026 The rstyczynski.ansible authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
#   make demo      start a job by name, kill its controller, find it again, collect it
#   make test      all tests
#   make torture   the tests that need chance, by the hundred
#   make bench     what the roles cost, compared with plain Ansible
#   make build     the artifact for Galaxy
#   make release   the same for a release, tried with the oldest and the newest ansible-core
#   make help      this list
#
# Everything is made below .build; PYTHON chooses the interpreter.

$(if $(word 2,$(CURDIR)),$(error make cannot work in a directory whose path has a space: $(CURDIR)))

PYTHON ?= python3
VENV := .build/venv
BIN := $(CURDIR)/$(VENV)/bin
COLLECTIONS := $(CURDIR)/.build/collections
# The scenario that needs a host of tests/support/hosts.sh
MOLECULE_ON_HOSTS := scenario_04_crash_detection
# The files of the report that no tool for Python knows
REPORT_PAGE := plugins/module_utils/_report_page
# What the artifact is made of
SOURCES := $(shell find galaxy.yml README.md docs/docsite extensions/eda extensions/monitoring meta playbooks plugins roles -type f -not -name '*.pyc')

export PATH := $(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE := 1
# 1 leaves out the tests that need what this machine does not have. Otherwise they fail.
export ALLOW_MISSING

.PHONY: help demo test unit integration molecule lint sanity docs environments matrix torture bench build release clean
.PHONY: lint-python lint-types lint-page lint-ansible lint-changelog lint-artifact

help:
	@sed -n 's/^#   make/make/p' $(firstword $(MAKEFILE_LIST))

demo: .build/collection
	@ANSIBLE_COLLECTIONS_PATH=$(COLLECTIONS) $(BIN)/python tests/demo.py

# The matrix runs the integration tests too, and takes both cores. Molecule leaves one idle, so all else is beside it.
test:
	PYTHON=$(PYTHON) tests/support/prerequisites.sh
	$(MAKE) --jobs=2 --output-sync=target molecule lint docs unit sanity environments
	$(MAKE) matrix
	@echo "All tests have passed."

unit: .build/test-tools
	$(BIN)/python -m pytest -n 2 tests/unit

integration: .build/test-tools .build/neighbours
	$(BIN)/python -m pytest -n 2 tests/integration

# Molecule keeps its state below ANSIBLE_HOME: below the user's, two checkouts would share it.
molecule: .build/test-tools .build/collection
	cd extensions && export ANSIBLE_COLLECTIONS_PATH=$(COLLECTIONS) ANSIBLE_HOME=$(CURDIR)/.build/ansible && if obstacle=$$(../tests/support/hosts.sh check); then \
	  molecule test --all; \
	else \
	  molecule test --all --exclude $(MOLECULE_ON_HOSTS) && \
	  echo "Left out, for want of managed hosts: $(MOLECULE_ON_HOSTS). $$obstacle" && [ "$$ALLOW_MISSING" = 1 ]; \
	fi

# Each of these is a hook in .pre-commit-config.yaml too.
lint: lint-python lint-types lint-page lint-ansible lint-changelog lint-artifact

lint-python: .build/test-tools
	ruff check .
	ruff format --check .

lint-types: .build/test-tools .build/collection
	cd $(COLLECTIONS) && mypy --config-file $(CURDIR)/pyproject.toml --package ansible_collections.rstyczynski.ansible.plugins \
	  --package ansible_collections.rstyczynski.ansible.extensions.eda

lint-page: .build/test-tools
	biome lint --error-on-warnings $(REPORT_PAGE)
	djlint --lint $(REPORT_PAGE)/page.html

lint-ansible: .build/test-tools .build/collection
	ANSIBLE_COLLECTIONS_PATH=$(COLLECTIONS) ansible-lint --offline --profile production

lint-changelog: .build/test-tools
	antsibull-changelog lint

# What Galaxy and Automation Hub say to the artifact. Warnings are errors; what other targets run (ansible-doc, ansible-lint, ansible-test) is off.
lint-artifact: .build/importer/complete .build/collection
	cd .build && GALAXY_IMPORTER_CHECK_REQUIRED_TAGS=true GALAXY_IMPORTER_REQUIRE_V1_OR_GREATER=true \
	  GALAXY_IMPORTER_RUN_ANSIBLE_DOC=false GALAXY_IMPORTER_RUN_ANSIBLE_LINT=false GALAXY_IMPORTER_RUN_ANSIBLE_TEST=false \
	  importer/bin/python -m galaxy_importer.main $(COLLECTIONS)/*.tar.gz > importer.log 2>&1 || { cat importer.log; exit 1; }
	@! grep -E '^(ERROR|WARNING)' .build/importer.log

# The guides and the pages of all modules become a site, .build/site/html.
docs: .build/test-tools .build/collection
	ANSIBLE_COLLECTIONS_PATH=$(COLLECTIONS) antsibull-docs lint-collection-docs --plugin-docs --skip-rstcheck $(COLLECTIONS)/ansible_collections/rstyczynski/ansible
	ANSIBLE_COLLECTIONS_PATH=$(COLLECTIONS) python docs/site/build.py .build/site
	RSTYCZYNSKI_ANSIBLE_TEST_COLLECTIONS=$(COLLECTIONS) python -m pytest -q tests/site

sanity: .build/test-tools
	$(BIN)/python tests/support/sanity.py

environments:
	$(PYTHON) tests/support/matrix.py environments

matrix:
	$(PYTHON) tests/support/matrix.py

# The races of many controllers take all cores by themselves. The others mostly wait. Each says at the end what it has counted.
RACES := $(patsubst %,tests/integration/test_controllers.py::test_%,at_the_same_moment two_stores_at_the_same_moment)
torture: .build/test-tools .build/neighbours
	TORTURE=1 $(BIN)/python -m pytest -s $(RACES)
	TORTURE=1 $(BIN)/python -m pytest -v -n 3 --dist worksteal -rP $(patsubst %,--deselect %,$(RACES)) $(patsubst %,tests/unit/test_%.py,exactly_once note promise semaphore workflow_decide workflow_driver workflow_groups) \
	  $(patsubst %,tests/integration/test_%.py,cancel cancel_races controllers events fault_table hosts place report_html scenarios semaphore signed_records \
	  store_oci waiting workflow_worst_day worst_day)

bench: .build/test-tools .build/oci-cli/complete
	$(BIN)/python tests/bench/bench.py --oci-cli $(CURDIR)/.build/oci-cli/bin/oci

build: .build/venv/ansible
	$(BIN)/ansible-galaxy collection build --force

release: .build/test-tools
	$(BIN)/python tests/support/release.py

clean:
	rm -rf .build .ansible_async_state

# Make's targets are stamps: a file that is newer than what it was made from

.build/venv/ansible:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet ansible-core distlib
	touch $@

# Of the 19,000 files of the SDK, a hundred are ever imported: these are compiled.
.build/test-tools: .build/venv/ansible tests/requirements.txt
	$(BIN)/pip install --quiet --no-compile oci
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -c "import oci.auth.signers, oci.object_storage"
	$(BIN)/pip install --quiet --requirement tests/requirements.txt
	touch $@

# What only integration tests use. Those of make test are in an environment of the matrix.
.build/neighbours: .build/test-tools tests/requirements-neighbours.txt
	$(BIN)/pip install --quiet --requirement tests/requirements.txt --requirement tests/requirements-neighbours.txt
	touch $@

.build/oci-cli/complete:
	$(PYTHON) -m venv --clear .build/oci-cli
	.build/oci-cli/bin/pip install --quiet oci-cli
	touch $@

# It wants older releases of what the other tools want newer ones of.
.build/importer/complete:
	$(PYTHON) -m venv --clear .build/importer
	.build/importer/bin/pip install --quiet --no-compile galaxy-importer
	touch $@

.build/collection: .build/venv/ansible $(SOURCES)
	rm -rf $(COLLECTIONS) && mkdir -p $(COLLECTIONS)
	$(BIN)/ansible-galaxy collection build --output-path $(COLLECTIONS)
	$(BIN)/ansible-galaxy collection install --offline --collections-path $(COLLECTIONS) $(COLLECTIONS)/*.tar.gz
	touch $@
