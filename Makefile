# SPDX-License-Identifier: Apache-2.0
# Every target works on a fresh clone: it makes .venv, installs what uv.lock names and builds the engine,
# again only when what they are made from has changed.

SHELL       := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-builtin-rules

VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(shell uv --version >/dev/null 2>&1 && echo uv || echo $(BIN)/uv)
CARGO  := cargo
RUST   := --manifest-path rust/Cargo.toml
# Without Python, and in the profile that the extension is built with, so that nothing is compiled twice.
CRATES := $(RUST) --workspace --exclude ikeway-py --release --locked
FUZZ   := --manifest-path rust/fuzz/Cargo.toml
# To look at the fuzz targets takes no libFuzzer, and so no C++ compiler.
UNLINKED := CARGO_TARGET_DIR=rust/target CUSTOM_LIBFUZZER_PATH=rust/target/none
RUST_SOURCES := $(shell find rust -name target -prune -o \( -name '*.rs' -o -name '*.toml' -o -name '*.lock' \) -print 2>/dev/null)
PYTHON_SOURCES := $(shell find src -name "*.py" 2>/dev/null)

# A folder with peer-strongswan and labguest; interop tests skip without it.
export IKEWAY_LAB ?= $(abspath $(wildcard ../shared/lab))
export UV_PROJECT_ENVIRONMENT := $(VENV)

ARGS ?=
FUZZ_SECONDS ?= 60
SEEDS ?= 1000
FIRST_SEED ?= 0

.PHONY: demo
demo: engine  ## two hosts in namespaces, a real tunnel, traffic, a proof from the wire (ARGS=--json)
	@tools/needs demo
	@$(BIN)/ikeway demo $(ARGS)

.PHONY: test
test: engine test-core test-thorough test-rust test-system  ## every test: core first, then all crossings and worlds, Rust, namespaces and real peers

.PHONY: test-core
test-core: engine  ## tests that need no root and no network, in under a minute
	@tools/section "core tests"
	@$(BIN)/pytest -q -m "not system and not interop and not thorough" -n auto $(ARGS)

.PHONY: test-thorough
test-thorough: engine  ## what crosses what, and simulated worlds: many of each
	@tools/section "all crossings, and worlds"
	@$(BIN)/pytest -q -m thorough -n auto $(ARGS)

.PHONY: test-rust
test-rust: engine  ## tests of the packet engine's crates, a short run of their fuzz targets, and all orders of threads
	@tools/section "Rust tests"
	@$(CARGO) test --quiet $(CRATES)
	@tools/fuzz-briefly
	@$(CARGO) run --quiet --release --locked --manifest-path rust/interleavings/Cargo.toml

.PHONY: test-system
test-system: engine  ## tests with namespaces, and with real peers where the lab is there
	@tools/section "system and interop tests"
	@tools/needs test
	@tools/system-tests $(ARGS)

.PHONY: check check-python check-words check-rust check-pages
check: check-python check-words check-rust check-pages  ## format, lint, types, layers, spelling, Rust lints, generated pages

check-python: engine
	@tools/section "Python: format, lint, types, layers"
	@failed=0; for tool in "ruff format --check --quiet ." "ruff check --quiet ." mypy "mypy tools" \
	  "stubtest ikeway._engine" lint-imports; do $(BIN)/$$tool || failed=1; done; exit $$failed

check-words: $(VENV)/.synced
	@tools/section "spelling"
	@git ls-files -z | xargs -0 $(BIN)/codespell

check-rust: engine
	@tools/section "Rust: format, lint, dependencies"
	@$(CARGO) fmt $(RUST) --all --check
	@$(CARGO) clippy --quiet $(RUST) --workspace --all-targets --release --locked -- -D warnings
	@$(UNLINKED) $(CARGO) clippy --quiet $(FUZZ) --release --locked -- -D warnings
	@tools/deny

check-pages: engine
	@tools/section "generated pages"
	@$(BIN)/python tools/conformance.py --check
	@$(BIN)/python tools/tags.py --check
	@$(BIN)/python tools/ike_pages.py --check

.PHONY: bench-ike
bench-ike: engine  ## what a handshake and an IKE SA cost, ours and strongSwan's (root)
	@$(BIN)/python bench/ike.py $(ARGS)

.PHONY: bench-esp
bench-esp: engine  ## throughput, packets a second, delay and CPU: ours, WireGuard's, OpenVPN's, strongSwan's (root)
	@$(BIN)/python bench/esp.py $(ARGS)

.PHONY: bench
bench: engine  ## benchmarks of the ESP engine, and those in bench/
	@$(CARGO) bench $(CRATES) $(ARGS)
	@for script in $(wildcard bench/*.py); do tools/section "$$script"; $(BIN)/python "$$script"; done

.PHONY: simulate
simulate: engine  ## worlds of SEEDS seeds from FIRST_SEED on; a failing one is shrunk and written down
	@PYTHONPATH=tests $(BIN)/python -m world --seeds $(SEEDS) --first $(FIRST_SEED) $(ARGS)

.PHONY: conformance
conformance: engine  ## the checklist with the tests that cover each line; last line `N of 350`
	@$(BIN)/python tools/conformance.py

.PHONY: generate
generate: engine  ## write the pages in docs/ that are made from the code
	@$(BIN)/python tools/conformance.py --write
	@$(BIN)/python -m ikeway.config.reference > docs/reference/configuration.md
	@$(BIN)/python tools/tags.py --write
	@$(BIN)/python tools/ike_pages.py --write

.PHONY: fuzz
fuzz: engine  ## fuzz wire, the state machine and ESP, FUZZ_SECONDS each
	@$(UV) sync --quiet --frozen --inexact --no-install-project --group fuzz
	@tools/fuzz $(FUZZ_SECONDS)

.PHONY: miri
miri:  ## what the ESP crate does without cryptography, under Miri (nightly Rust with its component miri)
	@tools/miri

.PHONY: docs
docs: $(VENV)/.docs  ## build the documentation site into site/
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

.PHONY: clean
clean:  ## remove what these targets made
	rm -rf $(VENV) .build build dist site rust/target src/ikeway/*.so
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find src tests tools -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help
help:  ## this list
	@sed -nE 's/^([a-z-]+):[^#]*##  ?(.*)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

# --- set-up ---------------------------------------------------------------------------------------

.PHONY: engine
engine: $(VENV)/.compiled

$(VENV)/.synced: pyproject.toml uv.lock
	@tools/needs python
	@tools/section "Python environment"
	@$(UV) --version >/dev/null 2>&1 || tools/make-venv $(VENV)
	@$(UV) sync --quiet --frozen --inexact --no-install-project --compile-bytecode
	@touch $@

# The build uses the environment's own maturin, so that nothing outside uv.lock is fetched for it.
$(VENV)/.engine: $(VENV)/.synced $(RUST_SOURCES)
	@tools/needs build
	@tools/section "engine (Rust, release)"
	@MATURIN_PEP517_ARGS="--profile release --locked" PATH="$(abspath $(BIN)):$$PATH" \
	  $(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --reinstall --editable .
	@touch $@

# A daemon starts in a third of the time when nothing has to be compiled, also where the environment
# forbids Python to write bytecode by itself.
$(VENV)/.compiled: $(VENV)/.engine $(PYTHON_SOURCES)
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.docs: $(VENV)/.synced
	@$(UV) sync --quiet --frozen --inexact --no-install-project --group docs
	@touch $@
