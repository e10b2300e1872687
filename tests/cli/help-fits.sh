#!/bin/sh
# SPDX-License-Identifier: MIT
# Each command has a help that fits a terminal of 92 columns, and says how the command ends.
. "${0%/*}/prelude.sh"
run 0 --help
wide=$(awk 'length($0) > 92' out)
[ -z "$wide" ] || fail "stele --help is too wide: $wide"
commands=$(sed -n 's/^  \([a-z]*\)  .*/\1/p' out | sort -u)
[ "$(echo "$commands" | wc -l)" -ge 20 ] || fail "few commands: $commands"
for command in $commands; do
	run 0 "$command" --help
	says out "usage: stele $command"
	says out "exit status:"
	wide=$(awk 'length($0) > 92' out)
	[ -z "$wide" ] || fail "stele $command --help is too wide: $wide"
done
