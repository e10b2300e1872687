#!/bin/sh
# SPDX-License-Identifier: MIT
# A bad line is told by number, what lies before it is written, the status is 3.
. "${0%/*}/prelude.sh"
printf 'Trace Go1.22\nProcStop dt=7\n\nGoStart dt=1 g=x g_seq=1\n' >bad.txt
run 3 assemble bad.txt -o bad.trace
says err "bad.txt:4: a number from 0 to 18446744073709551615 is needed, found 'x'"
run 0 raw bad.trace
printf 'Trace Go1.22\nProcStop dt=7\n' >expected
same out expected
printf 'Trace Go1.7\n' >version.txt
run 3 assemble version.txt -o version.trace
says err "version.txt:1: the versions are"
[ ! -e version.trace ] || fail "a file was made of nothing"
run 5 assemble missing.txt
