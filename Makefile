# make demo: set everything up and distil a first student.   make demo-photos: a larger one.   make web-demo: draw, and see it answer in the browser.   make test: set everything up and run the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
CONSTRAINTS ?= constraints.txt
STAMP := $(VENV)/.installed

.PHONY: demo demo-photos web-demo test quick check bench docs setup clean
.DEFAULT_GOAL := demo

setup: $(STAMP)

# torch first and by its pinned version: later packages then find it satisfied instead of choosing their own build
$(STAMP): pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) $(if $(CONSTRAINTS),$$(grep '^torch==' $(CONSTRAINTS)),torch)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) --editable '.[dev]'
	@touch $@

demo: setup
	OMP_NUM_THREADS=1 $(BIN)/limbeck distill --brief

# pictures cut out of the photographs inside scikit-learn: a student that starts from its teacher, ten epochs
demo-photos: setup
	OMP_NUM_THREADS=1 $(BIN)/limbeck distill --brief --data photographs --set teacher.width=32 --set teacher.epochs=30 --set student.width=8 --epochs 10

web-demo: setup
	test -f runs/web-demo/card.json || $(BIN)/limbeck distill --out runs/web-demo --resume --set student.width=8
	$(BIN)/limbeck web runs/web-demo

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

# laws, numbers derived elsewhere, and one method of each kind: for people who change things
quick: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 -m "quick or not contract" tests/laws tests/truth tests/contract tests/test_imports.py

check: setup
	$(BIN)/ruff check src tests bench website
	$(BIN)/ruff format --check --quiet src tests bench website
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_imports.py

bench: setup
	$(BIN)/python -m bench.speed
	$(BIN)/python -m bench.kernels

# the generated pages of docs/, then the site from them: build/site/index.html opens without a network
docs: setup $(VENV)/.docs
	$(BIN)/python -m limbeck.catalogue.pages
	$(BIN)/python -m website.build

$(VENV)/.docs: pyproject.toml $(CONSTRAINTS) | setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(if $(CONSTRAINTS),-c $(CONSTRAINTS)) --editable '.[docs]'
	@touch $@

clean:
	rm -rf $(VENV) runs build src/*.egg-info
