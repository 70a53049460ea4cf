# The commands of the README. Everything runs in .venv, made from requirements.lock and the lock of a stack.

PYTHON ?= python3.11
CORES ?= $(shell nproc)
BIN := .venv/bin
STACK ?= $(or $(shell cat .venv/stack 2> /dev/null),cpu)
PINS := grep -h == requirements.lock requirements-$(STACK).lock | sort
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517
BESIDE := .venv-beside
BESIDE_PINS := profiles/slurm/requirements.txt tests/image/requirements.txt
REPORT := results/report.html
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help install clean demo test slurm image lint report bench lock docs audit sbom fuzz faults
.DEFAULT_GOAL := help

ifeq ($(filter cpu gpu tpu,$(STACK)),)
$(error STACK=$(STACK); expected cpu, gpu or tpu)
endif

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

install: ## .venv with the pinned stack and this package, STACK=cpu, gpu or tpu; one that has the pins is kept
	@[ "$$($(PINS))" = "$$(grep == .venv/requirements.lock 2> /dev/null | sort)" ] \
		&& $(BIN)/polyticket --version > /dev/null 2>&1 || { \
		set -ex; \
		rm -rf .venv; \
		$(PYTHON) -m venv .venv; \
		$(PIP) --requirement requirements-$(STACK).lock; \
		$(PIP) --no-deps --no-build-isolation --editable .; \
		$(BIN)/python -m compileall -q src; \
		echo $(STACK) > .venv/stack; \
		$(PINS) > .venv/requirements.lock; \
	}

clean: ## drop .venv and what builds leave
	rm -rf .venv .venv-lock $(BESIDE) build src/*.egg-info

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

$(BESIDE)/made: $(BIN)/polyticket $(BESIDE_PINS)
	rm -rf $(BESIDE)
	$(BIN)/python -m venv $(BESIDE)
	echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> $$($(BESIDE)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/beside.pth
	$(BESIDE)/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock \
		$(BESIDE_PINS:%=--requirement %)
	touch $@

slurm: $(BESIDE)/made ## run the sample on a Slurm of this machine, as root with slurm-wlm and munge; minutes
	OMP_NUM_THREADS=1 $(BESIDE)/bin/python -m tests.slurm.run $(if $(SHORT),--short)

image: $(BESIDE)/made ## lint the Dockerfile and run its steps in a fresh root, as root with mmdebstrap; minutes
	$(BESIDE)/bin/python -m tests.image.run $(if $(SHORT),--lint)

lint: $(BIN)/polyticket ## check format, lint and types
	ruff format --check .
	ruff check .
	snakefmt --check Snakefile workflow
	mypy
	snakemake --lint

report: $(BIN)/polyticket ## write the report of what has been computed
	snakemake --report $(REPORT)

bench: $(BIN)/polyticket ## run the benchmarks, or one: make bench NAME=allocate; a table of all ratios at the end
	@$(BIN)/python benchmarks/summary.py $(NAME)

lock: ## write requirements.lock and requirements-cpu.lock again; the lock of another stack: make lock STACK=gpu
	rm -rf .venv-lock
	$(PYTHON) -m venv .venv-lock
	set -e; for name in $(if $(filter cpu,$(STACK)),requirements) requirements-$(STACK); do \
		.venv-lock/bin/python envs/lock.py $$name.in > .venv-lock/$$name.lock; \
		mv .venv-lock/$$name.lock .; \
	done
	rm -rf .venv-lock

docs: $(BIN)/polyticket ## write the parts of the documentation that are generated
	sed -i '/<!-- table -->/q' config/README.md
	$(BIN)/python -m polyticket.config.schema >> config/README.md
	$(BIN)/python benchmarks/summary.py --table > README.table
	sed -i -e '/<!-- benchmarks -->/,/<!-- end of benchmarks -->/ {//!d}' -e '/<!-- benchmarks -->/r README.table' README.md
	rm README.table

fuzz: $(BIN)/polyticket ## read damaged files for some time: make fuzz MINUTES=60; findings are kept in build/fuzz
	$(BIN)/python -m tests.fuzz --heavy --minutes $(or $(MINUTES),5) --findings build/fuzz

faults: $(BIN)/polyticket ## kill runs at random moments, damage transfers, check what becomes of both, write docs/reliability.md
	$(BIN)/python -m tests.faults.store --page docs/reliability.md
	$(BIN)/python -m tests.faults --folder build/faults --page docs/reliability.md

audit: $(BIN)/polyticket ## check licences, requirements and known vulnerabilities of the pinned packages
	$(BIN)/python -m release.audit

sbom: $(BIN)/polyticket ## write the software bill of materials of a release, CycloneDX in JSON
	$(BIN)/python -m release.sbom build/polyticket.cdx.json
