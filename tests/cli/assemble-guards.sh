#!/bin/sh
# SPDX-License-Identifier: MIT
# What exists is overwritten only with -f, the input never; the file is its owner's alone.
. "${0%/*}/prelude.sh"
small_text
umask 0
run 0 assemble -o new.trace small.txt
[ "$(stat -c %a new.trace)" = 600 ] || fail "mode is $(stat -c %a new.trace)"
cp new.trace kept.trace
run 2 assemble -o new.trace small.txt
says err "new.trace exists; -f overwrites it"
same new.trace kept.trace
printf 'much longer than what is to be written: %0200d' 0 >old.trace
run 0 assemble -f -o old.trace small.txt
same old.trace kept.trace
cp small.txt copy.txt
run 2 assemble -f -o small.txt small.txt
says err "small.txt is the input"
same small.txt copy.txt
run 5 assemble -o missing/x.trace small.txt
says err "cannot write missing/x.trace: No such file"
# Devices and pipes are not files that could be lost.
run 0 assemble -o /dev/null small.txt
