# Two commands: `make demo` and `make test`. Both make their own environment
# in .venv first; `make help` lists the rest.

PYTHON ?= python3
VENV ?= .venv
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
# Processes that run the tests; each takes about 1.5 GB.
TEST_JOBS ?= $(shell n=$(JOBS); [ $$n -gt 4 ] && n=4; echo $$n)
PYTEST_ARGS ?=
DEMO_CONFIG ?= configs/sipmask/sipmask-memcnp_r18_movingshapes.py
DEMO_CKPT ?= demo/weights/sipmask-memcnp_r18_movingshapes.pth
DEMO_CLIP ?= demo/moving_shapes.mp4
DEMO_OUT ?= outputs/demo
MMCV ?= mmcv==2.1.0

PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check
INSTALLED := $(VENV)/.installed
DEV := $(VENV)/.dev
DOCS := $(VENV)/.docs
EXTRAS := $(VENV)/.extras
COMPILED_MMCV := $(VENV)/.mmcv-compiled

.DEFAULT_GOAL := help
.PHONY: help env demo test test-extras ops own-ops lint docs clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | \
	  sed -E 's/:.*## /\t/' | expand -t 12

env: $(INSTALLED)  ## set up .venv: pinned stack; what scoring has in C++ if that compiles

# An existing .venv, with a torch build of your choice in it, is kept.
$(PY):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed: make PYTHON=python3.11"; \
	    exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "venv failed: on Debian, install the package python3-venv"; \
	    rm -rf $(VENV); exit 1; }

# torch first, with its own dependencies held to the lock; then the rest
# without looking at dependencies (see stack.lock). mmcv-lite must not be
# written over a compiled mmcv.
$(INSTALLED): requirements/torch.lock requirements/stack.lock setup.cfg \
              setup.py $(wildcard mmvis_memcnp/results/csrc/*) | $(PY)
	$(PIP) install -q -r requirements/torch.lock -c requirements/stack.lock
	@$(PIP) uninstall -q -y mmcv 2>/dev/null; rm -f $(COMPILED_MMCV)
	$(PIP) install -q --no-deps -r requirements/stack.lock
	MMVIS_BUILD_OPS=plain $(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

demo: env  ## run the shipped MemCNP model on the shipped clip
	$(PY) demo/video_demo.py $(DEMO_CLIP) $(DEMO_CONFIG) $(DEMO_CKPT) \
	  --out-dir $(DEMO_OUT) --overwrite

test: env  ## run the test suite
	$(PY) -m pytest -q -n $(TEST_JOBS) --dist worksteal $(PYTEST_ARGS)

$(EXTRAS): requirements/extras.lock | $(INSTALLED)
	$(PIP) install -q --no-deps -r requirements/extras.lock
	@touch $@

# What `make test` skips in an environment without these packages.
test-extras: $(EXTRAS)  ## run the tests of ONNX, Hugging Face and supervision
	$(PY) -m pytest -q -n $(TEST_JOBS) --dist worksteal $(PYTEST_ARGS) \
	  tests/test_deployment tests/test_converters/test_mask2former.py \
	  tests/parity/test_videomt.py tests/test_results/test_detections.py

ops: $(COMPILED_MMCV) own-ops  ## compile mmcv's and our own operators

# The wheel is built before mmcv-lite goes, so that a failed build leaves a
# working environment. -g0: some Pythons ask for debug symbols, a third of the
# time. No pip cache: it may hold a build for another PyTorch.
$(COMPILED_MMCV): | $(INSTALLED)
	MMCV_WITH_OPS=1 MAX_JOBS=$(JOBS) CFLAGS=-g0 CXXFLAGS=-g0 $(PIP) wheel \
	  --no-cache-dir --no-deps --no-build-isolation -w $(VENV)/wheels $(MMCV)
	$(PIP) uninstall -q -y mmcv-lite
	$(PIP) install -q --no-deps --force-reinstall $(VENV)/wheels/mmcv-*.whl
	@touch $@

own-ops: env  ## compile our own operators alone (with CUDA if torch has it)
	MMVIS_BUILD_OPS=1 MAX_JOBS=$(JOBS) $(PY) setup.py -q build_ext --inplace

$(DEV): requirements/dev.lock | $(INSTALLED)
	$(PIP) install -q --no-deps -r requirements/dev.lock
	@touch $@

lint: $(DEV)  ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m mypy mmvis_memcnp

$(DOCS): requirements/docs.lock | $(INSTALLED)
	$(PIP) install -q --no-deps -r requirements/docs.lock
	@touch $@

docs: $(DOCS)  ## pages and API as a site in build/docs; a warning is an error
	$(PY) -m sphinx -q -W --keep-going -b html -c docs . build/docs

clean:  ## remove what was built and the environment
	rm -rf $(VENV) build docs/build *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	rm -f mmvis_memcnp/ops/_C*.so mmvis_memcnp/results/_compiled*.so
