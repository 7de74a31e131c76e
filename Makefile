# What a developer types; needs an environment with `pip install -e '.[test]'` active.
.PHONY: quick lint types test slow docs results site notebook

quick: lint types  ## lint, types and the fast tests: under a minute
	python -m pytest -m quick

lint:
	ruff check .
	ruff format --check .

types:
	mypy

test: lint types  ## everything but what takes minutes a test
	python -m pytest

slow:  ## that as well
	GEOSEG_JAX_SLOW_TESTS=1 python -m pytest

docs:  ## writes the pages that are made from the code, and checks every link
	python docs/make.py

results:  ## rebuilds the studies' tables and figures in docs from docs/results
	python docs/results.py

site:  ## docs/_build/index.html; needs `pip install -e '.[docs]'`
	python -m sphinx -W --keep-going -q docs docs/_build

notebook:  ## runs notebooks/quickstart.ipynb at its smallest
	GEOSEG_JAX_SLOW_TESTS=1 python -m pytest -n 0 tests/test_notebook.py
