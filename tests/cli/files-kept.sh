#!/bin/sh
# SPDX-License-Identifier: MIT
# An input that is no trace makes no file, and with -f costs none.
. "${0%/*}/prelude.sh"
echo "no trace" >junk
printf 'go 1.21 trace\0\0\0' >old
echo "somebody's" >mine
cp mine kept
for command in 'cut --to=1s' 'export --to=perfetto' 'export --to=pprof' flame symbolize anonymize \
	'anonymize --map=map' 'merge junk' 'export --to=sqlite'; do
	for input in junk old; do
		# shellcheck disable=SC2086 # the options are words
		run 3 $command -o new "$input"
		[ ! -e new ] || fail "stele $command made a file of $input"
		# shellcheck disable=SC2086
		run 3 $command -f -o mine "$input"
		same mine kept
		# shellcheck disable=SC2086
		run 3 $command -o /dev/null "$input"
		[ -c /dev/null ] || fail "stele $command removed /dev/null"
	done
done
[ ! -e map ] || fail "a map of what is no trace"
small_text
run 0 assemble -o whole small.txt
# A database takes the place of a file that is none.
run 0 export --to=sqlite -f -o mine whole
if cmp -s mine kept; then fail "the database was not written"; fi
cp kept mine
# What there is of a trace is written, also where that is damaged.
head -c 40 whole >part
run 3 symbolize -f -o mine part
[ -s mine ] || fail "nothing of a damaged trace was written"
if cmp -s mine kept; then fail "a damaged trace was not written"; fi
