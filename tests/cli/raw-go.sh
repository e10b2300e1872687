#!/bin/sh
# SPDX-License-Identifier: MIT
# Go's own tool prints the same text, but for the first line.
. "${0%/*}/prelude.sh"
needs go
case $(go version) in
*" go1."[01]* | *" go1.2"[0-4]*) echo "SKIP: $(go version) has no -d=wire"; exit 77 ;;
esac
run 0 assemble "$here/../fuzz/corpus/text/every-kind" -o every.trace
run 0 raw every.trace
tail -n +2 out >ours
go tool trace -d=wire every.trace >gos 2>err || fail "go tool trace"
same ours gos
