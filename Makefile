# `make demo` and `make test` do all the set-up: what is missing is installed by the targets themselves (Debian
# packages; Python packages into .venv). Needed to begin with: make, bash and a way to become root.
PYTHON ?= python3
VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
VENV_STAMP := $(VENV)/.installed
REQUIREMENTS := tools/requirements.txt tools/requirements-models.txt
PACKAGES_STAMP := build/.packages
VITRIFY ?= build/release/bin/vitrify
JOBS ?= $(shell nproc)
DAMAGE_TESTS := damage_test engine_damage_test wire_test
SANITIZED_CTEST := ASAN_OPTIONS=allocator_may_return_null=1 ctest --output-on-failure -j $(JOBS)
THREAD_TESTS := base_test runtime_test engine_test engine_fuzz_test api_test
space := $(subst ,, )

.PHONY: demo test build configure build-tests env zoo test-cpp test-nodes test-tools test-models test-damage \
        test-sanitizers test-asan test-tsan bench format clean

demo: build $(VENV_STAMP)
	$(VENV_PYTHON) tools/demo.py --vitrify $(VITRIFY)

test: test-cpp test-nodes test-tools test-damage

# The libraries and the CLI.
build: configure
	cmake --build --preset release -j $(JOBS) --target vitrify_cli vitrify_runtime_shared

configure: $(PACKAGES_STAMP)
	@test -f build/release/build.ninja || cmake --preset release

build-tests: configure
	cmake --build --preset release -j $(JOBS)

# Unit tests, one program each.
test-cpp: build-tests $(VENV_STAMP)
	ctest --test-dir build/release --output-on-failure -j $(JOBS) -E '^node_'

# ONNX's own node cases: as they are, and with faults put in.
test-nodes: build-tests $(VENV_STAMP)
	build/release/bin/node_test
	build/release/bin/node_fuzz_test

# Damaged models and engines under AddressSanitizer and UndefinedBehaviorSanitizer, built without optimisation: that
# builds in half of the time.
test-damage: $(PACKAGES_STAMP) $(VENV_STAMP)
	@test -f build/damage/build.ninja || cmake --preset damage
	cmake --build --preset damage -j $(JOBS) --target $(DAMAGE_TESTS)
	$(SANITIZED_CTEST) --test-dir build/damage -R '^($(subst $(space),|,$(DAMAGE_TESTS)))$$'

# All unit tests under both, what runs on threads under ThreadSanitizer.
# Twice as long as `make test`, so apart from it.
test-sanitizers: test-asan test-tsan

test-asan: $(PACKAGES_STAMP) $(VENV_STAMP)
	@test -f build/asan/build.ninja || cmake --preset asan
	cmake --build --preset asan -j $(JOBS)
	$(SANITIZED_CTEST) --test-dir build/asan -E '^node_test$$'

test-tsan: $(PACKAGES_STAMP)
	@test -f build/tsan/build.ninja || cmake --preset tsan
	cmake --build --preset tsan -j $(JOBS) --target $(THREAD_TESTS)
	ctest --test-dir build/tsan --output-on-failure -j $(JOBS) -R '^($(subst $(space),|,$(THREAD_TESTS)))$$'

# The command line from outside, and the model check itself, on a stand-in with planted faults.
test-tools: build $(VENV_STAMP)
	$(VENV_PYTHON) tools/cli_test.py --vitrify $(VITRIFY)
	$(VENV_PYTHON) tools/zoo.py repvgg
	$(VENV_PYTHON) tools/check_models_test.py

# Every model of the zoo through the CLI against ONNX Runtime.
test-models: build zoo
	$(VENV_PYTHON) tools/check_models.py --vitrify $(VITRIFY)

bench: build zoo
	$(VENV_PYTHON) tools/bench.py --vitrify $(VITRIFY) --output docs/performance.md

zoo: $(VENV_STAMP)
	$(VENV_PYTHON) tools/zoo.py

env: $(VENV_STAMP)

$(VENV_STAMP): $(REQUIREMENTS) tools/make_env.sh
	bash tools/make_env.sh "$(PYTHON)" $(VENV)
	touch $@

$(PACKAGES_STAMP): tools/install_packages.sh
	bash tools/install_packages.sh
	mkdir -p build && touch $@

format:
	git ls-files '*.h' '*.hpp' '*.cpp' | xargs clang-format -i

clean:
	rm -rf build
