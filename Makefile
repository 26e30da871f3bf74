# Every target needs Python 3.11 or later and nothing else; what is missing is put beside the checkout first.
SHELL := /bin/sh
PY := .venv/bin/python
BOOTSTRAP := $$(command -v python3 || command -v python3.13 || command -v python3.12 || command -v python3.11 || echo python3) tools/bootstrap.py

.DEFAULT_GOAL := help
.PHONY: help demo demo-reset up test check bench peers docs screenshots lock format clean runtime dev benchmarks

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: runtime  ## Start Careline with a demo company on http://127.0.0.1:8000 (PORT=8001 for another port)
	@exec $(PY) -m app.cli demo

demo-reset: runtime  ## Start the demo over, with fresh data
	@exec $(PY) -m app.cli demo --reset

up: runtime  ## Start an empty Careline; the first page makes the first admin
	@exec $(PY) -m app.cli up

test: dev  ## Run every test
	$(PY) -m pytest -n 2 --dist worksteal

check: dev  ## Lint, types, import rules, templates, migrations
	$(PY) -m tools.check

bench: benchmarks  ## Run the benchmarks, or one: make bench NAME=ingest
	$(PY) -m bench $(NAME)

peers: dev  ## Test against real networks on loopback (fetches their packages)
	$(PY) -m pytest -m peer tests

docs: dev  ## Draw the tables of docs/ anew from the code
	$(PY) -m tools.docs

screenshots: dev  ## Take the pictures of docs/screenshots/ anew (needs chromium)
	$(PY) -m tools.screenshots

lock: dev  ## Resolve the dependencies anew (UPGRADE=--upgrade for the newest)
	$(PY) tools/lock.py $(UPGRADE)

format: dev  ## Format the Python files
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix-only .

clean:  ## Remove what was installed beside the checkout (the demo's data in var/ stays)
	rm -rf .venv static/vendor tests/vendor node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

runtime:
	@$(BOOTSTRAP) runtime

dev:
	@$(BOOTSTRAP) dev

benchmarks:
	@$(BOOTSTRAP) bench
