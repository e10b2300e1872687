#!/bin/sh
# SPDX-License-Identifier: MIT
# What is asked for is not there: 1; but where only a part could be read, it may be in the rest: 3.
. "${0%/*}/prelude.sh"
small_text
run 0 assemble -o whole small.txt
run 1 why --region=r whole
says err "no region 'r' began in it"
head -c 40 whole >part
run 3 why --region=r part
says err "no region 'r' began in it"
says err "part: truncated"
