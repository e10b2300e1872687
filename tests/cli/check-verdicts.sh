#!/bin/sh
# SPDX-License-Identifier: MIT
# stele check: verdicts, exit statuses, several files, JSON, stdin and compressed files.
. "${0%/*}/prelude.sh"
small_text
run 0 assemble small.txt -o small.trace
run 0 check small.trace
says out "ok events=4 goroutines=1 procs=1 threads=1 "
is_empty err
run 0 check -q small.trace
is_empty out
run 0 check --json small.trace
says out '{"schema": 1, "file": "small.trace", "verdict": "ok", "diagnostics": []'
says out '"events": 4'
"$STELE" check - <small.trace >out || fail "stdin: status $?"
says out "ok events=4"
head -c 30 small.trace >cut.trace
run 3 check cut.trace
says out "truncated: offset "
says out "read before that: events="
printf 'go 1.27 trace\0\0\0' >new.trace
run 3 check new.trace
says out "unsupported: offset 5"
run 3 check small.txt
says out "not a trace: offset 0"
run 3 check small.trace cut.trace
says out "small.trace: ok events=4"
says out "cut.trace: truncated: "
run 3 check --json cut.trace
says out '"severity": "fatal", "code": -4096, "offset": '
run 5 check missing.trace
says err "missing.trace: No such file"
sed 's/freq=15625000/freq=0/; s/ size=5//' small.txt >zero.txt
run 0 assemble zero.txt -o zero.trace
run 0 check zero.trace
says out "warning: offset "
run 3 check --strict zero.trace
gzip -c small.trace >small.trace.gz
run 0 check small.trace.gz
says out "ok events=4"
if command -v zstd >/dev/null; then
	zstd -q small.trace -o small.trace.zst
	run 0 check small.trace.zst
	says out "ok events=4"
fi
run 2 check
says err "which file?"
run 2 check --wrong small.trace
says err "stele check --help"
run 0 check --help
says out "usage: stele check"
