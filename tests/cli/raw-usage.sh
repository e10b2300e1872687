#!/bin/sh
# SPDX-License-Identifier: MIT
# Help goes to standard output; wrong usage is told with status 2.
. "${0%/*}/prelude.sh"
run 0 raw --help
says out "usage: stele raw"
says out "--exact"
is_empty err
run 2 raw
says err "one file is needed"
says err "stele raw --help"
run 2 raw a b
run 2 raw --wrong a
says err "unknown option '--wrong'"
run 2 raw -x a
says err "unknown option '-x'"
