#!/bin/sh
# SPDX-License-Identifier: MIT
# stele events: formats, filters, frames, and what is printed of a broken trace.
. "${0%/*}/prelude.sh"
cat >log.txt <<'END'
Trace Go1.23
EventBatch gen=1 m=77 time=1000
ProcStatus dt=1 p=0 pstatus=1
GoStatus dt=1 g=1 m=77 gstatus=2
UserLog dt=15625000 task=0 key_string=1 value_string=2 stack=1
EventBatch gen=1 m=78 time=2000
ProcStatus dt=1 p=1 pstatus=2
EventBatch gen=1 m=18446744073709551615 time=1001
Frequency freq=15625000
EventBatch gen=1 m=18446744073709551615 time=1002
Stacks
Stack id=1 nframes=2
	pc=16 func=3 file=2 line=7
	pc=32 func=4 file=2 line=8
EventBatch gen=1 m=18446744073709551615 time=1002
Strings
String id=1
	data="a \"key\""
String id=2
	data="100%, \xff"
String id=3
	data="inner"
String id=4
	data="outer"
END
run 0 assemble log.txt -o log.trace
run 0 events log.trace
says out '1.000000128 m=77 p=0 g=1 Log task=0 "a \"key\"": "100%, \xff" at inner:7'
run 0 events --frames=all log.trace
says out ' at inner:7 < outer:8'
run 0 events --frames=0 log.trace
if grep -q inner out; then fail "frames were printed"; fi
run 0 events --format=reference log.trace
says out 'Log t=1000000128 m=77 p=0 g=1 task=0 category=a%20"key" message=100%25%2C%20%FF stk='
says out ' stk=inner:7@10'
run 0 events --json --frames=2 log.trace
says out '{"schema": 1, "version": 23}'
says out '"task": 0, "name": "a \"key\"", "message": "100%, \ufffd", "stack": ['
says out '[{"pc": 16, "function": "inner", "file": '
run 0 events --kind=Log log.trace
[ "$(wc -l <out)" -eq 1 ] || fail "not one line"
run 0 events --thread=78 log.trace
[ "$(wc -l <out)" -eq 1 ] || fail "not one line"
run 0 events --goroutine=1 log.trace
[ "$(wc -l <out)" -eq 2 ] || fail "not two lines"
run 0 events --from=0.5 --to=2s log.trace
[ "$(wc -l <out)" -eq 2 ] || fail "not the log and the last sync"
run 0 events --to=1ms log.trace
if grep -q Log out; then fail "--to let something pass"; fi
head -c 50 log.trace >cut.trace
run 3 events cut.trace
says out "StateTransition P0 Undetermined->Running"
says err "stele: cut.trace: truncated: "
run 2 events --kind=Nothing log.trace
run 2 events --from=x log.trace
run 2 events
run 2 events log.trace log.trace
run 0 events --help
says out "usage: stele events"
