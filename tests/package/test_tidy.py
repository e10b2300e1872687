#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each rule of tidy.py fires on a seeded violation and leaves clean files alone."""
import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "support"), str(ROOT / "tools")]
import tidy  # noqa: E402
from tap import case, equal, run  # noqa: E402

SPDX = "/* SPDX-License-Identifier: MIT */\n"
CLEAN = SPDX + """int twice(int a)
{
	if (a < 0)
		goto out;
	switch (a) {
	case 1:
	default:
		a *= 2;
	}
out:
	return a;
}
"""


def rules(files):
    """The names of the rules that a tree of these files breaks."""
    with tempfile.TemporaryDirectory() as name:
        for path, text in files.items():
            target = pathlib.Path(name, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        return sorted({line.split(": ")[1] for line in tidy.violations(name)})


def body(lines):
    return SPDX + "void f(void)\n{\n" + lines + "}\n"


SEEDED = [
    ("unfinished", "/* TODO: later */\n"),
    ("unfinished", "/* not implemented */\n"),
    ("place", "/* see /work/x */\n"),
    ("place", "/* see /root/x */\n"),
    ("typedef", "typedef struct ring ring_t;\n"),
    ("unsafe", "char *p = strcpy(a, b);\n"),
    ("unsafe", "void *p = alloca(8);\n"),
    ("fence", "#define F() __atomic_thread_fence(__ATOMIC_SEQ_CST)\n"),
    ("assert", "#include <assert.h>\n"),
    ("reserved", "#define _STELE_RING_H\n"),
    ("trailing", "int a; \n"),
    ("columns", "int " + "a" * 97 + ";\n"),
    ("file-size", "int a;\n" * 1000),
]


@case
def tidy_accepts_the_tree():
    equal(list(tidy.violations(ROOT)), [])


@case
def tidy_accepts_clean_file():
    equal(rules({"src/a/clean.c": CLEAN, "src/a/clean.h": SPDX, "README.md": "x\n"}), [])


def seed(number, rule, text):
    def test():
        equal(rules({"src/a/seeded.c": SPDX + text}), [rule])
    test.__name__ = f"tidy_finds_{rule.replace('-', '_')}_{number}"
    case(test)


for index, (seeded_rule, seeded_text) in enumerate(SEEDED):
    seed(index, seeded_rule, seeded_text)


@case
def tidy_finds_missing_spdx_in_each_kind():
    for name in ("a.c", "a.h", "a.def", "a.py", "a.sh", "meson.build", "a.ini"):
        equal(rules({name: "\n"}), ["spdx"], name)


@case
def tidy_finds_long_function_only_above_the_limit():
    equal(rules({"a.c": body("\tg();\n" * 70)}), [])
    equal(rules({"a.c": body("\tg();\n" * 71)}), ["function-size"])


@case
def tidy_finds_backward_goto():
    equal(rules({"a.c": body("again:\n\tif (g())\n\t\tgoto again;\n")}), ["goto"])


@case
def tidy_finds_missing_newline():
    equal(rules({"a.c": SPDX + "int a;"}), ["newline"])


@case
def tidy_finds_same_name_twice():
    equal(rules({"src/a/ring.c": SPDX, "src/b/ring.c": SPDX}), ["unique-name"])


@case
def tidy_finds_upper_case_name():
    equal(rules({"src/a/Ring.c": SPDX}), ["lower-case"])


run()
