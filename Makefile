# Everything starts here: `make demo` and `make test` need python3 (3.11 or newer) with its venv module, and nothing else.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test quick lint clean install

# Tests start some hundred Pythons, which need not compile the sources each.
unexport PYTHONDONTWRITEBYTECODE

demo: install
	$(BIN)/nearfar demo

test: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

quick: install
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m "not slow"

lint: install
	$(BIN)/ruff check .

install: .venv/installed

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch .venv/installed

clean:
	rm -rf .venv runs build *.egg-info src/*.egg-info .pytest_cache .ruff_cache
