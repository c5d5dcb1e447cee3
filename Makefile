# Everything a person types. `make run` and `make test` set the workspace up on first use.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup run test lint format bench bench-peers bench-results bench-check jaeger clean

setup: $(READY)

# uv where it is installed (seconds), else venv and pip; the same pinned versions either way.
$(READY): pyproject.toml constraints.txt
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python '>=3.11' .venv && \
	  uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'; \
	else \
	  $(PYTHON) -m venv .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'; \
	fi
	@touch $@

# The main job: a digest of this repository's own documents, without a key or a network.
run: $(READY)
	@$(BIN)/python -m runtime run digest --input '{"path": ".", "glob": "*.md"}'

test: $(READY)
	@$(BIN)/python -m pytest --cov --cov-report=term:skip-covered --cov-fail-under=90

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(READY)
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(READY)
	@$(BIN)/python -m benchmarks

# The peers of the benches, each in an environment of its own below .bench; then: bench --peers.
bench-peers: $(READY)
	@$(BIN)/python -m benchmarks.environments

# All that was promised, beside the peers, in about 20 minutes of a machine that does nothing else.
bench-results: $(READY)
	@$(BIN)/python -m benchmarks messages delegations actors invocations workflow storm startup \
	  scaling cluster --peers --rounds 3 --seconds 0.2 --results benchmarks/RESULTS.md

# Whether a hot path has become dearer than its bound: instructions are counted, no clock is read.
bench-check: $(READY)
	@$(BIN)/python -m benchmarks.check

# A Jaeger for traces, until Ctrl-C; it needs docker, or a program called jaeger.
jaeger:
	@sh otel/jaeger.sh

clean:
	rm -rf .venv .bench .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
