# What one does with a checkout. Everything is installed into .venv; nothing outside it but the
# system packages that `make setup` names.
PYTHON ?= python3
BIN := .venv/bin
# Molecule and the playbooks find each other's programs by PATH.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup demo test proof lint unit molecule bench docs lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/done ## Install what the project needs (system packages where you are root or may sudo)

# The system packages come first: without python3-venv there is no .venv.
.venv/done: requirements/dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "This needs Python 3.11 or newer, and $(PYTHON) is older. Name another one: make PYTHON=python3.12 setup")'
	@$(PYTHON) -m workshop.lab setup || echo 'Only make demo and the tests need that; the rest goes on without.'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

demo: setup ## See it work: a throw-away server sends a mail through a stand-in provider
	@$(BIN)/python -m workshop.demo

test: setup ## Run lint, unit tests and Molecule on the oldest, the stable and the newest Debian and a stand-in for a Mac
	@$(BIN)/python -m workshop.checks

proof: setup ## Run what make test does, and what takes longer: other systems, many hosts, many packages, the recipes, the Pythons that hosts may have
	@$(BIN)/python -m workshop.checks proof

lint: setup ## Run the linters alone
	@$(BIN)/python -m workshop.checks lint

unit: setup ## Run the unit tests alone
	@$(BIN)/python -m workshop.checks unit

molecule: setup ## Run Molecule alone; LIMIT=trixie picks one host
	@$(BIN)/python -m workshop.checks molecule

bench: setup ## Measure what the README promises in seconds
	@$(BIN)/python -m workshop.bench

docs: setup ## Write anew what comes from the files of providers and variables, and docs/support.md from what the tests proved
	@$(BIN)/python -m workshop.pages.providers
	@$(BIN)/python -m workshop.pages.guides
	@$(BIN)/python -m workshop.pages.replies
	@$(BIN)/python -m workshop.pages.role
	@$(BIN)/python -m workshop.pages.support

lock: setup ## Pin all Python packages anew, with their hashes
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' --output-file requirements/dev.txt requirements/dev.in
	$(BIN)/uv pip compile --quiet --upgrade --python-version 3.9 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' --output-file requirements/host.txt requirements/host.in
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' --output-file requirements/oldest.txt requirements/oldest.in

clean: ## Remove the lab's containers and everything that was built
	-@test ! -d .venv || for name in demo $(addprefix bench-,runs first mail footprint status fleet outage life) molecule \
	  $(addprefix molecule-,replies systems distributions mac run rest provider house accounts old-new trial long other-systems fleet oauth-old mac-long trial-new rehearsal long-replies many-spokes recipes); do \
	  $(BIN)/python -m workshop.lab down --name $$name; done
	rm -rf .venv .lab .ansible .pytest_cache .mypy_cache .ruff_cache .hypothesis
