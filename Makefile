# Needs only a compiler, make and Python 3: what else is missing is installed by the targets themselves.
PYTHON ?= python3
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
VENV_STAMP := $(VENV)/.installed
REQUIREMENTS := tools/requirements.txt tools/requirements-models.txt

.PHONY: env zoo build test-models test-tools bench

env: $(VENV_STAMP)

$(VENV_STAMP): $(REQUIREMENTS) tools/make_env.sh
	bash tools/make_env.sh "$(PYTHON)" $(VENV)
	touch $@

zoo: $(VENV_STAMP)
	$(VENV_PYTHON) tools/zoo.py

# Every model of the zoo through the CLI against ONNX Runtime; VITRIFY names the binary.
VITRIFY ?= build/release/bin/vitrify

build:
	cmake --preset release
	ninja -C build/release

test-models: zoo build
	$(VENV_PYTHON) tools/check_models.py --vitrify $(VITRIFY)

# The comparison itself, on a stand-in with planted faults.
test-tools: $(VENV_STAMP)
	$(VENV_PYTHON) tools/zoo.py repvgg
	$(VENV_PYTHON) tools/check_models_test.py

bench: zoo build
	$(VENV_PYTHON) tools/bench.py --vitrify $(VITRIFY) --output docs/performance.md
