#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""System calls are told with the file, the address and the result that they had.

usage: test_descriptors.py STELE DESCRIPTORS
"""
import errno
import json
import os
import subprocess
import sys

import place
from support.tap import Skip, case, check, equal, run

PROGRAM = os.path.abspath(sys.argv[2])


class Recorded:
    """What a recording of the program says, by what calls were for."""

    def __init__(self, *options, pause=None, cut=None):
        with place.Place() as p:
            self.folder = os.path.realpath(p.directory)
            done = p.record("-o", "%p.trace", *options, "--", PROGRAM, p.directory,
                            *([str(pause)] if pause else []))
            equal(done.returncode, 0, done.stderr)
            self.port = int(done.stdout.split()[1])
            for trace in p.traces():
                p.valid(trace)
            answers = [self.report(p.path(trace), cut) for trace in p.traces()]
            self.listed = [pair for trace in p.traces() for pair in self.listing(p.path(trace))]
        answers.sort(key=lambda answer: -answer["trust"]["events"])
        self.files = [self.table(answer) for answer in answers]
        self.calls = {row["name"]: row["count"] for row in answers[0]["calls"]["top"]}

    @staticmethod
    def report(trace, cut):
        if cut:
            subprocess.run([place.STELE, "cut", "-f", "--from", cut, "-o", trace + ".cut", trace],
                           check=True, capture_output=True)
            trace += ".cut"
        return json.loads(subprocess.run([place.STELE, "report", "--json", trace], check=True,
                                         capture_output=True, text=True).stdout)

    def listing(self, trace):
        """(file, result) of each call, as stele events shows them."""
        out = subprocess.run([place.STELE, "events", "--json", "--kind=StateTransition", trace],
                             check=True, capture_output=True, text=True).stdout
        calls, open_calls = [], {}
        for event in map(json.loads, out.splitlines()[1:]):
            if "fd" in event:
                open_calls[event["thread"]] = event.get("file", "").replace(self.folder + "/", "")
            elif "result" in event and event["thread"] in open_calls:
                calls.append((open_calls.pop(event["thread"]), event["result"]))
        return calls

    def table(self, answer):
        """{"read one": (count, bytes, errors)}"""
        return {row["name"].replace(self.folder + "/", ""):
                (row["count"], row["bytes"], row["errors"]) for row in answer["files"]["top"]}


@case
def a_number_stands_for_what_it_is_at_that_moment():
    files = Recorded().files[0]
    for name, want in {"write one": (2, 10, 1), "write two": (1, 20, 0), "write three": (1, 30, 0),
                       "read two": (1, 1, 0), "read one": (2, 2, 0), "read three": (1, 1, 0),
                       "read kept": (2, 2, 0), "write kept": (1, 3, 0)}.items():
        equal(files.get(name), want, name)


@case
def sockets_are_told_by_their_addresses():
    recorded = Recorded()
    files = recorded.files[0]
    listener = f"127.0.0.1:{recorded.port}"
    equal(files.get(f"accept {listener}"), (1, 0, 0), str(files))
    connects = [name for name in files if name.startswith("connect 127.0.0.1")]
    check(len(connects) == 1 and listener in connects[0], str(connects))
    for call, sums in (("sendto", [(1, 2, 0), (1, 4, 0)]), ("recvfrom", [(1, 2, 0), (1, 4, 0)])):
        # Of the client and of the server: both ends have both addresses.
        got = sorted(v for name, v in files.items() if name.startswith(f"{call} 127.") and
                     listener in name)
        equal(got, sums, call)
        equal(files.get(f"{call} unix:socket"), (2, 6, 0), call)


@case
def events_show_the_file_and_the_result_of_each_call():
    listed = Recorded().listed
    for pair, times in {("one", 10): 1, ("one", 1): 2, ("one", -errno.EBADF): 1, ("two", 1): 1,
                        ("three", 1): 1, ("kept", 1): 2, ("eventfd", 8): 2}.items():
        equal(listed.count(pair), times, f"{pair} in {listed}")


@case
def pipes_and_event_counters_have_no_number_in_their_names():
    files = Recorded().files[0]
    equal([files.get(name) for name in ("write pipe", "read pipe", "write eventfd",
                                        "read eventfd")],
          [(1, 1, 0), (2, 2, 0), (1, 8, 0), (1, 8, 0)])


@case
def a_child_of_a_fork_tells_of_its_own():
    recorded = Recorded("--follow-fork")
    equal(len(recorded.files), 2)
    equal(recorded.files[1], {"write pipe": (1, 2, 0)})


SANDBOX = r"""
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FORBID(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), \
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS)

int main(int argc, char **argv)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		FORBID(SYS_readlinkat), FORBID(SYS_getsockname), FORBID(SYS_getpeername),
#ifdef SYS_readlink
		FORBID(SYS_readlink),
#endif
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	int before = open(argv[0], O_RDONLY), after = open("sandbox", O_RDONLY);
	char byte;

	if (argc > 1 || read(before, &byte, 1) != 1)
		return 1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, 2, &program))
		return 77;
	return read(after, &byte, 1) == 1 && read(before, &byte, 1) == 1 ? 0 : 1;
}
"""


@case
def nothing_is_looked_up_where_a_program_forbids_itself_system_calls():
    with place.Place() as p:
        p.compile("sandbox", SANDBOX)
        done = p.record("-o", "t.trace", "--", p.path("sandbox"))
        if done.returncode == 77:
            raise Skip("filters of system calls cannot be set here")
        equal(done.returncode, 0, done.stderr)
        report = json.loads(subprocess.run([place.STELE, "report", "--json", p.path("t.trace")],
                                           check=True, capture_output=True, text=True).stdout)
        equal([(row["name"].endswith("/sandbox"), row["count"]) for row in report["files"]["top"]],
              [(True, 2)])
        equal([(row["name"], row["count"]) for row in report["calls"]["top"]], [("read", 3)])


@case
def without_arguments_there_are_calls_and_no_names():
    recorded = Recorded("--no-args")
    equal(recorded.files[0], {})
    check(recorded.calls["read"] >= 8, str(recorded.calls))
    recorded = Recorded("--events=lock")
    equal((recorded.files[0], recorded.calls), ({}, {}))


@case
def names_last_over_generations_and_into_a_cut():
    recorded = Recorded("--generation=20ms", pause=100)
    equal(recorded.files[0].get("read kept"), (2, 2, 0))
    recorded = Recorded("--generation=20ms", pause=100, cut="80ms")
    equal(recorded.files[0].get("read kept"), (1, 1, 0))



RESOLVER = r"""
#include <netdb.h>
#include <stddef.h>

__attribute__((noinline)) static int look_up(void)
{
	struct addrinfo *found = NULL;
	int error = getaddrinfo("localhost", "http", NULL, &found);

	if (!error)
		freeaddrinfo(found);
	return error;
}

int main(void)
{
	return look_up() || !gethostbyname("localhost");
}
"""


@case
def looking_up_a_host_is_a_wait_for_the_network():
    """By calls within libc, which nobody sees: a server that does not answer would be no reason."""
    with place.Place() as p:
        program = p.compile("resolver", RESOLVER, "-O1", "-g")
        done = p.record("-o", "x.trace", "--", program)
        if done.returncode == 1:
            raise Skip("this machine does not know localhost")
        equal(done.returncode, 0, done.stderr)
        p.valid("x.trace")
        waits = Recorded.report(p.path("x.trace"), None)["waits"]["top"]
        places = sorted(row["stack"][0]["function"] for row in waits if row["reason"] == "network")
        equal(places, ["look_up", "main"])



STREAMS = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES 2000 /* of 10 bytes: five buffers of 4096 */

static FILE *opened(const char *name, const char *how)
{
	FILE *f = fopen(name, how);

	if (!f)
		exit(2);
	setvbuf(f, NULL, _IOFBF, 4096);
	return f;
}

static void write_all(const char *name, int how)
{
	FILE *f = opened(name, "w");

	for (int i = 0; i < LINES; i++)
		if (how ? fputs("123456789\n", f) < 0 : fwrite("123456789\n", 5, 2, f) != 2)
			exit(3);
	if (fflush(f))
		exit(4);
	fclose(f);
}

static void read_all(const char *name, int how)
{
	FILE *f = opened(name, "r");
	char text[100], *line = NULL;
	size_t room = 0;
	int n = 0, c;

	if (how == 0)
		while (fgets(text, sizeof(text), f))
			n++;
	else if (how == 1)
		while (fread(text, 1, 10, f) == 10)
			n++;
	else if (how == 2)
		while (getline(&line, &room, f) == 10)
			n++;
	else
		while ((c = getc_unlocked(f)) != EOF)
			n += c == '\n';
	if (n != LINES)
		exit(5);
	free(line);
	fclose(f);
}

/* Nobody else's business is touched: streams in memory; several threads with one stream. */
static void *share(void *f)
{
	char text[64];

	for (int i = 0; i < 20000; i++) {
		if (!fgets(text, sizeof(text), f))
			rewind(f);
		ungetc('x', f);
		getc(f);
	}
	return NULL;
}

int main(int count, char **names)
{
	char memory[] = "in memory\n", text[64];
	pthread_t threads[3];
	FILE *f;

	write_all("puts", 1);
	write_all("writes", 0);
	for (int how = 0; how < 4; how++) {
		char name[] = {'r', (char)('0' + how), 0};

		write_all(name, 0);
		read_all(name, how);
	}
	f = opened("printed", "w");
	fprintf(f, "%d", 12345);
	fclose(f);
	f = fmemopen(memory, sizeof(memory), "r");
	if (!fgets(text, sizeof(text), f) || strcmp(text, memory))
		return 6;
	fclose(f);
	f = opened("shared", "w+");
	fputs("some lines\nof text\n", f);
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, share, f);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	fclose(f);
	f = popen("sleep 0.2; echo hi", "r");
	return !fgets(text, sizeof(text), f) || pclose(f);
}
"""


@case
def streams_read_and_write_when_their_buffers_ask_for_it():
    with place.Place() as p:
        program = p.compile("streams", STREAMS, "-O2", "-g", "-pthread")
        done = p.record("-o", "x.trace", "--", program)
        equal(done.returncode, 0, done.stderr)
        p.valid("x.trace")
        answer = Recorded.report(p.path("x.trace"), None)
        folder = os.path.realpath(p.directory) + "/"
        files = {row["name"].replace(folder, ""): (row["count"], row["bytes"])
                 for row in answer["files"]["top"]}
        # 20,000 bytes: four whole buffers and what is left; reading, also once for the end.
        equal([files[f"write {name}"] for name in ("puts", "writes", "r0")], [(5, 20000)] * 3)
        equal([files[f"read r{how}"] for how in range(4)], [(6, 20000)] * 4)
        equal(files["write printed"], (1, 5), "what fclose() finds")
        pipe = next(row for row in answer["files"]["top"] if row["name"] == "read pipe")
        check(pipe["count"] == 1 and pipe["max_ns"] > 150e6, pipe)


run()
