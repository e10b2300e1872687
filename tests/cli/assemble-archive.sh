#!/bin/sh
# SPDX-License-Identifier: MIT
# Archives as Go's tests have them: the section 'trace' by itself, others by name.
. "${0%/*}/prelude.sh"
small_text
run 0 assemble small.txt -o small.trace
{
	printf -- '-- expect --\nSUCCESS\n-- trace --\n'
	cat small.txt
	printf -- '-- other --\nTrace Go1.22\nProcStop dt=\n'
} >small.test
run 0 assemble small.test -o archived.trace
same archived.trace small.trace
run 3 assemble --section other small.test -o other.trace
says err "small.test:16: a number"
run 3 assemble --section missing small.test
says err "there is no section 'missing'"
run 3 assemble --section trace small.txt
says err "there is no section 'trace'"
