# The first command that needs something sets it up (setup.sh); later runs find it done.
#
#   make demo    a call each way between a phone and a Telegram user, on this machine alone
#   make test    all tests                         make test ARGS="-k answer"
#   make lint    style, types, import rules
#   make bench   speed, as tables and in build/bench.json   make bench ARGS=--quick
#   make image   a container image of the gateway  make image DOCKER=podman ARGS="--format docker"
#   make lock    the lock files, from pyproject.toml  make lock ARGS=--upgrade
#   make clean   remove all that the commands above made

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint bench image lock clean

bin := .venv/bin
ARGS ?=
DOCKER ?= docker

help:
	@sed -n 's/^#   /  /p' Makefile

setup:
	@./setup.sh

demo: setup
	$(bin)/siptg demo $(ARGS)

test: setup
	$(bin)/pytest $(ARGS)

lint: setup
	$(bin)/ruff check
	$(bin)/ruff format --check
	$(bin)/mypy
	$(bin)/lint-imports

bench: setup
	$(bin)/python -m tests.bench $(ARGS)

image:
	$(DOCKER) build -f docker/Dockerfile -t siptg $(ARGS) .

# Locks hold for every Python and platform that pyproject.toml admits. setup.sh may end over an old lock: that is no
# hindrance here.
compile := uv pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-annotate --no-header
lock:
	@[ -x $(bin)/python ] || ./setup.sh || :
	$(bin)/python -m pip install --quiet uv
	$(bin)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")' | \
		$(bin)/$(compile) $(ARGS) --output-file requirements-build.lock -
	$(bin)/$(compile) $(ARGS) --output-file requirements.lock pyproject.toml
	$(bin)/$(compile) $(ARGS) --output-file requirements-dev.lock --all-extras pyproject.toml

clean:
	rm -rf .venv .asterisk build demo-output *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find gateway tests -name __pycache__ -prune -exec rm -rf {} +
