# SPDX-License-Identifier: MIT
"""TAP for tests written in Python: decorate cases with @case, end with run()."""
import sys
import traceback

_cases = []


class Skip(Exception):
    """Raised by a case that cannot run here; its text says why."""


def case(function):
    _cases.append(function)
    return function


def check(condition, text="does not hold"):
    if not condition:
        raise AssertionError(text)


def equal(got, want, what="value"):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def run():
    """Runs the cases in order of definition; the exit status says whether all of them passed."""
    print(f"1..{len(_cases)}", flush=True)
    failed = 0
    for number, function in enumerate(_cases, 1):
        name = function.__name__
        try:
            function()
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception as e:  # a case may fail in any way
            failed += 1
            text = str(e) if isinstance(e, AssertionError) else traceback.format_exc()
            for line in text.splitlines():
                print(f"# {line}")
            print(f"not ok {number} - {name}", flush=True)
    sys.exit(1 if failed else 0)
