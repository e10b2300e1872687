#!/bin/sh
# SPDX-License-Identifier: MIT
# A trace is printed entry by entry; from a file, a pipe and a redirection alike.
. "${0%/*}/prelude.sh"
small_text
run 0 assemble small.txt -o small.trace
run 0 raw small.trace
same out small.txt
is_empty err
# shellcheck disable=SC2002 # it shall be a pipe
cat small.trace | "$STELE" raw - >piped || fail "from a pipe"
same piped small.txt
"$STELE" raw - <small.trace >redirected || fail "from a redirection"
same redirected small.txt
