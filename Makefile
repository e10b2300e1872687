# SPDX-License-Identifier: MIT
# Verbs only: meson.build describes the build, tools/ holds what has steps. 'make help' lists them.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
T ?= 60
export DESTDIR

all: $(BUILD)/build.ninja ## build everything into build/ (the program is build/stele)
	ninja -C $(BUILD)

demo: ## set up, build, record a real program, check its trace
	@tools/setup-debian.sh build test && $(MAKE) --no-print-directory all && tools/demo.sh $(BUILD)
check: ## set up, build, run all tests: plain, sanitizers, AArch64
	@tools/setup-debian.sh build test && python3 tools/check.py all
asan tsan cross: ## the tests under ASan and UBSan; under TSan; on AArch64 by qemu-user
	@tools/setup-debian.sh build test && python3 tools/check.py $@
lint: ## formatting, layers, tidiness, shell scripts
	@tools/setup-debian.sh build test && python3 tools/check.py lint
fuzz: ## run each fuzz target for T seconds (T=60)
	@tools/setup-debian.sh build test && python3 tools/fuzz.py $(T)
proof: ## each claim of docs/design/reentrancy.md at length, a line each; about 20 minutes
	@tools/setup-debian.sh build test && python3 tools/proof.py
seed: ## stacks that grow 100,000 times while events are written, under each policy
	@tools/setup-debian.sh build && $(MAKE) --no-print-directory all && \
	python3 tests/stress/test_seed.py $(BUILD)/stele $(BUILD)/tests/stress/seed 110
soak: ## record two allocating threads for T seconds (T=3600 is the claim) with a small buffer, then a ring
	@tools/setup-debian.sh build test && $(MAKE) --no-print-directory all && python3 tools/soak.py $(BUILD) $(T)
	@python3 tools/soak_ring.py $(BUILD) $$(( $(T) / 60 ))
real: ## the whole list of real programs: recorded, with --heap, and their stacks beside libunwind's
	@tools/setup-debian.sh && $(MAKE) --no-print-directory all && status=0; \
	for mode in record heap unwind; do \
		python3 tests/real/real.py $(BUILD) $$mode all || status=1; done; exit $$status
bench: ## peers and Stele side by side
	@tools/setup-debian.sh build test bench && python3 tools/bench.py && \
	python3 tools/bench_heap.py build && python3 tools/bench_read.py build && \
	build/bench/bench_alloc && python3 tools/bench_fiber.py build && \
	python3 tools/bench_report.py build && python3 tools/bench_ring.py build && \
	python3 tools/bench_calls.py build && \
	python3 tools/bench_overhead.py build
format: ## let clang-format-14 lay out the sources
	@tools/setup-debian.sh test && python3 tools/tidy.py --format
install: ## install to PREFIX (/usr/local) below DESTDIR
	@python3 tools/install.py install $(BUILD) $(PREFIX)
uninstall: ## remove exactly what install wrote to PREFIX below DESTDIR
	@python3 tools/install.py uninstall $(BUILD) $(PREFIX)
clean: ## remove all build directories
	rm -rf build build-*
help: ## this list
	@sed -n 's/^\([a-z ]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 17

$(BUILD)/build.ninja:
	@tools/setup-debian.sh build
	meson setup $(BUILD)

.PHONY: all demo check asan tsan cross lint fuzz real proof seed soak bench format install uninstall clean help
