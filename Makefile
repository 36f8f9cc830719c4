# Everything a developer or a CI job runs. `make` or `make help` lists the targets.

PYTHON ?= python3
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
# Network namespaces and nftables need root; elsewhere the same commands run through sudo.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E env "PATH=$(PATH)")
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
RUST_SOURCES := Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)
FUZZ_TARGETS := $(basename $(notdir $(wildcard tests/fuzz/targets/*.rs)))
FUZZ_SECONDS ?= 20
PYTEST_OPTIONS ?=

export CARGO_TERM_QUIET ?= true
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help:  ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.system: .ci/system-packages
	@PYTHON="$(PYTHON)" .ci/system-packages
	@mkdir -p $(VENV) && touch $@

$(VENV)/.test-system: .ci/system-packages
	@PYTHON="$(PYTHON)" .ci/system-packages tests
	@mkdir -p $(VENV) && touch $@

$(VENV)/.requirements: $(VENV)/.system .ci/requirements.lock
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --require-hashes -r .ci/requirements.lock
	@touch $@

$(VENV)/.extension: $(VENV)/.requirements pyproject.toml $(RUST_SOURCES)
	@PIP_QUIET=1 VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/maturin develop --release --locked --quiet
	@touch $@

.PHONY: install
install: $(VENV)/.extension  ## Install kpx and its tools into .venv, and what they need from the system through apt

.PHONY: format
format: $(VENV)/.requirements  ## Format the Rust and the Python code
	@cargo fmt --all
	@cargo fmt --manifest-path tests/fuzz/Cargo.toml
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

.PHONY: lint
lint: install  ## Check formats, lints, types, stubs, layers and workflows
	cargo fmt --all --check
	cargo fmt --manifest-path tests/fuzz/Cargo.toml --check
	cargo metadata --quiet --locked --format-version 1 --manifest-path tests/fuzz/Cargo.toml >/dev/null
	cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy --strict python/kpx tests bench .ci
	$(BIN)/python -m mypy.stubtest kpx._core
	$(BIN)/lint-imports
	$(BIN)/python .ci/check_workflows.py

.PHONY: test
test: test-rust test-python test-ipvs fuzz  ## Run every test: Rust, Python, real packets, IPVS in guests, and each fuzz target for a bounded time

.PHONY: test-rust
test-rust: $(VENV)/.test-system  ## Run the Rust tests, those against the kernel among them
	cargo test --locked --workspace --all-features $(if $(AS_ROOT),--config "target.'cfg(unix)'.runner = 'sudo -E'")

.PHONY: test-python
test-python: install $(VENV)/.test-system  ## Run the Python tests, the packet tests in network namespaces among them
	$(AS_ROOT) $(BIN)/python -m pytest -q tests $(PYTEST_OPTIONS)

.PHONY: test-ipvs
test-ipvs: install $(VENV)/.test-system  ## Run the tests of IPVS on Debian's kernels 6.1 and 6.12, booted under QEMU
	$(BIN)/python tests/vm/run.py --suite ipvs

.PHONY: test-long
test-long: install $(VENV)/.test-system  ## Kill the agent a hundred times under load, soak it for ten minutes, and kill it two hundred times over IPVS
	$(AS_ROOT) env KPX_KILLS=100 KPX_SOAK=600 $(BIN)/python -m pytest -q -s tests/netns/test_kills.py tests/netns/test_soak.py
	KPX_KILLS=200 $(BIN)/python tests/vm/run.py --suite ipvs -s tests/netns/ipvs/test_kills.py

.PHONY: test-vm
test-vm: install $(VENV)/.test-system  ## Run all kernel tests on Debian's kernels 6.1 and 6.12, booted under QEMU
	$(BIN)/python tests/vm/run.py

target/deploy/.requirements: tests/deploy/requirements.txt
	@$(PYTHON) -m venv target/deploy
	@target/deploy/bin/pip install --quiet --require-hashes -r $<
	@touch $@

.PHONY: test-deploy
test-deploy: $(VENV)/.test-system target/deploy/.requirements wheel  ## Render the chart and the manifests for real, validate them, and run the wheel of the image
	@target/deploy/bin/python tests/deploy/rendered.py

.PHONY: fuzz
fuzz: $(VENV)/.test-system  ## Run each fuzz target for FUZZ_SECONDS, starting from the seeds checked in
	@cd tests/fuzz && cargo build --locked --release --bins --target $(HOST)
	@cd tests/fuzz && for target in $(FUZZ_TARGETS); do ./run $(HOST) $$target $(FUZZ_SECONDS) || exit 1; done

.PHONY: demo
demo: install  ## Show Services working over a small cluster in network namespaces
	@$(AS_ROOT) $(BIN)/kpx demo

BENCH := $(AS_ROOT) $(BIN)/python -m bench
BENCH_RESULTS := target/bench
# A guest has IPVS, whatever kernel is here, and keeps what it writes to target/guest.
BENCH_IN_GUEST := $(BIN)/python tests/vm/run.py --kernel linux-image-amd64 --command
GUEST_RESULTS := target/guest

.PHONY: bench
bench: install $(VENV)/.test-system  ## Run every benchmark, and write tables, plots and an HTML page into target/bench/full
	$(BENCH) run full --output $(BENCH_RESULTS)/full.json
	$(BENCH_IN_GUEST) "$(BIN)/python -m bench run full-ipvs --output $(GUEST_RESULTS)/full-ipvs.json"
	$(BENCH) report $(BENCH_RESULTS)/full.json $(GUEST_RESULTS)/full-ipvs.json --output $(BENCH_RESULTS)/full
	@$(MAKE) --no-print-directory bench-features

.PHONY: bench-features
bench-features: install $(VENV)/.test-system  ## Run the benchmarks of single features, which have no peer to be compared with
	@$(AS_ROOT) mkdir -p $(BENCH_RESULTS)
	$(AS_ROOT) env KPX_BENCH_FEATURES=$(BENCH_RESULTS)/features.json \
	    $(BIN)/python -m pytest -q -s bench --benchmark-columns=median,rounds $(PYTEST_OPTIONS)

.PHONY: bench-quick
bench-quick: install $(VENV)/.test-system  ## Compare with all peers at small sizes, and assert every ratio that is a target
	$(BENCH) run quick --output $(BENCH_RESULTS)/quick.json
	$(BENCH_IN_GUEST) "$(BIN)/python -m bench run quick-ipvs --output $(GUEST_RESULTS)/quick-ipvs.json"
	@$(BIN)/python -m bench show $(BENCH_RESULTS)/quick.json $(GUEST_RESULTS)/quick-ipvs.json

RUN ?= quick
.PHONY: bench-docs
bench-docs: install  ## Write the figures of the last bench-quick, or with RUN=full of the last bench, into README.md and bench/README.md
	@$(BIN)/python -m bench document $(BENCH_RESULTS)/$(RUN).json $(GUEST_RESULTS)/$(RUN)-ipvs.json \
	    $(addprefix --features ,$(wildcard $(BENCH_RESULTS)/features.json))

# The base is built like this tree, and measured by the suite of this tree.
BASE ?= main
.PHONY: bench-compare
bench-compare: install $(VENV)/.test-system  ## Measure the commit BASE and this tree in turn; fail where this one is worse than its bound
	@$(AS_ROOT) rm -rf $(BENCH_RESULTS)/base && git worktree prune
	@git worktree add --quiet --detach $(BENCH_RESULTS)/base $(BASE)
	@$(MAKE) --no-print-directory -C $(BENCH_RESULTS)/base install
	@for round in 1 2; do \
	    $(AS_ROOT) $(BENCH_RESULTS)/base/.venv/bin/python -m bench run compare --output $(BENCH_RESULTS)/base-$$round.json || exit 1; \
	    $(BENCH) run compare --output $(BENCH_RESULTS)/head-$$round.json || exit 1; \
	done
	@$(BIN)/python -m bench compare --output $(BENCH_RESULTS)/comparison.md \
	    $(foreach round,1 2,--base $(BENCH_RESULTS)/base-$(round).json --head $(BENCH_RESULTS)/head-$(round).json)

.PHONY: wheel
wheel: $(VENV)/.requirements  ## Build a wheel into dist/ and run it from a venv of its own
	@$(BIN)/maturin build --release --locked --quiet --out dist
	@rm -rf target/wheel-smoke && $(PYTHON) -m venv target/wheel-smoke
	@target/wheel-smoke/bin/pip install --quiet dist/kpx-*.whl
	@target/wheel-smoke/bin/kpx version

.PHONY: audit
audit: target/tools/bin/cargo-deny  ## Check licences, sources and known vulnerabilities of the Rust dependencies
	@target/tools/bin/cargo-deny --log-level warn check

target/tools/bin/cargo-deny:
	@cargo install --quiet --locked --root target/tools cargo-deny

.PHONY: ci
ci: lint test  ## What every change must pass

.PHONY: clean
clean:  ## Remove everything the other targets made
	@rm -rf $(VENV) dist target tests/fuzz/target .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .import_linter_cache
