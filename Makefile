PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs-ready

.PHONY: demo test test-slow coverage lint types layers docs bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,gallery]'
	touch $@

$(DOCS_READY): $(READY)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,gallery,docs]'
	touch $@

demo: $(READY)
	$(BIN)/seedbed run people -s 0:1000 --store demo.db
	$(BIN)/python examples/six_seeds.py demo.db

test: lint types layers
	$(BIN)/pytest -m 'not slow and not exhaustive' -n 2 --dist worksteal

coverage: $(READY)
	$(BIN)/pytest -m 'not slow and not exhaustive' -n 2 --dist worksteal --cov --cov-report=term

test-slow: $(READY)
	$(BIN)/pytest -m 'slow and not exhaustive' -n 2 --dist worksteal
	$(BIN)/pytest -m exhaustive
	$(BIN)/pytest -m 'hypothesis and not slow and not exhaustive' -n 2 --dist worksteal --hypothesis-profile=explore

docs: $(DOCS_READY)
	$(BIN)/sphinx-build -W --keep-going -E -q -j auto -d build/doctrees docs site
	$(BIN)/python docs/check.py
	@echo "the site begins at site/index.html"

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

layers: $(READY)
	$(BIN)/lint-imports --no-cache

clean:
	rm -rf $(VENV) site build/doctrees .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
