# Two commands do all the set-up: `make play` and `make test`.
#   make play [ARGS='--seconds 20 --record out.mid --no-panel']
#   make test      everything that can be checked without hardware (installs what that needs)

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
ARGS ?=

.PHONY: play test lint format dev packages clean

play: $(VENV)/.play
	@$(RUN)/noonsong play $(ARGS)

test: dev packages lint firmware
	$(RUN)/python -m pytest -n 2 --dist loadgroup $(TESTS)

lint: dev
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy

format: dev
	$(RUN)/ruff check --fix .
	$(RUN)/ruff format .

dev: $(VENV)/.dev

packages:
	@tests/debian-packages.sh

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "noonsong needs Python 3.11 or newer; $(PYTHON) is older. Name another: make play PYTHON=python3.13"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	  { echo "no virtual environment could be made: apt install python3-venv"; rm -rf $(VENV); exit 1; }

# What the box needs: no torch. The kernel is compiled here, so its sources count too.
$(VENV)/.play: pyproject.toml setup.py $(wildcard quantize/kernel/*) | $(VENV)/bin/python
	@echo "Installing (once) ..."
	@$(RUN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

# What learning and testing need.
$(VENV)/.dev: pyproject.toml setup.py $(wildcard quantize/kernel/*) | $(VENV)/bin/python
	$(RUN)/pip install --quiet --disable-pip-version-check -e '.[train,dev]'
	@touch $@ $(VENV)/.play

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

include firmware/firmware.mk
