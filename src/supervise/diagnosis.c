/* SPDX-License-Identifier: MIT */
#include "supervise/diagnosis.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "arena/layout.h"
#include "stele/version.h"
#include "supervise/definitions.h"
#include "supervise/elffile.h"
#include "supervise/locate.h"
#include "supervise/perfswitch.h"
#include "supervise/rendezvous.h"
#include "supervise/target.h"
#include "sys/clock.h"
#include "sys/sys.h"

#define SPACE_LITTLE (UINT64_C(1) << 30)
#define ARENA_BYTES  (UINT64_C(64) << 20)

static struct stele_finding *finding_add(struct stele_finding *findings, size_t *count,
					 enum stele_health health, const char *subject)
{
	struct stele_finding *f = &findings[(*count)++];

	*f = (struct stele_finding){.health = health, .subject = subject};
	return f;
}

static void STELE_PRINTF(2, 3) finding_what(struct stele_finding *f, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(f->what, sizeof(f->what), format, args);
	va_end(args);
}

static void finding_remedy(struct stele_finding *f, const char *text)
{
	snprintf(f->remedy, sizeof(f->remedy), "%s", text);
}

/* The machine --------------------------------------------------------------------------------- */

static void diagnose_modules(struct stele_finding *findings, size_t *count)
{
	char path[PATH_MAX];
	struct stele_finding *f;

	for (unsigned heap = 0; heap < 2; heap++) {
		int r = stele__locate_module(heap, path, sizeof(path));

		f = finding_add(findings, count,
				!r     ? STELE_HEALTH_GOOD
				: heap ? STELE_HEALTH_LESS
				       : STELE_HEALTH_BAD,
				heap ? "heap" : "module");
		if (!r) {
			finding_what(f, "%s", path);
			continue;
		}
		if (r == -EINVAL)
			finding_what(f, "the path of the module holds a blank or a colon, which "
					"LD_PRELOAD cannot express");
		else
			finding_what(f, "the module that %s is not where it was installed",
				     heap ? "records allocations" : "is loaded into programs");
		finding_remedy(f, "install Stele again, or set STELE_PRELOAD_MODULE");
	}
}

static void diagnose_clock(struct stele_finding *findings, size_t *count)
{
	bool counter = stele__clock_counter_usable();
	struct stele_finding *f = finding_add(
		findings, count, counter ? STELE_HEALTH_GOOD : STELE_HEALTH_LESS, "clock");

	if (counter) {
		finding_what(f, "the processor's own counter");
		return;
	}
	finding_what(f, "the kernel does not trust the processor's counter: each event reads the "
			"clock by clock_gettime, which takes some 20 ns more");
	finding_remedy(f, "see 'dmesg | grep -i tsc', and "
			  "/sys/devices/system/clocksource/clocksource0/current_clocksource");
}

static void diagnose_memory(struct stele_finding *findings, size_t *count)
{
	int fd = stele__sys_memfd("stele-doctor");
	int r = fd < 0 ? fd : stele__sys_truncate(fd, ARENA_BYTES), error = 0;
	void *at = r < 0 ? NULL : stele__sys_map_shared(fd, ARENA_BYTES, &error);
	struct stele_finding *f;

	f = finding_add(findings, count, at ? STELE_HEALTH_GOOD : STELE_HEALTH_BAD, "buffer");
	if (at)
		finding_what(f, "64 MiB can be shared with programs");
	else
		finding_what(f, "no memory can be shared with programs: %s",
			     strerror(-(fd < 0	? fd
					: r < 0 ? r
						: error)));
	if (!at)
		finding_remedy(f, "raise the limits of address space and files (ulimit -v, -f), or "
				  "give --buffer-size less");
	if (at)
		stele__sys_unmap(at, ARENA_BYTES);
	if (fd >= 0)
		stele__sys_close(fd);
}

/* The value behind "name:" in the status of a process, 0: this one; -1: there is none. */
static long status_value(int pid, const char *name)
{
	char path[64] = "/proc/self/status", line[256];
	long value = -1;
	FILE *file;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
	file = fopen(path, "re");

	while (file && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			value = strtol(line + strlen(name) + 1, NULL, 10);
	if (file)
		fclose(file);
	return value;
}

static void diagnose_seccomp(struct stele_finding *findings, size_t *count)
{
	bool filtered = status_value(0, "Seccomp") > 0;
	struct stele_finding *f = finding_add(
		findings, count, filtered ? STELE_HEALTH_LESS : STELE_HEALTH_GOOD, "seccomp");

	if (!filtered) {
		finding_what(f, "no filter is in place");
		return;
	}
	finding_what(f, "a filter is in place, as in containers: should it forbid memfd_create, "
			"process_vm_readv or pidfd_open, recording is refused or sees less");
	finding_remedy(f, "if a recording fails, run the container with --security-opt "
			  "seccomp=unconfined");
}

static void diagnose_disk(struct stele_finding *findings, size_t *count)
{
	struct statvfs fs;
	bool known = statvfs(".", &fs) == 0, writable = access(".", W_OK) == 0;
	uint64_t left = known ? (uint64_t)fs.f_bavail * fs.f_frsize : 0;
	bool good = writable && left >= SPACE_LITTLE;
	struct stele_finding *f =
		finding_add(findings, count, good ? STELE_HEALTH_GOOD : STELE_HEALTH_LESS, "disk");

	finding_what(f, "%.1f GiB left in this directory%s", (double)left / (1 << 30),
		     writable ? "" : ", which cannot be written to");
	if (!good)
		finding_remedy(f, "name another place with -o; a busy program fills 5 to 50 MB a "
				  "second");
}

static void diagnose_names(struct stele_finding *findings, size_t *count)
{
	bool servers = getenv("DEBUGINFOD_URLS") && *getenv("DEBUGINFOD_URLS");
	bool packages = access("/usr/lib/debug/.build-id", R_OK) == 0;
	struct stele_finding *f =
		finding_add(findings, count,
			    servers || packages ? STELE_HEALTH_GOOD : STELE_HEALTH_LESS, "names");

	if (servers || packages) {
		finding_what(f, "debugging information is had from %s%s%s",
			     packages ? "/usr/lib/debug" : "", packages && servers ? " and " : "",
			     servers ? "DEBUGINFOD_URLS" : "");
		return;
	}
	finding_what(f, "of stripped programs and libraries only exported names are known");
	finding_remedy(f, "install -dbgsym packages, or set DEBUGINFOD_URLS to your distribution's "
			  "server and run stele symbolize");
}

/* Timers of a thread's running time, which sandboxes may forbid. */
static void diagnose_samples(struct stele_finding *findings, size_t *count)
{
	int timer = stele__sys_cpu_timer(SIGCONT, 1000000000000);
	struct stele_finding *f = finding_add(
		findings, count, timer >= 0 ? STELE_HEALTH_GOOD : STELE_HEALTH_LESS, "samples");

	if (timer >= 0) {
		stele__sys_cpu_timer_delete(timer);
		finding_what(f, "threads are made to tell what they run (--cpu-hz); no right to "
				"perf_event_open or ptrace is needed");
		return;
	}
	finding_what(f,
		     "threads have no timers of their own here (%s): there will be no CPU "
		     "samples",
		     stele_strerror(timer));
	finding_remedy(f, "let the sandbox allow timer_create; waits and calls are recorded all "
			  "the same");
}

/* Context switches, of our own process. */
static void diagnose_switches(struct stele_finding *findings, size_t *count)
{
	struct stele_perfswitch *switches = NULL;
	int error = stele__perfswitch_open(getpid(), &switches);
	struct stele_finding *f = finding_add(
		findings, count, error ? STELE_HEALTH_LESS : STELE_HEALTH_GOOD, "processors");

	stele__perfswitch_close(switches);
	if (!error) {
		finding_what(f, "the kernel tells which threads have a processor "
				"(perf_event_open)");
		return;
	}
	finding_what(f,
		     "the kernel may not tell which threads have a processor (perf_event_open: "
		     "%s): what could run and does not counts as running",
		     stele_strerror(error));
	finding_remedy(f, "sysctl kernel.perf_event_paranoid=2, and let the sandbox allow "
			  "perf_event_open");
}

static void diagnose_stacks(struct stele_finding *findings, size_t *count)
{
	const uint64_t page = 4096;
	int error = 0;
	void *at = stele__sys_map_private(page, &error);
	bool guards = at && stele__sys_guard_install(at, page) == 0;
	struct stele_finding *f = finding_add(
		findings, count, guards ? STELE_HEALTH_GOOD : STELE_HEALTH_LESS, "stacks");

	if (at)
		stele__sys_unmap(at, page);
	finding_what(f, guards ? "fibers' stacks have guard pages that cost no mapping"
			       : "this kernel has no guard pages within a mapping: each stack of "
				 "libstelefiber takes two mappings, of 65,530 that there may be");
	if (!guards)
		finding_remedy(f, "Linux 6.13 has them; or raise vm.max_map_count. Without fibers "
				  "it does not matter");
}

static void diagnose_control(struct stele_finding *findings, size_t *count)
{
	struct stele_rendezvous place;
	int error = stele__rendezvous_list(&place, 1);
	struct stele_finding *f = finding_add(
		findings, count, error >= 0 ? STELE_HEALTH_GOOD : STELE_HEALTH_LESS, "control");

	if (error >= 0) {
		finding_what(f, "recordings can be met while they run: stele status, snapshot, "
				"start, stop");
		return;
	}
	finding_what(f,
		     "the directory of the recorders' sockets cannot be used (%s): stele "
		     "status, snapshot, start and stop will reach nobody",
		     stele_strerror(error));
	finding_remedy(f, "let $XDG_RUNTIME_DIR/stele (or /tmp/stele-UID) be yours alone, mode "
			  "0700");
}

void stele__diagnose_machine(struct stele_finding *ret_findings, size_t *count)
{
	diagnose_modules(ret_findings, count);
	diagnose_memory(ret_findings, count);
	diagnose_clock(ret_findings, count);
	diagnose_seccomp(ret_findings, count);
	diagnose_disk(ret_findings, count);
	diagnose_names(ret_findings, count);
	diagnose_samples(ret_findings, count);
	diagnose_switches(ret_findings, count);
	diagnose_stacks(ret_findings, count);
	diagnose_control(ret_findings, count);
}

/* A program ----------------------------------------------------------------------------------- */

static void diagnose_sanitizer(const struct stele_target *target, struct stele_finding *findings,
			       size_t *count)
{
	struct stele_finding *f;

	if (!target->sanitizer[0])
		return;
	f = finding_add(findings, count, STELE_HEALTH_LESS, "sanitizer");
	finding_what(f,
		     "%s comes first and sees locks before Stele does: what it intercepts itself "
		     "is recorded only where it passes it on, and it allocates by itself",
		     target->sanitizer);
	finding_remedy(f, "build without it for timings; memory is its own business");
}

static bool image_read(const struct stele_target *target, struct stele_elffile *ret_image)
{
	int fd = stele__sys_open_ro(target->image);
	bool good = fd >= 0 && stele__elffile_read(fd, ret_image) == 0;

	if (fd >= 0)
		stele__sys_close(fd);
	return good && ret_image->native;
}

static void diagnose_unwinding(const struct stele_target *target, struct stele_finding *findings,
			       size_t *count)
{
	struct stele_elffile image;
	struct stele_finding *f;

	if (!image_read(target, &image) || image.unwind_data)
		return;
	f = finding_add(findings, count, STELE_HEALTH_LESS, "unwinding");
#if defined(__x86_64__)
	finding_what(f, "it was built without unwind data: stacks go on by its frame pointers, if "
			"it has them, and else end at its innermost function");
	finding_remedy(f, "compile with -fasynchronous-unwind-tables or -fno-omit-frame-pointer");
#else
	finding_what(f, "it was built without unwind data: stacks end at its innermost function");
	finding_remedy(f, "compile with -fasynchronous-unwind-tables");
#endif
}

/* Is its debugging information installed? */
static bool symbols_are_apart(const struct stele_target *target)
{
	char debug[64 + 2 * STELE_BUILD_ID_MAX] = "/usr/lib/debug/.build-id/";
	size_t used = strlen(debug);
	struct stele_elffile image;

	if (!image_read(target, &image))
		return false;
	for (uint32_t i = 0; i < image.build_id_bytes; i++)
		used += (size_t)snprintf(debug + used, sizeof(debug) - used, "%02x%s",
					 image.build_id[i], i ? "" : "/");
	snprintf(debug + used, sizeof(debug) - used, ".debug");
	return image.build_id_bytes && access(debug, R_OK) == 0;
}

static void diagnose_symbols(const struct stele_target *target, struct stele_finding *findings,
			     size_t *count)
{
	struct stele_definitions d;
	struct stele_finding *f;
	bool apart;

	if (stele__definitions_read(target->image, &d) < 0)
		return;
	if (d.malloc) {
		f = finding_add(findings, count, STELE_HEALTH_LESS, "allocator");
		finding_what(f, "it has a malloc of its own, linked into it: --heap sees what "
				"libraries allocate at most");
		finding_remedy(f, "link the allocator as a shared library, or tell of its objects "
				  "with stele/runtime.h");
	}
	apart = !d.lines && symbols_are_apart(target);
	f = finding_add(findings, count,
			d.symbols || d.lines || apart ? STELE_HEALTH_GOOD : STELE_HEALTH_LESS,
			"symbols");
	if (d.lines || apart)
		finding_what(f, "functions and lines are %s",
			     apart ? "in /usr/lib/debug" : "in the program");
	else if (d.symbols)
		finding_what(f, "functions are named, lines are not known");
	else
		finding_what(f, "stripped: functions that are not exported are program+0xOFFSET");
	if (!d.lines && !apart)
		finding_remedy(f, d.symbols ? "compile with -g for lines"
					    : "install its -dbgsym package, or run stele symbolize "
					      "where it is");
}

void stele__diagnose_program(const char *command, const char *search,
			     struct stele_finding *ret_findings, size_t *count)
{
	struct stele_target target;
	struct stele_finding *f;

	stele__target_examine(command, search, &target);
	f = finding_add(ret_findings, count,
			target.verdict == STELE_TARGET_TRACEABLE ? STELE_HEALTH_GOOD
								 : STELE_HEALTH_BAD,
			"program");
	if (target.verdict != STELE_TARGET_TRACEABLE) {
		finding_what(f, "%s", target.sentence);
		if (target.verdict == STELE_TARGET_UNTRACEABLE)
			finding_remedy(f, "it runs, but nothing is recorded; a dynamically linked "
					  "build without privileges can be");
		return;
	}
	finding_what(f, "%s", target.path);
	if (strcmp(target.path, target.image) != 0 && target.image[0]) {
		f = finding_add(ret_findings, count, STELE_HEALTH_GOOD, "image");
		finding_what(f, "it is run by %s", target.image);
	}
	diagnose_sanitizer(&target, ret_findings, count);
	diagnose_symbols(&target, ret_findings, count);
	diagnose_unwinding(&target, ret_findings, count);
}

/* A process ----------------------------------------------------------------------------------- */

static bool process_is_recorded(int pid, struct stele_finding *findings, size_t *count)
{
	struct stele_rendezvous place;
	int fd = stele__rendezvous_connect(pid, &place);
	struct stele_finding *f = finding_add(
		findings, count, fd >= 0 ? STELE_HEALTH_GOOD : STELE_HEALTH_BAD, "recording");

	if (fd >= 0) {
		close(fd);
		finding_what(f, "process %d is being recorded by process %d (stele status %d)",
			     place.program, place.recorder, pid);
		return true;
	}
	finding_what(f, "process %d is not being recorded, and nobody can join it while it runs",
		     pid);
	finding_remedy(f, "start it anew under stele record; with --dormant that costs nearly "
			  "nothing until stele start");
	return false;
}

static void diagnose_rights(int pid, struct stele_finding *findings, size_t *count)
{
	bool filtered = status_value(pid, "Seccomp") > 0;
	bool foreign = status_value(pid, "Uid") != (long)getuid();
	struct stele_finding *f =
		finding_add(findings, count,
			    filtered || foreign ? STELE_HEALTH_LESS : STELE_HEALTH_GOOD, "rights");

	finding_what(f, "%ld threads, %s user%s", status_value(pid, "Threads"),
		     foreign ? "of another" : "of this",
		     filtered ? ", behind a filter of system calls that it has set up: the paths "
				"of descriptors are not looked up there"
			      : "");
	if (foreign)
		finding_remedy(f, "record it as the user that it runs as");
	else if (filtered)
		finding_remedy(f, "see 'seccomp' if a recording fails; waits and calls are "
				  "recorded");
}

bool stele__diagnose_process(int pid, struct stele_finding *ret_findings, size_t *count)
{
	char path[64], program[PATH_MAX];
	ssize_t bytes;

	if (status_value(pid, "Pid") != pid)
		return false;
	process_is_recorded(pid, ret_findings, count);
	diagnose_rights(pid, ret_findings, count);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	bytes = readlink(path, program, sizeof(program) - 1);
	if (bytes > 0) {
		program[bytes] = '\0';
		stele__diagnose_program(program, "", ret_findings, count);
	}
	return true;
}
