# gristmill: `make demo` shows it at work, `make test` proves it. Both install what they need.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
SEED := 20261123

.DEFAULT_GOAL := help
.PHONY: help demo test lint types docs bench golden clean

help: ## list what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 10

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[demo,dev]"
	$(BIN)/python -c "from checks.metrics.image_worker import compile_kernels; compile_kernels()"
	$(BIN)/python -c "from checks.metrics.tabular_tally import compile_kernels; compile_kernels()"
	$(BIN)/python -c "from training.shards.resize_kernel import compile_kernels; compile_kernels()"
	touch $@

data/digits_truth.parquet: $(INSTALLED) data/make_defects.py data/image_defects.py data/digits.py
	$(BIN)/python -m data.make_defects digits --seed $(SEED)

data/flights_truth.parquet: $(INSTALLED) data/make_defects.py data/table_defects.py data/flights.py
	$(BIN)/python -m data.make_defects flights --seed $(SEED)

demo: data/digits_truth.parquet data/flights_truth.parquet ## the whole line on dirty digits and dirty flights
	$(BIN)/gristmill run data/digits.toml --out runs/digits --fail-on never
	$(BIN)/gristmill run data/flights.toml --out runs/flights --fail-on never

test: $(INSTALLED) ## all tests
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED) ## style and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(INSTALLED) ## mypy, strict
	$(BIN)/mypy

docs: $(INSTALLED) ## what is generated: catalogue, config reference, README figures
	$(BIN)/python -m bench.docs

bench: $(INSTALLED) data/digits_truth.parquet data/flights_truth.parquet ## every benchmark, one JSON line each
	$(BIN)/python -m bench.all

golden: $(INSTALLED) ## write the golden reports anew
	GRISTMILL_GOLDEN=1 $(BIN)/python -m pytest -q -n 0 tests/flows/report

clean: ## remove runs and caches, keep .venv
	rm -rf runs .gristmill data/digits data/flights data/*_truth.parquet
