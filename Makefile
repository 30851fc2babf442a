# Needs only a compiler, make and Python 3: what else is missing is installed by the targets themselves.
PYTHON ?= python3
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
VENV_STAMP := $(VENV)/.installed
REQUIREMENTS := tools/requirements.txt tools/requirements-models.txt

.PHONY: env zoo

env: $(VENV_STAMP)

$(VENV_STAMP): $(REQUIREMENTS) tools/make_env.sh
	bash tools/make_env.sh "$(PYTHON)" $(VENV)
	touch $@

zoo: $(VENV_STAMP)
	$(VENV_PYTHON) tools/zoo.py
