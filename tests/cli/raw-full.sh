#!/bin/sh
# SPDX-License-Identifier: MIT
# A full disk under the output is a failure with status 5.
. "${0%/*}/prelude.sh"
[ -c /dev/full ] || { echo "SKIP: there is no /dev/full"; exit 77; }
small_text
run 0 assemble small.txt -o small.trace
"$STELE" raw small.trace >/dev/full 2>err
[ $? -eq 5 ] || fail "raw to a full disk"
says err "cannot write standard output: No space left on device"
run 5 assemble small.txt -o /dev/full
says err "cannot write /dev/full: No space left on device"
