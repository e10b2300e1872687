#!/bin/sh
# SPDX-License-Identifier: MIT
# Without -o, or for -, the trace goes to standard output, but not to a terminal.
. "${0%/*}/prelude.sh"
small_text
run 0 assemble small.txt -o small.trace
run 0 assemble small.txt
same out small.trace
"$STELE" assemble - -o - <small.txt >piped || fail "from standard input"
same piped small.trace
needs script
printf '%s\n' "'$STELE' assemble small.txt; echo status \$?" >terminal.sh
script -qec "sh terminal.sh" /dev/null >out 2>err </dev/null
says out "binary data is not written to a terminal"
says out "status 2"
