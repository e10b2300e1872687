#!/bin/sh
# SPDX-License-Identifier: MIT
# stele info: what it tells of a trace of Go and of one of Stele.
. "${0%/*}/prelude.sh"
small_text
run 0 assemble small.txt -o small.trace
run 0 info small.trace
says out "format        go 1.23"
says out "generations   1 (1-1)"
says out "  StateTransition                 2"
says out "  ProcStatus                      1"
run 0 info --json small.trace
says out '{"schema": 1, "file": "small.trace", "version": 23, "generation_first": 1'
says out '"types": {"ProcStatus": 1, "GoStatus": 1}'
run 0 assemble "$here/../golden/v1/own-data.test" -o own.trace
run 0 info own.trace
says out "by Stele"
says out "program       prog, pid 42"
says out "ending        exit status 0"
says out "lost          7 events"
says out "  ring full, memory events 5"
says out "  events abandoned by their threads               2"
run 4 info --strict own.trace
run 0 info --json own.trace
says out '"lost": {"events": 7, "causes": [{"cause": "ring full", "class": "memory", "events": 5}]'
run 4 check --strict own.trace
head -c 40 small.trace >cut.trace
run 3 info cut.trace
says err "truncated"
run 2 info
run 0 info --help
says out "usage: stele info"
