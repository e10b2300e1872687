#!/bin/sh
# SPDX-License-Identifier: MIT
# With --exact the text gives back every bit, also of integers that are longer than needed.
. "${0%/*}/prelude.sh"
printf 'go 1.26 trace\0\0\0\1\1\1\5\202\200\200\200\200\200\200\200\200\0\13\203\0\64' >long.trace
run 0 raw long.trace
says out "EventBatch gen=1 m=1 time=5 size=2"
run 0 raw --exact long.trace
says out "EventBatch gen=1 m=1 time=5 size=2/10"
says out "ProcStop dt=3/2"
mv out long.txt
run 0 assemble long.txt -o again.trace
same again.trace long.trace
