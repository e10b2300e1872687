#!/bin/sh
# SPDX-License-Identifier: MIT
# A file that grows is followed to the recorder's end mark; a signal ends it, too, without a word.
. "${0%/*}/prelude.sh"
small_text
cat >>small.txt <<END
ExperimentalBatch exp=1 gen=1 m=18446744073709551615 time=1003
	data="S\x01\x08\x02\x01\x00\x09\x03\x09\x02\x01"
END
run 0 assemble small.txt -o whole.trace
bytes=$(wc -c <whole.trace)
[ "$bytes" -gt 60 ] || fail "the trace is too small to be cut"
run 0 events whole.trace
cp out want

head -c $((bytes - 30)) whole.trace >growing.trace
"$STELE" events --follow growing.trace >got 2>err &
reader=$!
sleep 0.3
kill -0 $reader 2>/dev/null || fail "it did not wait"
tail -c 30 whole.trace | head -c 20 >>growing.trace
sleep 0.3
tail -c 10 whole.trace >>growing.trace
wait $reader || fail "status $?"
same got want
is_empty err

head -c $((bytes - 30)) whole.trace >cut.trace
"$STELE" events --follow cut.trace >got 2>err &
reader=$!
sleep 0.3
kill -INT $reader 2>/dev/null || kill -TERM $reader
wait $reader || fail "status $? after a signal"
is_empty err

gzip -c whole.trace >whole.gz 2>/dev/null || exit 0
run 2 events --follow whole.gz
says err "cannot be followed"
