# Everything starts here: `make demo` and `make test` need python3 (3.11 or newer) with its venv module, and nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint clean install

demo: install
	$(BIN)/nearfar demo

test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

lint: install
	$(BIN)/ruff check .

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch .venv/installed

clean:
	rm -rf .venv runs build *.egg-info src/*.egg-info .pytest_cache .ruff_cache
