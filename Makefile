# make bench   the speed-quality trade-off of every built-in method on all tasks, without weights
# make test    the whole suite
# Both make .venv first. Another Python: make bench PYTHON=python3.12

PYTHON ?= python3
BIN := .venv/bin

.PHONY: bench test check clean

bench: .venv/installed
	$(BIN)/pb run --preset quick

test: .venv/installed check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "ParallelBench needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test]'
	@touch $@

clean:
	rm -rf .venv
