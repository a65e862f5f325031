# Every target sets the environment up by itself: .venv, from Pipfile.lock, hashes required.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3)
PORT ?= 5000
ARGS ?=
CACHE ?= .cache
# What train and serve take: the first example; in a project without it, the first there is.
PIPELINE ?= $(basename $(notdir $(firstword $(wildcard \
	conf/pipeline/train_efficientnetliteft.yaml conf/pipeline/train_*.yaml))))
DEPLOYMENT ?= $(patsubst deploy/%/service.py,%,$(firstword $(wildcard \
	deploy/efficientnetliteft/V1/service.py deploy/*/V*/service.py)))
VENV := .venv
BIN := $(VENV)/bin
# The stamp names the accelerator that .venv is set up for; without ACCELERATOR, it stays that.
STAMP := $(VENV)/.locked
BUILT := $(or $(shell cat $(STAMP) 2>/dev/null),cpu)
ACCELERATOR ?= $(BUILT)
ifeq (,$(filter cpu gpu,$(ACCELERATOR)))
$(error ACCELERATOR=$(ACCELERATOR) is neither cpu nor gpu)
endif
# The Pipfile names no index, so pipenv's hash of it would follow this machine's pip settings.
PIPENV := env -u PIP_INDEX_URL -u PIP_EXTRA_INDEX_URL -u PIP_FIND_LINKS \
	PIP_CONFIG_FILE=/dev/null PIPENV_VENV_IN_PROJECT=1 PIPENV_IGNORE_VIRTUALENVS=1 $(BIN)/pipenv

# A process of the tests needs 2 GB at most.
PARALLEL := --numprocesses=auto --maxprocesses=4

# Tools called by hooks and tests by their bare name are those of the environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help setup train mlflow repro reproduce test test-all test-container docs lint audit format serve predict drift promote rollback data-push data-pull new-pipeline new-project lock clean-cache clean
ifneq ($(ACCELERATOR),$(BUILT))
.PHONY: $(STAMP)
endif

##@ Start
help: ## show this list
	@awk -F ':.*## ' '/^##@ / {printf "%s%s\n", n++ ? "\n" : "", substr($$0, 5)} \
		/^[a-z-]+:.*## / {printf "  make %-14s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## build .venv from Pipfile.lock, as other targets do; ACCELERATOR=gpu for NVIDIA

$(BIN)/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
		echo "Python 3.11 is needed, PYTHON='$(PYTHON)' is not: install it, or name it:" \
			"make PYTHON=/path/to/python3.11 setup" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "$(PYTHON) has no venv module: install it (Debian: apt install python3.11-venv)" >&2; \
		exit 1; }
	@"$(PYTHON)" -m venv --clear $(VENV)

$(STAMP): Pipfile.lock | $(BIN)/python
	@echo "Setting up $(VENV) from Pipfile.lock for $(ACCELERATOR)"
	@rm -f $@
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip >/dev/null
	@requirements=$$(mktemp -d); trap 'rm -rf "$$requirements"' EXIT; \
	$(BIN)/python .ci/requirements.py --only uv > "$$requirements/uv.txt"; \
	$(BIN)/python .ci/requirements.py --accelerator $(ACCELERATOR) > "$$requirements/all.txt"; \
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r "$$requirements/uv.txt"; \
	$(BIN)/python .ci/run_uv.py pip sync --quiet --require-hashes --compile-bytecode \
		--python $(BIN)/python "$$requirements/all.txt"
	@echo $(ACCELERATOR) > $@

##@ Train and look
train: $(STAMP) ## train and evaluate on the built-in sample; ARGS="fit.finetune.epochs=3" overrides
	@$(BIN)/python -m train +pipeline=$(PIPELINE) env=development $(ARGS)

mlflow: $(STAMP) ## open the tracking pages of development; PORT=5000
	@$(BIN)/mlflow ui --backend-store-uri sqlite:///mlflow.db --host 127.0.0.1 --port $(PORT)

repro: $(STAMP) ## run the datasets and trainings of dvc.yaml that changed; ARGS=train@resnet50v2ft
	@$(BIN)/dvc repro $(ARGS)

reproduce: $(STAMP) ## train a finished run again from its revision, and compare; RUN=<run id>
	@test -n "$(RUN)" || { echo "name a run: make reproduce RUN=<run id>" >&2; exit 1; }
	@$(BIN)/python -m train.jobs.reproduce --run "$(RUN)" $(ARGS)

##@ Check and document
test: $(STAMP) ## run the fast tests (7 minutes); ARGS="tests/test_setup.py -k hash" selects
	@$(BIN)/python -m pytest -m "not slow" $(PARALLEL) $(ARGS)

test-all: $(STAMP) ## run all that make test leaves out: kills, browsers, new projects (25 minutes)
	@$(BIN)/python -m pytest -m slow $(PARALLEL) $(ARGS)

test-container: $(STAMP) ## test ecr.sh with podman and a registry (root, Debian packages; 3 minutes)
	@tests/container/run.sh $(ARGS)

docs: $(STAMP) ## write the documentation to site/
	@$(BIN)/python -m docs.build $(ARGS)

lint: $(STAMP) ## run every pre-commit hook on every tracked file
	@$(BIN)/pre-commit run --all-files $(ARGS)

audit: $(STAMP) ## compare Pipfile.lock with the published advisories; needs the network
	@$(BIN)/python .ci/requirements.py | \
		$(BIN)/pip-audit --strict --disable-pip --require-hashes --requirement /dev/stdin

format: $(STAMP) ## format the code and apply the safe fixes of ruff
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

##@ Serve
serve: $(STAMP) ## serve the champion, or the newest challenger; PORT=3000 DEPLOYMENT=resnet50v2ft/V1
	@$(BIN)/python deploy/serve.py --deployment $(DEPLOYMENT) --port $(if $(filter file,$(origin PORT)),3000,$(PORT)) $(ARGS)

predict: $(STAMP) ## classify an image (table) or a folder (CSV); IMAGE=path DEPLOYMENT=resnet50v2ft/V1
	@test -n "$(IMAGE)" || { echo "name an image or a folder: make predict IMAGE=path" >&2; exit 1; }
	@$(BIN)/python deploy/predict.py "$(IMAGE)" --deployment $(DEPLOYMENT) $(ARGS)

drift: $(STAMP) ## compare what a service answered with its validation images; URL=http://127.0.0.1:3000
	@$(BIN)/python deploy/drift.py "$(or $(URL),http://127.0.0.1:3000)"

promote: $(STAMP) ## choose what is served, by evidence; MODEL=efficientnetliteft-kvasir4 VERSION=3 [FORCE="reason"]
	@test -n "$(MODEL)" && test -n "$(VERSION)" || { \
		echo "name both: make promote MODEL=efficientnetliteft-kvasir4 VERSION=3" >&2; exit 1; }
	@$(BIN)/python deploy/promote.py --model "$(MODEL)" --version "$(VERSION)" \
		$(if $(filter command,$(origin FORCE)),--force-because "$$FORCE")

rollback: $(STAMP) ## go back to the champion before; MODEL=efficientnetliteft-kvasir4 [REASON="..."]
	@test -n "$(MODEL)" || { echo "name it: make rollback MODEL=efficientnetliteft-kvasir4" >&2; exit 1; }
	@$(BIN)/python deploy/promote.py --model "$(MODEL)" --rollback \
		$(if $(filter command,$(origin REASON)),--because "$$REASON")

##@ Data
data-push: $(STAMP) ## send the data that DVC tracks to a remote; REMOTE=s3
	@$(BIN)/python -m datasets.remote push --remote "$(REMOTE)"

data-pull: $(STAMP) ## fetch the data that DVC tracks from a remote; REMOTE=s3
	@$(BIN)/python -m datasets.remote pull --remote "$(REMOTE)"

##@ Extend
# What the caller gives reaches the generators as it is: neither make nor the shell reads what is in it.
unexport MODEL DATASET TASK NAME DESCRIPTION
new-pipeline new-project: export GIVEN_MODEL = $(value MODEL)
new-pipeline new-project: export GIVEN_DATASET = $(value DATASET)
new-pipeline new-project: export GIVEN_TASK = $(value TASK)
new-pipeline new-project: export GIVEN_NAME = $(value NAME)
new-pipeline new-project: export GIVEN_DESCRIPTION = $(value DESCRIPTION)

new-pipeline: $(STAMP) ## write a training that runs at once; MODEL=mynet DATASET=myimages, or TASK=table
	@$(BIN)/python -m templates.new_pipeline --model="$$GIVEN_MODEL" --dataset="$$GIVEN_DATASET" \
		--task="$${GIVEN_TASK:-image}"

new-project: $(STAMP) ## write a monorepo without the examples; NAME=mylab DESCRIPTION="of what"
	@$(BIN)/python -m templates.new_project --name="$$GIVEN_NAME" --description="$$GIVEN_DESCRIPTION"

lock: $(STAMP) ## lock the Pipfile again (director of development only)
	@$(PIPENV) lock
	@$(BIN)/python .ci/clean_lock.py
	@echo "Pipfile.lock written; the next target installs it."

##@ Clean up
clean-cache: ## remove the stored activations of frozen layers; CACHE=.cache
	@du -sh $(CACHE)/activations 2>/dev/null || echo "no activations in $(CACHE)"
	@rm -rf $(CACHE)/activations

clean: ## remove caches, built docs and outputs/; leaves .venv, mlflow.db, mlruns/ and data/
	@rm -rf .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache multirun outputs site
	@find . -path ./$(VENV) -prune -o -path ./.git -prune -o \
		-type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
	@echo "Left in place: $(VENV), mlflow.db, mlruns/, data/. Remove them by hand if they must go."
