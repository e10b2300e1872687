#!/bin/sh
# SPDX-License-Identifier: MIT
# Help goes to standard output; wrong usage is told with status 2.
. "${0%/*}/prelude.sh"
run 0 assemble -h
says out "usage: stele assemble"
for option in "-o OUT" "-f " "--sizes" "--section NAME" "--help"; do
	says out "$option"
done
is_empty err
run 2 assemble
says err "one file is needed"
run 2 assemble a -o
says err "'-o' needs a value"
run 2 assemble --wrong a
says err "unknown option '--wrong'"
