# Every target does its own set-up: the first run creates .venv and installs into it, each later run finds the stamp of
# the same pyproject.toml and touches neither pip nor the network.

VENV   := .venv
PYTHON := $(VENV)/bin/python
DIGEST := $(shell cksum < pyproject.toml | tr -s ' \t' '-')
SEEDS  ?= 10000

stamp  = $(VENV)/.installed-$(1)-$(DIGEST)

# $(call step,name,command): run one command, and say what it was and how long it took.
define step
	@echo "== $(1)"; start=$$(date +%s); $(2); status=$$?; \
	echo "-- $(1): $$(( $$(date +%s) - start )) s"; exit $$status
endef

# $(call install,extra): the virtual environment, this project in place, and the packages of one extra.
define install
	@if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	        "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	        python=; \
	    done; \
	    if [ -z "$$python" ]; then \
	        echo "sarray needs Python 3.11 or later with venv (Debian: apt-get install python3-venv); found: $$(python3 --version 2>&1)" >&2; \
	        exit 1; \
	    fi; \
	    echo "creating $(VENV) with $$($$python --version)"; \
	    $$python -m venv --clear $(VENV) || exit 1; \
	fi
	@echo "installing sarray[$(1)] into $(VENV)"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-input \
	    --config-settings editable_mode=compat --editable ".[$(1)]"
	@rm -f $(VENV)/.installed-$(1)-* && touch $@
endef

.PHONY: help demo test test-all bench bench-ml bench-functions compare simulate chaos clean

help:
	@echo "make demo                  least squares, PCA and singular values of 327,346 real flights"
	@echo "make test                  ruff, mypy --strict, and all tests but the long ones"
	@echo "make test-all              the long ones too"
	@echo "make bench                 the speed table, side by side with NumPy, SciPy and Dask"
	@echo "make bench-ml              the same for programs of scikit-learn's, Dask's and PyWren's kind, beside those"
	@echo "make bench-functions       functions beside numpywren's way: time and bytes moved, shaped like a cloud and not"
	@echo "make compare               six systems on the paper's applications: tables and pictures of docs/comparison.md"
	@echo "make simulate SEEDS=10000  random programs with random faults under the simulator"
	@echo "make chaos                 two minutes of killed functions and a Valkey that is restarted empty"
	@echo "make clean                 remove .venv, caches and results"

# What the tests need includes what the demo needs.
demo: $(firstword $(wildcard $(call stamp,test)) $(call stamp,demo))
	@$(PYTHON) examples/flights.py

test: $(call stamp,test)
	$(call step,ruff,$(PYTHON) -m ruff check .)
	$(call step,mypy,$(PYTHON) -m mypy)
	$(call step,pytest,$(PYTHON) -m pytest -m "not long" --durations=10)

test-all: $(call stamp,test)
	$(call step,ruff,$(PYTHON) -m ruff check .)
	$(call step,mypy,$(PYTHON) -m mypy)
	$(call step,pytest,$(PYTHON) -m pytest --durations=25)

# OPENBLAS_CORETYPE names one machine's kernels: with it, BLAS may be measured below what this machine can do.
bench: $(call stamp,bench)
	@env -u OPENBLAS_CORETYPE $(PYTHON) benchmarks/local.py $(BENCH)

bench-ml: $(call stamp,bench)
	@env -u OPENBLAS_CORETYPE $(PYTHON) benchmarks/doors.py $(BENCH)

# The tests' packages include those that functions on this machine need.
bench-functions: $(call stamp,test)
	@env -u OPENBLAS_CORETYPE $(PYTHON) benchmarks/functions.py $(BENCH)

compare: $(call stamp,bench)
	@env -u OPENBLAS_CORETYPE $(PYTHON) benchmarks/compare.py $(COMPARE)
	@$(PYTHON) benchmarks/pictures.py "$$(ls -t benchmarks/results/compare-*.json | head -n 1)"

simulate: $(call stamp,test)
	@$(PYTHON) -m wukong_sched.drivers.simulate --seeds $(SEEDS)

chaos: $(call stamp,test)
	@$(PYTHON) -m tests.chaos $(CHAOS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis benchmarks/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(call stamp,demo):
	$(call install,demo)

$(call stamp,test):
	$(call install,test)

$(call stamp,bench):
	$(call install,bench)
