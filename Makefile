# A fresh clone needs make and Python 3.11 or newer; every target sets up .venv by itself.
#
#   make serve          the service on http://127.0.0.1:8000, data in ./data
#   make test           every test that takes seconds; MARKS, ARGS go to pytest, JOBS processes
#   make bench          speed, recall and memory of the gallery; FACES, DIM, ARGS
#   make demo           a service, people enrolled, found again, a stranger told apart
#
# Serving installs no PyTorch. Tests and training do; where only a CUDA build is offered, take the
# CPU build with  PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu make test

VENV  := .venv
BIN   := $(VENV)/bin
HOST  ?= 127.0.0.1
PORT  ?= 8000
DATA  ?= data
MARKS ?= not slow
JOBS  ?= 2
ARGS  ?=
FACES ?= 100000
DIM   ?= 512
IMAGE ?= face

PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help serve demo bench test test-slow lint format clean image verify-image lock sbom licences

help:
	@echo "make serve      the service on http://$(HOST):$(PORT), data in ./$(DATA)  (HOST, PORT, DATA)"
	@echo "make demo       enrol, identify altered pictures, tell a stranger; writes demo-out/demo.png"
	@echo "make bench      speed, recall and memory of the gallery  (FACES=$(FACES), DIM=$(DIM), ARGS=--json)"
	@echo "make test       the tests  (MARKS='not slow', ARGS='-k word', JOBS=$(JOBS))"
	@echo "make test-slow  the tests that take minutes"
	@echo "make lint       ruff and mypy"
	@echo "make format     let ruff write the format"
	@echo "make image      the container image with Docker  (IMAGE, PLATFORMS, PUSH)"
	@echo "make verify-image  build it without Docker and use it as a newcomer would; needs root"
	@echo "make lock       resolve what the images are made of anew: docker/requirements*.txt"
	@echo "make licences   docs/licences.md, of all that is in the image"
	@echo "make sbom       dist/sbom.cdx.json, likewise, for tools"
	@echo "make clean      remove .venv, caches and build output; ./$(DATA) stays"

serve: $(VENV)/run.stamp
	@$(BIN)/face serve --host $(HOST) --port $(PORT) --data $(DATA)

demo: $(VENV)/run.stamp
	@$(BIN)/face demo

bench: $(VENV)/run.stamp
	@$(BIN)/python -m app.bench gallery --faces $(FACES) --dim $(DIM) $(ARGS)

# Files of tests are dealt out whole, since some start servers that their tests share. JOBS=0: one
# process, which shows what tests print (-s).
test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -m "$(MARKS)" -n $(JOBS) --dist loadfile $(ARGS)

# Status 5 is pytest's word for "no such tests": nothing failed.
test-slow: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -m slow $(ARGS) || [ $$? -eq 5 ]

lint: $(VENV)/dev.stamp
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: $(VENV)/dev.stamp
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

image:
	docker build --tag $(IMAGE) $(if $(PLATFORMS),--platform $(PLATFORMS)) $(if $(PUSH),--push) .

verify-image:
	docker/verify.sh

# Every pin with the hashes of all its files, so amd64 and arm64 alike.
LOCK := $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-header --no-annotate \
  --python-version 3.11 --extra heic --extra milvus --extra otel --extra postgres \
  --override docker/overrides.txt pyproject.toml docker/requirements.in

lock: $(VENV)/release.stamp
	$(LOCK) --universal --output-file docker/requirements.txt
	$(LOCK) --python-platform x86_64-manylinux_2_28 --override docker/overrides-gpu.txt \
	  docker/requirements-gpu.in --output-file docker/requirements-gpu.txt

licences: $(VENV)/image.stamp
	@$(BIN)/python docker/licences.py $(VENV)/image > docs/licences.md

sbom: $(VENV)/image.stamp
	@mkdir -p dist
	@$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
	  --output-file dist/sbom.cdx.json $(VENV)/image

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis demo-out
	find app models scsc tests -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml when what that file asks for is installed.
$(VENV)/run.stamp: pyproject.toml $(VENV)/made.stamp
	@echo "Installing what the service needs into $(VENV); the first time takes a minute or more"
	@$(PIP) -e .
	@touch $@

$(VENV)/dev.stamp: pyproject.toml $(VENV)/made.stamp
	@echo "Installing what tests and training need into $(VENV); the first time takes some minutes"
	@$(PIP) -e '.[dev]'
	@touch $(VENV)/run.stamp $@

$(VENV)/release.stamp: pyproject.toml $(VENV)/made.stamp
	@$(PIP) -e '.[release]'
	@touch $@

# What the image has, here.
$(VENV)/image.stamp: docker/requirements.txt $(VENV)/release.stamp
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)/image
	@$(BIN)/uv pip sync --quiet --python $(VENV)/image --require-hashes docker/requirements.txt
	@touch $@

# The first interpreter that is new enough and can make an environment; PYTHON=... names another.
$(VENV)/made.stamp:
	@for python in $(PYTHON) python3 python3.11 python3.12 python3.13; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	  then $$python -m venv $(VENV) && touch $@ && exit 0; exit 1; fi; \
	done; \
	echo "No Python 3.11 or newer with the venv module was found (python3 is" \
	  "$$(python3 -V 2>/dev/null || echo absent)). Install one, or name it: make PYTHON=/path/to/python" >&2; \
	exit 1
