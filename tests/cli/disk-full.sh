#!/bin/sh
# SPDX-License-Identifier: MIT
# Where there is no room for a new file nothing is left of it; an old one is not removed.
. "${0%/*}/prelude.sh"
{
	echo "Trace Go1.23
EventBatch gen=1 m=77 time=1000
ProcStatus dt=1 p=0 pstatus=1
GoStatus dt=1 g=1 m=77 gstatus=2"
	awk 'BEGIN {
		for (i = 1; i <= 9000; i++) {
			print "HeapAlloc dt=" 900 + i " heapalloc_value=" i * 99991
			if (i % 3000 == 0)
				print "EventBatch gen=1 m=77 time=" i * 10000
		}
	}'
	echo "EventBatch gen=1 m=18446744073709551615 time=1000
Frequency freq=1000000000"
} >big.txt
run 0 assemble --sizes -o big big.txt
touch old
trap '' XFSZ 2>/dev/null || { echo "SKIP: the shell has no XFSZ"; exit 77; }
ulimit -f 16
for command in 'cut --from=0 --to=1s' 'export --to=perfetto' 'export --to=chrome' \
	'export --to=sqlite' symbolize 'anonymize --map=map'; do
	# shellcheck disable=SC2086 # the options are words
	run 5 $command -o new big
	says err "cannot write new: "
	[ ! -e new ] || fail "stele $command left a part of its output"
	# shellcheck disable=SC2086
	run 5 $command -f -o old big
	[ -e old ] || fail "stele $command removed what it was to write over"
	rm -f map
done
