#!/bin/bash
# SPDX-License-Identifier: MIT
# Records a real program of Debian's with threads, checks the trace, shows what to do next.
#
# usage: demo.sh BUILD
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
trace=demo.trace

# Shows a command and runs it; its output may be redirected, so the showing goes to stderr.
bold='' plain=''
if [[ -t 2 && -z ${NO_COLOR:-} ]]; then
	bold=$'\033[1m' plain=$'\033[0m'
fi
step() {
	printf '\n%s$ %s%s\n' "$bold" "$*" "$plain" >&2
	"$@"
}

# Something to compress: 24 MB, two parts text to one part noise, the same each time.
data=$build/demo-data
if [[ ! -s $data ]]; then
	python3 - "$data" <<-'PYTHON'
		import base64, random, sys
		rng = random.Random(1)
		words = [rng.randbytes(3).hex().encode() for _ in range(4096)]
		with open(sys.argv[1], "wb") as out:
		    while out.tell() < 24 << 20:
		        out.write(b" ".join(rng.choices(words, k=4096)) + b"\n")
		        out.write(base64.encodebytes(rng.randbytes(9000)))
	PYTHON
fi

echo "Stele records a program as it is: here xz, compressing with two threads."
step "$build/stele" record -f -o $trace -- xz -T2 -1 --block-size=2MiB -k -c "$data" >"$data.xz"

# The result is what it would be without Stele.
xz -dc "$data.xz" | cmp - "$data"
echo "The compressed file is sound: it unpacks to what went in."

step "$build/stele" check $trace
step "$build/stele" info $trace

if said=$(python3 tests/oracle/oracle.py "$build" "$trace"); then
	printf '\nGo'\''s own reader (golang.org/x/exp/trace) says:\n%s\n' "$said"
else
	printf '\nGo'\''s own reader was not asked. %s\n' "$said"
fi

cat <<END

Next, look at it:
    go tool trace $trace                   in a browser, with Go's own tool
    $build/stele events $trace | less     one line an event
and record something of yours:
    $build/stele record -- PROGRAM ARGUMENT…
END
