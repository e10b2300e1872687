#!/bin/sh
# SPDX-License-Identifier: MIT
# Batch sizes need not be counted by hand.
. "${0%/*}/prelude.sh"
small_text
run 0 assemble small.txt -o small.trace
sed 's/ size=.*//' small.txt >unsized.txt
run 0 assemble unsized.txt -o unsized.trace
same unsized.trace small.trace
sed 's/size=.*/size=1/' small.txt >wrong.txt
run 0 assemble --sizes wrong.txt -o right.trace
same right.trace small.trace
run 0 assemble wrong.txt -o wrong.trace
run 0 raw wrong.trace
same out wrong.txt
