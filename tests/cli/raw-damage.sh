#!/bin/sh
# SPDX-License-Identifier: MIT
# What lies before the damage is printed; place and cause are told; the exit status is 3.
. "${0%/*}/prelude.sh"
small_text
run 0 assemble small.txt -o small.trace
# The last string is three bytes: without its last one the entry is cut off.
size=$(wc -c <small.trace)
head -c $((size - 1)) small.trace >cut.trace
run 3 raw cut.trace
head -n -2 small.txt >expected
same out expected
says err "cut.trace: byte $((size - 4)): the trace ends in the middle of the String"
says err "that began at byte $((size - 6))"

printf 'go 1.23 trace\0\0\0\13\1\62' >later.trace
run 3 raw later.trace
says out "ProcStop dt=1"
says err "byte 18: Sync needs the header of Go 1.25, this is 1.23"

printf 'go 1.23 trace\0\0\0\13\1\77' >unknown.trace
run 3 raw unknown.trace
says err "byte 18: there is no entry with the number 63"

printf 'go 1.23 trace\0\0\0\10\377\377\377\377\377\377\377\377\377\2' >large.trace
run 3 raw large.trace
says err "byte 17: an integer of the Frequency that began at byte 16 has more than 64 bits"
