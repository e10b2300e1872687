#!/bin/bash
# SPDX-License-Identifier: MIT
# The one list of Debian packages, and the way to install those that are missing.
#
# usage: setup-debian.sh [--check] [GROUP…]
#
# Groups: build test real browser bench; without one, build, test and real.
#
# --check prints the missing packages, one a line, and exits 1 if there are any.
set -euo pipefail

packages() {
	case $1 in
	build) echo gcc make meson ninja-build pkg-config python3 libdw-dev libelf-dev libzstd-dev \
		zlib1g-dev libsqlite3-dev ;;
	test) echo git g++ clang clang-format-14 libclang-rt-14-dev shellcheck valgrind strace \
		gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user musl-tools xz-utils \
		libjemalloc2 libtcmalloc-minimal4 libmimalloc2.0 libunwind-dev liburing-dev perl \
		lua5.4 spin dwz ;;
	real) echo xz-utils zstd sqlite3 redis-server redis-tools nginx git postgresql stress-ng ;;
	browser) echo chromium chromium-driver ;;
	bench) echo lttng-tools liblttng-ust-dev babeltrace2 heaptrack libmimalloc2.0 wrk \
		redis-server redis-tools nginx libboost-context-dev g++ ;;
	*) fail "there is no group '$1'; the groups are build, test, real, browser and bench" ;;
	esac
}

fail() {
	echo "setup-debian.sh: $*" >&2
	exit 1
}

# A package counts as there only if dpkg has finished with it.
missing() {
	local name
	for name in "$@"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null) == installed ]] ||
			echo "$name"
	done
}

# Servers are wanted as programs, not as services: while packages are installed, a policy-rc.d
# forbids to start any. One that is there already is somebody else's decision and stays.
policy=/usr/sbin/policy-rc.d
install_packages() {
	local sudo=()
	if [[ $(id -u) != 0 ]]; then
		command -v sudo >/dev/null ||
			fail "missing: $* (neither root nor sudo is at hand to install them)"
		sudo=(sudo)
	fi
	echo "installing: $*" >&2
	if [[ ! -e $policy ]]; then
		printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null
		"${sudo[@]}" chmod 755 $policy
		# shellcheck disable=SC2064  # sudo[@] is to be expanded now
		trap "${sudo[*]} rm -f $policy" EXIT
	fi
	# Lists that are absent or old give 404s: ask once, then install.
	"${sudo[@]}" apt-get update -qq >&2 ||
		echo "setup-debian.sh: apt-get update failed; the lists that are there must do" >&2
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
		--no-install-recommends -o Dpkg::Use-Pty=0 "$@" </dev/null >&2 ||
		fail "apt-get could not install: $*"
	disable_services "$@"
}

# What was just installed for us alone does not start at the next boot either.
disable_services() {
	local name
	command -v systemctl >/dev/null || return 0
	for name in redis-server nginx lttng-tools; do
		[[ " $* " == *" $name "* ]] || continue
		name=${name/lttng-tools/lttng-sessiond}
		"${sudo[@]}" systemctl disable --quiet "$name" 2>/dev/null || true
	done
}

main() {
	local check=no groups=() names=() absent=()
	while (($#)); do
		case $1 in
		--check) check=yes ;;
		-*) fail "usage: setup-debian.sh [--check] [build|test|real|browser|bench]…" ;;
		*) groups+=("$1") ;;
		esac
		shift
	done
	((${#groups[@]})) || groups=(build test real)
	local group list
	for group in "${groups[@]}"; do
		list=$(packages "$group")
		read -ra list <<<"$list"
		names+=("${list[@]}")
	done
	if ! command -v dpkg-query >/dev/null; then
		[[ $check == yes ]] && exit 0
		fail "this is not a Debian system; install the equivalents of: ${names[*]}"
	fi
	mapfile -t absent < <(missing "${names[@]}" | sort -u)
	((${#absent[@]})) || exit 0
	if [[ $check == yes ]]; then
		printf '%s\n' "${absent[@]}"
		exit 1
	fi
	install_packages "${absent[@]}"
}

main "$@"
