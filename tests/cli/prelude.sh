# SPDX-License-Identifier: MIT
# For the tests of the commands: `. "${0%/*}/prelude.sh"`. STELE names the program. Each test runs
# in an empty folder of its own, and the first expectation that does not hold ends it.
# shellcheck shell=sh
set -u
case $STELE in
/*) ;;
*) STELE=$PWD/$STELE ;;
esac
# shellcheck disable=SC2034 # used by tests
here=$(cd "${0%/*}" && pwd)
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
trap 'exit 99' HUP INT TERM
cd "$folder" || exit 99

fail()
{
	echo "FAILED: $*"
	for log in out err; do
		[ ! -s "$log" ] || { echo "--- $log"; head -n 40 "$log"; }
	done
	exit 1
}

# run STATUS ARGUMENT…: stele with these arguments ends with this status; output in files out, err
run()
{
	expected=$1
	shift
	"$STELE" "$@" >out 2>err </dev/null
	status=$?
	[ "$status" -eq "$expected" ] || fail "stele $*: status $status, not $expected"
}

# says FILE TEXT: the file has a line with this text
says()
{
	grep -qF -e "$2" "$1" || fail "$1 does not say '$2'"
}

# same FILE FILE
same()
{
	cmp -s "$1" "$2" || fail "$1 and $2 differ"
}

# is_empty FILE
is_empty()
{
	[ ! -s "$1" ] || fail "$1 is not empty"
}

# needs PROGRAM: skips the test without it
needs()
{
	command -v "$1" >/dev/null || { echo "SKIP: $1 is not installed"; exit 77; }
}

# The smallest trace with events; as text in small.txt.
small_text()
{
	cat >small.txt <<END
Trace Go1.23
EventBatch gen=1 m=77 time=1000 size=9
ProcStatus dt=1 p=0 pstatus=1
GoStatus dt=1 g=1 m=77 gstatus=2
EventBatch gen=1 m=18446744073709551615 time=1001 size=5
Frequency freq=15625000
EventBatch gen=1 m=18446744073709551615 time=1002 size=7
Strings
String id=1
	data="f.c"
END
}
