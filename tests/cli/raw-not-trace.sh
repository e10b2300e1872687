#!/bin/sh
# SPDX-License-Identifier: MIT
# Other files, other versions and missing files are told apart.
. "${0%/*}/prelude.sh"
: >empty
run 3 raw empty
says err "empty: not a Go or Stele execution trace"
is_empty out
echo "a text that is longer than a header" >text
run 3 raw text
says err "not a Go or Stele execution trace"
printf 'go 1.21 trace\0\0\0' >old
run 3 raw old
says err "another Go version"
run 5 raw missing
says err "cannot read missing: No such file"
mkdir folder
run 5 raw folder
says err "cannot read folder: Is a directory"
