# The targets need Python 3.11 or newer and nothing else; they make their environments themselves: `check` one without torch in
# .venv-check, the others one with all in .venv.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CHECK_VENV ?= .venv-check
FILE ?= archs/resnet152.arch
WORKERS ?= 2

.PHONY: run check test test-slow lint docs docs-check gallery playground site zoo timm fuzz bench clean

run: $(VENV)/installed
	$(BIN)/python cli.py compile $(FILE)

# What needs no torch, with a dozen of the networks and a third of the random programs: under a minute.
check: $(CHECK_VENV)/installed
	ARCHC_EXAMPLES=100 $(CHECK_VENV)/bin/python -m pytest -n $(WORKERS) -m "not slow and not thorough and not every_network" tests/front

# All but what is slow.
test: $(VENV)/tested-with
	$(BIN)/python -m pytest -n $(WORKERS)

# What only nights run: all of torchvision's classifiers, the page in a browser, and three times as many random programs as `test`.
test-slow: $(VENV)/tested-with
	ARCHC_EXAMPLES=1000 $(BIN)/python -m pytest -n $(WORKERS) -m "slow or hypothesis"

lint: $(VENV)/tested-with
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	mkdir -p $(VENV)/typed && ln -sfn ../.. $(VENV)/typed/archc  # mypy asks for a folder of the package's name
	MYPYPATH=$(VENV)/typed $(BIN)/mypy
	$(BIN)/python cli.py fmt --check archs

docs: $(VENV)/tested-with
	$(BIN)/python cli.py ops --markdown > docs/operators.md
	$(BIN)/python cli.py explain --markdown > docs/errors.md
	$(BIN)/python docs/build.py
	$(BIN)/python editors/build.py

docs-check: $(VENV)/tested-with
	$(BIN)/python cli.py ops --markdown | diff - docs/operators.md
	$(BIN)/python cli.py explain --markdown | diff - docs/errors.md
	$(BIN)/python docs/build.py --check
	$(BIN)/python editors/build.py --check

gallery: $(VENV)/installed
	$(BIN)/python docs/gallery.py

# The editor in the browser, as a folder of static files: playground/dist. Needs node and npm.
playground: $(VENV)/tested-with
	$(BIN)/python playground/build.py

# The documents, the course and a page for every network, as a folder of static files: build/site; with the playground where it was built.
site: $(VENV)/documented-with
	$(BIN)/python docs/site/build.py

zoo: $(VENV)/tested-with
	$(BIN)/python -m pytest -n $(WORKERS) -m "slow or not slow" tests/back/test_zoo.py

# Reads all of timm's networks, those that tests/timm.tsv does not have yet, and writes the section of docs/sources.md on them.
timm: $(VENV)/tested-with
	$(BIN)/python bench/timm_models.py --workers $(WORKERS)

fuzz: $(VENV)/tested-with
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt atheris
	$(BIN)/python tests/fuzz.py -runs=20000 -max_len=64 -len_control=0
	ARCHC_FUZZ=1 ARCHC_EXAMPLES=20000 $(BIN)/python -m pytest -n $(WORKERS) -m "slow or not slow" tests/front/test_random.py tests/back/test_random.py tests/back/test_mutations.py

bench: $(VENV)/tested-with
	$(BIN)/python bench/report.py

# torchvision and timm are oracles of tests and benches only. Their wheels ask for a CUDA build of torch, so they come without what they
# ask for.
$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[torch]'
	touch $@

$(CHECK_VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(CHECK_VENV)
	$(CHECK_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[check]'
	touch $@

$(VENV)/tested-with: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,bench]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --no-deps torchvision timm pillow
	touch $@

$(VENV)/documented-with: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	touch $@

clean:
	rm -rf $(VENV) $(CHECK_VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
