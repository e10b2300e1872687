#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Where tests run stele record: a directory of its own, and what is to be expected there."""
import glob
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.tap import Skip, check, equal  # noqa: E402

STELE = os.path.abspath(sys.argv[1])
ENV = {k: v for k, v in os.environ.items() if not k.startswith("STELE_") or k.endswith("_MODULE")}


# Executes a program that may not make one system call; 77: that cannot be arranged.
FORBID = r"""
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_CALL, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ERROR),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

	if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, 2, &program))
		return 77;
	execv(argv[1], argv + 1);
	return 77;
}
"""


class Place:
    """A directory of its own, and what was run in it."""

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="stele-record-")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.directory, name)

    def record(self, *args, env=None, **more):
        """Runs stele record with these arguments."""
        settings = {"capture_output": True, "text": True, "timeout": 60}
        settings.update(more)
        return subprocess.run([STELE, "record", *args], cwd=self.directory,
                              env={**ENV, **(env or {})}, check=False, **settings)

    def start(self, *args, env=None, **more):
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        settings.update(more)
        return subprocess.Popen([STELE, "record", *args], cwd=self.directory,
                                env={**ENV, **(env or {})}, **settings)

    def traces(self):
        return sorted(os.path.basename(p) for p in glob.glob(self.path("*.trace")))

    def valid(self, name):
        """The trace is complete and no reader's rule is broken."""
        result = subprocess.run([STELE, "check", self.path(name)], capture_output=True, text=True,
                                timeout=60, check=False)
        equal(result.returncode, 0, f"stele check {name}: {result.stdout}{result.stderr}")

    def forbidding(self, call, error):
        """A program that executes another one, in which this system call fails so."""
        return self.path(self.compile("forbid", FORBID, f"-DSYS_CALL=SYS_{call}",
                                      f"-DERROR={error}"))

    def compile(self, name, source, *flags, compiler="cc"):
        if not shutil.which(compiler):
            raise Skip(f"there is no {compiler}")
        pathlib.Path(self.path("source.c")).write_text(source, encoding="utf-8")
        made = subprocess.run([compiler, "-o", self.path(name), self.path("source.c"), *flags],
                              capture_output=True, check=False)
        if made.returncode != 0:
            raise Skip(f"{compiler} {' '.join(flags)} does not work here")
        return "./" + name


def says(result, *parts):
    for part in parts:
        check(part in result.stderr, f"not said: {part!r} in {result.stderr!r}")


def wait_for(condition, what):
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError(f"never: {what}")
