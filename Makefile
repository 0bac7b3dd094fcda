# Each target does all its own set-up, in .venv; nothing outside this folder is touched.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.stamp
SIZE   ?= 10
JOBS   ?= 2

export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore
export PIP_PROGRESS_BAR = off

.PHONY: help demo demo-case demo-cadences test lint format bench soak docs window wheel lock clean
help:            ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

# One stamp a set of packages: set-up runs again only when its lock has changed. What is installed is what is locked, by its
# hashes; bide itself comes from this folder, built by the hatchling of the lock.
$(STAMP)-base: locks/base.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "bide needs Python 3.11 or newer; say which: make PYTHON=python3.11 ..." >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV) (once)"
	@$(BIN)/python -m pip install -qq --require-hashes -r locks/base.txt
	@$(BIN)/python -m pip install -qq --no-deps --no-build-isolation -e .
	@touch $@
$(STAMP)-%: locks/%.txt $(STAMP)-base
	@$(BIN)/python -m pip install -qq --require-hashes -r $<
	@touch $@

# Locks for every Python and system that bide runs on. Those of `test` come first; no other set has a package otherwise.
LOCK := $(VENV)/lock/bin/uv pip compile pyproject.toml -q --universal --python-version 3.11 --generate-hashes --no-header \
	--no-emit-index-url --no-emit-find-links --annotation-style line --extra all --group build
lock:            ## fit locks/ to pyproject.toml (ARGS=--upgrade: the newest of everything)
	@test -x $(VENV)/lock/bin/uv || { $(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/python -m pip install -qq "uv>=0.9"; }
	$(LOCK) --group test $(ARGS) -o locks/test.txt
	$(LOCK) -c locks/test.txt $(ARGS) -o locks/base.txt
	$(LOCK) -c locks/test.txt --group examples $(ARGS) -o locks/examples.txt
	$(LOCK) -c locks/test.txt --group test --group lint $(ARGS) -o locks/lint.txt
	$(LOCK) -c locks/test.txt --group docs $(ARGS) -o locks/docs.txt

demo: $(STAMP)-test   ## waits for the world on four kinds of sensors at once, under 30 s
	@$(BIN)/python -m examples.waiting_room

demo-cadences: $(STAMP)-examples   ## a day of three cadences and a mart, with what goes wrong in it, in 75 s
	@$(BIN)/python -m examples.three_cadences $(ARGS)

demo-case: $(STAMP)-base   ## a threshold corrected three days late, from the first symptom to the closed incident, in 5 s
	@$(BIN)/python -m examples.enforcement_lifecycle $(ARGS)

test: $(STAMP)-test   ## all tests, JOBS=2 at a time (ARGS="-k name -x" narrows them; JOBS=0 for a debugger)
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadscope --no-loadscope-reorder $(ARGS)

lint: $(STAMP)-test $(STAMP)-lint   ## ruff, mypy, basedpyright, import-linter, deptry; the window is what its sources make
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict
	$(BIN)/basedpyright
	$(BIN)/lint-imports
	$(BIN)/deptry bide
	$(BIN)/python ui/make.py check

format: $(STAMP)-lint   ## have ruff lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)-test   ## every figure beside its physical limit, one table (ARGS="--rows handoff --repeat 1")
	@$(BIN)/python -m benchmarks $(ARGS)

soak: $(STAMP)-test   ## the seeded tests at SIZE times their usual size
	@BIDE_SOAK=$(SIZE) $(BIN)/python -m pytest -m soak $(ARGS)

docs: $(STAMP)-docs   ## the pages, as HTML
	$(BIN)/python -m sphinx -q -W -b html docs build/docs
	@echo "build/docs/index.html"

window: $(STAMP)-test $(STAMP)-lint   ## the web UI, from ui/ into bide/window
	$(BIN)/python ui/make.py build

wheel: $(STAMP)-test   ## the package, into dist/
	$(BIN)/python -m hatchling build

clean:           ## forget the set-up and what was built
	rm -rf $(VENV) build dist
