# make demo   the tour on real data, in under three minutes
# make test   the environment and the test suite
# Both create .venv. Another Python: PYTHON=python3.12. Another torch: TORCH=torch.

.DEFAULT_GOAL := help
BIN := .venv/bin
export OMP_NUM_THREADS ?= 1
export MPLBACKEND ?= Agg
export PYTHON TORCH

.PHONY: help demo test test-slow test-minimum package lint bench study docs examples clean

help:
	@sed -n '1,3s/^# //p' Makefile

# One stamp for each set of packages, so that a second call installs nothing.
.venv/.installed-%: pyproject.toml constraints.txt scripts/install.sh
	@scripts/install.sh $*
	@touch $@

demo: .venv/.installed-demo
	@$(BIN)/python examples/demo.py

test: .venv/.installed-test
	$(BIN)/python -m pytest -n 2 -q

test-slow: .venv/.installed-test
	$(BIN)/python -m pytest -n 2 -q -m slow

# The oldest releases that pyproject.toml admits, in an environment of their own.
test-minimum: .venv-minimum/.installed-test
	.venv-minimum/bin/python -m pytest -n 2 -q

.venv-minimum/.installed-test: pyproject.toml constraints-minimum.txt scripts/install.sh
	@VENV=.venv-minimum CONSTRAINTS=constraints-minimum.txt scripts/install.sh test
	@touch $@

package:
	scripts/check_package.sh

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy sklvyso

examples: .venv/.installed-demo
	@for example in examples/plot_*.py; do echo "$$example"; $(BIN)/python $$example || exit 1; done

bench: .venv/.installed-bench
	$(BIN)/python -m benchmarks

study: .venv/.installed-bench
	$(BIN)/python -m benchmarks.drop_defaults
	$(BIN)/python -m benchmarks.drop_study
	$(BIN)/python -m benchmarks.sparsity_compression
	$(BIN)/python -m benchmarks.sparsity_accuracy
	$(BIN)/python -m benchmarks.continual
	$(BIN)/python -m benchmarks.continual_inference
	$(BIN)/python -m benchmarks.active_learning
	$(BIN)/python -m benchmarks.artifact_quality

docs: .venv/.installed-docs
	$(BIN)/python -m sphinx -W -b html docs docs/_build/html
	$(BIN)/python scripts/check_links.py docs/_build/html

clean:
	rm -rf .venv .venv-minimum build dist docs/_build docs/auto_examples demo_output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
