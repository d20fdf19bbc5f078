# make chat   set everything up and open the chat
# make bench   compare with llama.cpp and transformers, time the interface; see docs/performance.md
# make audit   look for known holes in what is installed (asks the advisory service of PyPI)
# make long   every campaign of docs/reliability.md in full, which takes hours, and then the audit
# make messages   collect the texts of the interface and compile their translations
# make test   the whole test suite, linter, formatter and strict type checker

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
LOCALES := chatterm/locales
POT := $(VENV)/chatterm.pot

.PHONY: chat test check tests bench audit long messages clean

chat: $(VENV)/installed
	@$(BIN)/chatterm

test: check tests

check: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

tests: $(VENV)/installed-test
	$(BIN)/chatterm models get default
	$(BIN)/python -m pytest -n 4 --dist worksteal

bench: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks

long: $(VENV)/installed-audit
	$(BIN)/chatterm models get default
	$(BIN)/python -m tests.faults; broken=$$?; $(BIN)/python -m tests.audit && exit $$broken

audit: $(VENV)/installed-audit
	$(BIN)/python -m tests.audit

messages: $(VENV)/installed-test
	$(BIN)/python -m babel.messages.frontend -q extract -F babel.cfg -k mark -k several:1,2 --no-location --sort-output \
		-o $(POT) $$($(BIN)/python -m tests.texts)
	$(BIN)/pybabel -q update -i $(POT) -d $(LOCALES) -D chatterm -l zh_CN --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	$(BIN)/pybabel -q compile -d $(LOCALES) -D chatterm
	@rm $(POT)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "chatterm needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@$(BIN)/python -m compileall -q chatterm || true  # an editable install leaves that to each start
	@touch $@

$(VENV)/installed-test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt --editable '.[test]'
	@touch $(VENV)/installed $@

$(VENV)/installed-audit: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[audit]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
