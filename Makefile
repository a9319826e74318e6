# Every target makes its own environment first: nothing but Python 3.10 to 3.13 has to be installed.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCKED = $(INSTALL) --no-deps --require-hashes -r
BENCHMARKS := byproducts_xml coco_json loader background step boxes build build_ray collect

.PHONY: help env demo demo-full demo-collect test lint types docs wheel bench lock audit clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

env: $(VENV)/installed  ## make the environment in .venv

# Packages come from lock files: pip takes no file whose SHA-256 is not there. Of torch the CPU-only build is taken
# where there is one, else PyPI's with its gigabytes of CUDA libraries.
$(VENV)/installed: setup.cfg pyproject.toml requirements.lock requirements-torch.lock requirements-torch-cpu.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.10 to 3.13 is needed, and $(PYTHON) is $$($(PYTHON) --version 2>&1): make PYTHON=/path/to/python"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(LOCKED) requirements.lock
	$(LOCKED) requirements-torch-cpu.lock 2> /dev/null || $(LOCKED) requirements-torch.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

# Ray is large, and only its own tests and benchmark need it.
$(VENV)/with-ray: $(VENV)/installed requirements-ray.lock
	$(LOCKED) requirements-ray.lock || \
		echo "Ray cannot be installed here: its tests are skipped"
	@touch $@

demo: env  ## raw files -> dataset -> plain and LUAB training -> one table and one picture under runs/demo (about 4 minutes)
	$(BIN)/luab demo --output-dir runs/demo

demo-full: env  ## the demo with 3 seeds and the control arm: clicks shuffled between the images
	$(BIN)/luab demo --full --output-dir runs/demo-full

demo-collect: env  ## images -> project -> 20 simulated annotators over HTTP -> dataset -> training -> a table (about 2 minutes)
	$(BIN)/python examples/collect.py --output-dir runs/collect

# In a folder apart: beside a torch without CUDA, PyPI's torchvision would keep transformers from being imported.
$(VENV)/timm: $(VENV)/installed requirements-timm.lock
	rm -rf $@
	$(LOCKED) requirements-timm.lock --target $@ || \
		echo "timm cannot be installed here: its tests are skipped"

test: $(VENV)/with-ray $(VENV)/timm  ## run all tests, in as many processes as there are cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto

lint: env  ## the hooks of .pre-commit-config.yaml over all files (fixes what it can), and which package may import which
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/pre-commit run --all-files --show-diff-on-failure
	$(BIN)/lint-imports --no-cache

types: env  ## mypy, strict
	$(BIN)/mypy

docs: env  ## build the documentation in site/, with the API reference; a broken link is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

wheel: env  ## build sdist and wheel in dist/, check their contents, and run the wheel by itself
	rm -rf dist
	$(BIN)/python .ci/wheel.py dist

bench: $(VENV)/with-ray  ## measure speed and memory beside the alternatives; figures under runs/bench
	@mkdir -p runs/bench
	for each in $(BENCHMARKS); do $(BIN)/python benchmarks/$$each.py --json runs/bench/$$each.json || exit 1; done
	$(BIN)/python benchmarks/kill.py --kills 2 --output-dir runs/bench/kill
	$(BIN)/python tests/fuzz_readers.py --inputs 100000

lock:  ## write the lock files anew, after a change of setup.cfg or constraints.txt
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)-lock/bin/python .ci/lock.py $(VENV)-lock/bin/uv

audit:  ## ask for known advisories about the locked packages; without a network it says so and passes
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)-audit/bin/python .ci/audit.py

clean:  ## remove the environment and what the runs wrote
	rm -rf $(VENV) $(VENV)-lock $(VENV)-audit runs build dist site *.egg-info
