# The commands of the README. Everything runs in .venv, made from requirements.lock.

PYTHON ?= python3.11
CORES ?= $(shell nproc)
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
REPORT := results/report.html
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install clean demo test lint report bench lock docs
.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install: ## .venv with the pinned stack and this package; one that has them is kept
	@cmp -s requirements.lock .venv/requirements.lock && $(BIN)/polyticket --version > /dev/null 2>&1 || { \
		set -ex; \
		rm -rf .venv; \
		$(PYTHON) -m venv .venv; \
		$(PIP) --requirement requirements.lock; \
		$(PIP) --no-deps --no-build-isolation --editable .; \
		cp requirements.lock .venv/; \
	}

clean: ## drop .venv and what builds leave
	rm -rf .venv .venv-lock build src/*.egg-info

$(BIN)/polyticket:
	$(MAKE) install

demo: install ## install, then run the workflow on the bundled sample: dumps to scores
	snakemake --cores $(CORES)
	$(MAKE) report
	@echo
	@echo "result: results/panx/fr.json"
	@$(BIN)/python -c "import json; r = json.load(open('results/panx/fr.json')); print('F1 on test:', round(r['test']['f1'], 3))"
	@echo "table:  results/report/scores.csv"
	@echo "report: $(REPORT)"

test: $(BIN)/polyticket ## run all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(CORES) --dist worksteal

lint: $(BIN)/polyticket ## check format, lint and types
	ruff format --check .
	ruff check .
	snakefmt --check Snakefile workflow
	mypy
	snakemake --lint

report: $(BIN)/polyticket ## write the report of what has been computed
	snakemake --report $(REPORT)

bench: $(BIN)/polyticket ## run the benchmarks, or one: make bench NAME=allocate
	@for file in benchmarks/$(or $(NAME),*).py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

lock: ## write requirements.lock again from requirements.in
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet --requirement requirements.in
	.venv-lock/bin/python -m pip freeze | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv-lock

docs: $(BIN)/polyticket ## write the parts of the documentation that are generated
	sed -i '/<!-- table -->/q' config/README.md
	$(BIN)/python -m polyticket.config.schema >> config/README.md
