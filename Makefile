# The commands of the README. Everything runs in .venv, made from requirements.lock.

PYTHON ?= python3.11
CORES ?= $(shell nproc)
BIN := .venv/bin
REPORT := results/report.html
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install demo test lint report bench lock docs
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install: ## a fresh .venv with the pinned stack and this package
	rm -rf .venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .

$(BIN)/polyticket:
	$(MAKE) install

demo: install ## install, then the main job on the bundled sample: dumps to scores
	snakemake --cores $(CORES)
	$(MAKE) report
	@echo
	@echo "result: results/panx/fr.json"
	@$(BIN)/python -c "import json; r = json.load(open('results/panx/fr.json')); print('F1 on test:', round(r['test']['f1'], 3))"
	@echo "table:  results/report/scores.csv"
	@echo "report: $(REPORT)"

test: $(BIN)/polyticket ## all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not workflow" --numprocesses $(CORES) --dist loadfile
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m workflow --numprocesses $(CORES) --dist worksteal

lint: $(BIN)/polyticket ## format, lint and types
	ruff format --check .
	ruff check .
	snakefmt --check Snakefile workflow
	mypy
	snakemake --lint

report: $(BIN)/polyticket ## the report of what has been computed
	snakemake --report $(REPORT)

bench: $(BIN)/polyticket ## all of benchmarks/, or one: make bench NAME=allocate
	@for file in benchmarks/$(or $(NAME),*).py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

lock: ## requirements.lock anew from requirements.in
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --requirement requirements.in
	.venv-lock/bin/python -m pip freeze | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv-lock

docs: $(BIN)/polyticket ## the parts of the documentation that are made from code
	sed -i '/<!-- table -->/q' config/README.md
	$(BIN)/python -m polyticket.config.schema >> config/README.md
