# A thin door; the build is CMake's (CMakePresets.json), the work is in scripts/.
.PHONY: help build demo test sanitize bench lint format install clean

help:
	@echo "make build      build/release/m2m (installs missing Debian packages)"
	@echo "make demo       4 given emoji, 8 generated ones, a contact sheet"
	@echo "make test       all tests"
	@echo "make sanitize   unit tests under address, leak and undefined-behaviour sanitizers"
	@echo "make bench      what a step costs on this machine"
	@echo "make lint       layers, limits, exported symbols"
	@echo "make format     clang-format the lines changed since the last commit"
	@echo "make install    into PREFIX (/usr/local), under DESTDIR if set"
	@echo "make clean      remove build/"

build demo test bench:
	@scripts/$@

sanitize:
	@scripts/test --sanitize

lint:
	@tools/lint/lint.sh

format:
	@git clang-format HEAD -- src app include tests

PREFIX ?= /usr/local
# Configured again with the prefix: the library looks for its models below it.
install: build
	@cmake --preset release -DCMAKE_INSTALL_PREFIX=$(abspath $(PREFIX)) >/dev/null
	@cmake --build --preset release
	@cmake --install build/release

clean:
	rm -rf build
