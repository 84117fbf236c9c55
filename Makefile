# `make` prints the targets. Everything runs in .venv, which `make setup` builds from wheels.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.headscarp-$(shell cat pyproject.toml requirements.lock infra/web/package.json 2>/dev/null | cksum | cut -d' ' -f1)
EVENT ?=
NPROC ?= 1
# Keep big blocks between operations: a training step is several times faster on a CPU.
MALLOC := glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=8589934592

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint types fmt bench figures kill-demo docs models models-full evaluation kill-training up down lock

help: ## print the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(STAMP) ## build .venv with all that is needed (python3 and make are enough)

$(STAMP):
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13) and "headscarp needs Python 3.11 or 3.12")'
	$(BIN)/python -m pip --version >/dev/null 2>&1 || { rm -rf .venv; $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install -q uv==0.13.9
	$(BIN)/python infra/setup/install.py
	$(BIN)/python infra/web/fetch.py
	rm -f .venv/.headscarp-*; touch $@

demo: setup ## a quake, its ShakeMap, the map, a revision: the whole service on this machine (EVENT=<USGS id> for a real one)
	@$(BIN)/headscarp demo $(if $(EVENT),--event $(EVENT))

test: setup ## the tests, under 20 minutes on two cores
	@$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

test-all: setup ## all tests, those marked slow included
	@$(BIN)/python -m pytest

lint: setup ## ruff and the import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports

types: setup ## mypy, strict
	@$(BIN)/mypy

fmt: setup ## format the code
	@$(BIN)/ruff check --fix -q . ; $(BIN)/ruff format .

bench: setup ## speed, as ratios to limits measured in the same run
	@failed=0; for name in terrain distance flow warp labels cube respond; do $(BIN)/python -m bench.$$name || failed=1; done; exit $$failed

figures: setup ## draw the figures of docs/indicators.md and docs/learning.md
	@$(BIN)/python -m infra.figures.indicators
	@$(BIN)/python -m infra.figures.evaluation --selection docs/results/selection.json

kill-demo: setup ## kill the demo at random moments and count what it publishes (long)
	@$(BIN)/python infra/proofs/kill_demo.py

docs: setup ## build the documentation site into build/docs
	@$(BIN)/mkdocs build -q --strict

models: setup ## train the small released models again (about a quarter of an hour on two cores)
	@GLIBC_TUNABLES=$(MALLOC) OMP_WAIT_POLICY=passive $(BIN)/headscarp train

models-full: setup ## train the paper's width on a GPU (NPROC= for several)
	@$(BIN)/torchrun --standalone --nproc-per-node=$(NPROC) --module headscarp train --size full --device cuda

evaluation: setup ## judge all models on blocks, events and worlds left out, and draw the report (over an hour)
	@for split in events blocks worlds; do GLIBC_TUNABLES=$(MALLOC) OMP_WAIT_POLICY=passive \
	  $(BIN)/python -m infra.proofs.evaluation $$split || exit 1; done

kill-training: setup ## kill a training ten times and compare its weights with one left alone
	@$(BIN)/python -m infra.proofs.kill_training

up: setup ## start the local services and serve until Ctrl-C
	@$(BIN)/headscarp demo --services-only

down: ## stop whatever a demo left running
	@$(BIN)/headscarp demo --down

lock: setup ## resolve requirements.lock anew
	@$(BIN)/python infra/setup/lock.py
