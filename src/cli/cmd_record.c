/* SPDX-License-Identifier: MIT */
/* stele record: its command line. What it does is supervise/session.h. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/flightoptions.h"
#include "cli/number.h"
#include "supervise/eventclasses.h"
#include "supervise/session.h"
#include "supervise/summary.h"

_Static_assert((int)STELE_SESSION_FAILED == (int)STELE_EXIT_RECORD_FAILED &&
		       (int)STELE_SESSION_NOT_EXECUTABLE == (int)STELE_EXIT_CANNOT_EXECUTE &&
		       (int)STELE_SESSION_NOT_FOUND == (int)STELE_EXIT_NOT_FOUND,
	       "one meaning each");

#define RECORD_BUFFER_MAX (16ull << 30)

static const char record_help[] =
	"usage: stele record [OPTION…] [--] PROGRAM [ARGUMENT…]\n"
	"\n"
	"Runs PROGRAM and records its threads, locks, waits, system calls and annotations. The\n"
	"trace opens in 'go tool trace' and in everything that reads Go's execution traces.\n"
	"PROGRAM needs no preparation; it must be linked dynamically against glibc. Whatever\n"
	"cannot be recorded runs all the same, with a warning that says why.\n"
	"\n"
	"options:\n"
	"  -o, --output=FILE     where the trace goes; %p stands for PROGRAM's process id, %% for "
	"%\n"
	"                        (default: PROGRAM.PID.trace in the current directory)\n"
	"  -f, --force           replace FILE if it exists\n"
	"      --events=LIST     what to record, separated by commas (default: all)\n"
	"                          sched    threads and their states: always recorded\n"
	"                          lock     waits for mutexes, conditions, semaphores, barriers\n"
	"                          syscall  system calls that may block, with the path or address\n"
	"                                   that each is for\n"
	"                          cpu      samples of what runs between waits and calls\n"
	"                          user     tasks, regions, logs, counters (stele/trace.h)\n"
	"      --heap[=SIZE]     record every allocation and release of memory, too, with its "
	"stack;\n"
	"                        with SIZE (1 to 1G) a sample, one in so many bytes, by which the\n"
	"                        whole can be estimated without bias. Threads then wait when the\n"
	"                        buffer is full, unless --on-full=drop is given\n"
	"      --cpu-hz=N        how often a second of its running each thread tells what it "
	"runs, up\n"
	"                        to 1000 (default: 99; 0: never). It is interrupted by a signal,\n"
	"                        SIGRTMAX-2, of which PROGRAM sees nothing\n"
	"      --switches=WHEN   let the kernel tell which threads have a processor, so that "
	"those\n"
	"                        that could run and do not are no more taken for running, and "
	"what\n"
	"                        blocks without a call is seen:\n"
	"                          auto   if it may be asked (default): perf_event_paranoid of "
	"2\n"
	"                                 or less\n"
	"                          yes    the same, and say if it may not\n"
	"                          no\n"
	"      --no-args         leave out the paths and addresses that system calls are for\n"
	"      --stack-depth=N   frames of each stack that are kept, at most, 0 to 128 (default:\n"
	"                        64); with 0 no stacks are taken, which makes waits cheaper\n"
	"      --generation=TIME how often FILE has a part that stands on its own, 10ms to 60s\n"
	"                        (default: 1s): what was recorded since then is lost when stele "
	"is\n"
	"                        killed. Each part repeats the names and stacks that it uses\n"
	"      --follow-fork     record the processes that PROGRAM gives birth to, too, each in\n"
	"                        a file of its own: FILE must hold %p; with --ring all in one\n"
	"                        snapshot. stele ends when all of them have ended, or with the\n"
	"                        first SIGINT, SIGTERM or SIGHUP after PROGRAM has\n"
	"      --go=VERSION      write for readers of Go 1.23, 1.25 or 1.26 (default: 1.23,\n"
	"                        which newer ones read, too)\n"
	"      --buffer-size=N   shared memory between PROGRAM and the recorder, 1M to 16G\n"
	"                        (default: 64M); only what is used of it takes up memory\n"
	"      --ring=LIMIT      keep only the newest of the trace, in memory: a size (64M), a\n"
	"                        time (30s) or both, and write it as a file when something\n"
	"                        happens or somebody asks: see 'flight recorder' below\n"
	"      --dormant         record nothing but threads until 'stele start PID'\n"
	"      --arena=ARENA     keep that memory in the file ARENA, so that nothing is lost when\n"
	"                        stele is killed, too: 'stele recover ARENA' completes the trace.\n"
	"                        All its space is taken at once; it is removed in the end. FILE\n"
	"                        must be an ordinary file; not with --follow-fork\n"
	"      --on-full=POLICY  when the buffer is full: drop (default) loses and counts events;\n"
	"                        block makes threads wait for room, for a second at most\n"
	"                        (default with --heap)\n"
	"      --reentry=POLICY  what becomes of an event that comes (from a signal handler, an\n"
	"                        allocator's hook) within the writing of another event:\n"
	"                          nest   it is recorded like any other (default)\n"
	"                          flush  the same, and the thread's batch in FILE ends there\n"
	"                          skip   events of memory are dropped and counted\n"
	"                          abort  PROGRAM is ended by SIGABRT, with both events and their\n"
	"                                 stacks on its standard error: for debugging\n"
	"                        All but nest make each event slower.\n"
	"      --strict          exit status 125 if PROGRAM ran, but could not be recorded, or "
	"not\n"
	"                        all of it that was asked for; why is said\n"
	"  -q, --quiet           print errors and warnings only\n"
	"  -v, --verbose         print details of the recording, too\n"
	"  -h, --help            print this\n"
	"\n"
	"flight recorder:\n"
	"  With --ring nothing is written until there is a reason to; then what is kept becomes a\n"
	"  trace like any other, a snapshot, and recording goes on. FILE must hold %n, the number\n"
	"  of the snapshot (default: PROGRAM.PID.%n.trace). A LIMIT of time alone keeps 256M at\n"
	"  most. Snapshots are made by 'stele snapshot PID', by stele_snapshot() in the program,\n"
	"  and by what is chosen here. With --follow-fork LIMIT is for each process, and a\n"
	"  snapshot is one trace of all that are there.\n"
	"\n"
	"      --snapshot-on=LIST  what makes one by itself, separated by commas:\n"
	"                          fail          PROGRAM ends with a status but 0, or is killed:\n"
	"                                        that is always on, but for 'never'. Processes\n"
	"                                        that are followed: SIGSEGV, SIGABRT, SIGKILL\n"
	"                                        and their like end one\n"
	"                          end           it ends, in whatever way\n"
	"                          usr2          SIGUSR2 is sent to stele, which keeps it then\n"
	"                          region:TIME   a region of the program's (stele/trace.h) took\n"
	"                                        longer than TIME\n"
	"                          syscall:TIME  a system call did, but for those that wait for\n"
	"                                        whatever comes: poll, accept, sleep\n"
	"                          lock:TIME     a mutex or read-write lock was waited for for\n"
	"                                        longer, or still is\n"
	"                          blocked:TIME  a thread waited longer for anything but a time\n"
	"                                        that it chose, or the end of another\n"
	"                          rss:SIZE      PROGRAM has more than SIZE in memory\n"
	"      --post-roll=TIME  go on for so long before such a snapshot is made (default: 0)\n"
	"      --snapshot-gap=TIME  after one of these, make none for so long (default: 10s)\n"
	"      --keep=N          remove the oldest snapshots of FILE's name, of this and earlier\n"
	"                        recordings, when there are more than N (default: 10; 0: never)\n"
	"      --max-total=SIZE  the same when all together have more than SIZE (default: 4G)\n"
	"\n"
	"PROGRAM keeps its standard input, output and error, its process group and terminal.\n"
	"Signals sent to stele are passed on to it. Programs that it executes in its place are\n"
	"recorded in the same trace; child processes are counted, not recorded, unless they are\n"
	"followed.\n"
	"\n"
	"exit status:\n"
	"  PROGRAM's own; 128+N if signal N killed it; 125 if stele failed and did not run it,\n"
	"  or could write nothing of its trace; 126 if PROGRAM cannot be executed; 127 if it is\n"
	"  not found.\n"
	"\n"
	"files:\n"
	"  FILE is created with mode 0600 and grows while PROGRAM runs. If it cannot be written\n"
	"  any more (the disk is full), PROGRAM goes on and FILE ends with its last complete "
	"part.\n"
	"\n"
	"environment:\n"
	"  STELE_OPTIONS  options as NAME=VALUE, separated by colons: output, events, go,\n"
	"                 buffer-size, arena, heap, on-full, reentry, stack-depth, generation,\n"
	"                 cpu-hz, switches, ring, snapshot-on, post-roll, snapshot-gap, keep,\n"
	"                 max-total. The command line has the last word. heap= without a SIZE\n"
	"                 records everything.\n"
	"  STELE_DISABLE  if set and neither empty nor 0, PROGRAM runs untraced\n"
	"  STELE_PRELOAD_MODULE  the file of the preload module, if it is not beside stele\n"
	"  NO_COLOR       if set and not empty, the summary has no colours\n"
	"\n"
	"examples:\n"
	"  stele record -- xz -T2 -k big.tar\n"
	"  stele record -f -o server.trace --on-full=block ./server --port 8080\n"
	"  stele record --heap=512K ./server --port 8080\n"
	"  stele record --ring=30s --snapshot-on=lock:100ms,usr2 ./server --port 8080\n"
	"  stele record --events=lock,syscall -o '/tmp/build.%p.trace' make -j4\n";

/* The command line ------------------------------------------------------------------------- */

#define RECORD_HEAP_MAX (1ull << 30)

#define RECORD_DEPTH_MAX      128 /* as the writer has it */
#define RECORD_DEPTH_DEFAULT  64
#define RECORD_CPU_HZ_MAX     1000 /* a kernel's tick, at most */
#define RECORD_CPU_HZ_DEFAULT 99   /* beside whatever the program does 100 times a second */

#define RECORD_GENERATION_MIN 10000000 /* ns */
#define RECORD_GENERATION_MAX 60000000000

/* What --on-full is until somebody says it. */
#define RECORD_ON_FULL_UNSAID UINT32_MAX

struct record {
	struct stele_session_options session;
	bool heap, cpu; /* asked for, whatever --events says */
	bool quiet, strict, no_args;
	bool verbose;
};

struct record_word {
	const char *word;
	uint32_t value;
};

static const struct record_word record_versions[] = {{"1.23", 23}, {"1.25", 25}, {"1.26", 26}};

static const struct record_word record_fulls[] = {{"drop", STELE_ON_FULL_DROP},
						  {"block", STELE_ON_FULL_BLOCK}};

static const struct record_word record_switches[] = {{"auto", STELE_SWITCHES_IF_PERMITTED},
						     {"yes", STELE_SWITCHES_SURELY},
						     {"no", STELE_SWITCHES_NEVER}};

static const struct record_word record_reentries[] = {{"nest", STELE_REENTRY_NEST},
						      {"flush", STELE_REENTRY_FLUSH},
						      {"skip", STELE_REENTRY_SKIP},
						      {"abort", STELE_REENTRY_ABORT}};

static int record_misuse(const char *name, const char *value, const struct record_word *words,
			 size_t count)
{
	char list[128];
	size_t at = 0;

	for (size_t i = 0; i < count && at < sizeof(list); i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, "%s%s",
				       i == 0	       ? ""
				       : i + 1 < count ? ", "
						       : " or ",
				       words[i].word);
	stele__usage_error("record", "--%s=%s: it is one of %s", name, value, list);
	return -EINVAL;
}

/* `length` bytes of text as one of the words. */
static const struct record_word *record_find(const struct record_word *words, size_t count,
					     const char *text, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(words[i].word) == length && !memcmp(words[i].word, text, length))
			return &words[i];
	return NULL;
}

static int record_set_word(const char *name, const char *value, const struct record_word *words,
			   size_t count, uint32_t *ret_value)
{
	const struct record_word *word = record_find(words, count, value, strlen(value));

	if (!word)
		return record_misuse(name, value, words, count);
	*ret_value = word->value;
	return 0;
}

#define RECORD_SET_WORD(name, value, words, ret)                                                   \
	record_set_word(name, value, words, STELE_ARRAY_LENGTH(words), ret)

static int record_set_events(const char *list, uint32_t *ret_events)
{
	if (stele__classes_parse(list, ret_events))
		return 0;
	stele__usage_error("record", "--events=%s: it is one of %s", list, STELE_CLASSES_TEXT);
	return -EINVAL;
}

static int record_set_buffer(const char *value, uint64_t *ret_bytes)
{
	uint64_t bytes;

	if (stele__number_bytes(value, &bytes) < 0 || bytes < STELE_ARENA_BYTES_MIN ||
	    bytes > RECORD_BUFFER_MAX) {
		stele__usage_error("record", "--buffer-size=%s: it is a size from 1M to 16G",
				   value);
		return -EINVAL;
	}
	*ret_bytes = bytes;
	return 0;
}

/* NULL or "": every object. */
static int record_set_heap(const char *value, struct record *record)
{
	uint64_t bytes = 0;

	if (value && *value &&
	    (stele__number_bytes(value, &bytes) < 0 || bytes < 1 || bytes > RECORD_HEAP_MAX)) {
		stele__usage_error("record", "--heap=%s: it is a size from 1 to 1G", value);
		return -EINVAL;
	}
	record->heap = true;
	record->session.heap_sample_bytes = bytes;
	return 0;
}

static int record_set_depth(const char *value, uint32_t *ret_depth)
{
	char *end;
	unsigned long depth = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || depth > RECORD_DEPTH_MAX) {
		stele__usage_error("record", "--stack-depth=%s: it is a number from 0 to %d", value,
				   RECORD_DEPTH_MAX);
		return -EINVAL;
	}
	*ret_depth = (uint32_t)depth;
	return 0;
}

static int record_set_cpu(const char *value, struct record *record)
{
	struct stele_session_options *o = &record->session;
	char *end;
	unsigned long hz = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || hz > RECORD_CPU_HZ_MAX) {
		stele__usage_error("record", "--cpu-hz=%s: it is a number from 0 to %d", value,
				   RECORD_CPU_HZ_MAX);
		return -EINVAL;
	}
	o->cpu_hz = (uint32_t)hz;
	record->cpu = hz > 0;
	return 0;
}

static int record_set_generation(const char *value, uint64_t *ret_ns)
{
	int64_t ns = 0;

	if (!stele__duration_parse(value, &ns) || ns < RECORD_GENERATION_MIN ||
	    ns > RECORD_GENERATION_MAX) {
		stele__usage_error("record", "--generation=%s: it is a time from 10ms to 60s",
				   value);
		return -EINVAL;
	}
	*ret_ns = (uint64_t)ns;
	return 0;
}

static int record_set_arena(const char *value, const char **ret_arena)
{
	if (!*value) {
		stele__usage_error("record", "--arena= names no file");
		return -EINVAL;
	}
	*ret_arena = value;
	return 0;
}

static int record_set_output(const char *value, const char **ret_output)
{
	if (!strcmp(value, "-")) {
		stele__usage_error("record", "the trace cannot go to standard output, which is "
					     "the program's; name a file or a pipe");
		return -EINVAL;
	}
	if (!*value) {
		stele__usage_error("record", "--output= names no file");
		return -EINVAL;
	}
	*ret_output = value;
	return 0;
}

/* One option with a value. -ENOENT: there is none of that name; -EINVAL: said what is wrong. */
static int record_set(struct record *record, const char *name, const char *value)
{
	struct stele_session_options *o = &record->session;
	uint32_t word;
	int error;

	if (!strcmp(name, "output"))
		return record_set_output(value, &o->output);
	if (!strcmp(name, "events"))
		return record_set_events(value, &o->events);
	if (!strcmp(name, "arena"))
		return record_set_arena(value, &o->arena);
	if (!strcmp(name, "buffer-size"))
		return record_set_buffer(value, &o->arena_bytes);
	if (!strcmp(name, "heap"))
		return record_set_heap(value, record);
	if (!strcmp(name, "stack-depth"))
		return record_set_depth(value, &o->stack_frames_max);
	if (!strcmp(name, "cpu-hz"))
		return record_set_cpu(value, record);
	if (!strcmp(name, "generation"))
		return record_set_generation(value, &o->generation_ns);
	if (!strcmp(name, "on-full"))
		return RECORD_SET_WORD(name, value, record_fulls, &o->on_full);
	if (!strcmp(name, "switches"))
		return RECORD_SET_WORD(name, value, record_switches, &o->switches);
	if (!strcmp(name, "reentry"))
		return RECORD_SET_WORD(name, value, record_reentries, &o->reentry);
	if (strcmp(name, "go") != 0)
		return stele__flight_options_set(&o->flight, name, value);
	error = RECORD_SET_WORD(name, value, record_versions, &word);
	if (error == 0)
		o->version = word;
	return error;
}

/* STELE_OPTIONS; `copy` is taken apart and must live as long as the record. */
static int record_read_environment(struct record *record, char *copy)
{
	for (char *item = copy, *next; item; item = next) {
		char *value = strchr(item, '=');
		int error;

		next = strchr(item, ':');
		if (next)
			*next++ = '\0';
		if (!*item)
			continue;
		if (value)
			*value++ = '\0';
		error = value ? record_set(record, item, value) : -ENOENT;
		if (error == -ENOENT)
			stele__complain(
				"STELE_OPTIONS: there is no '%s'; known are output, "
				"events, go, buffer-size, arena, heap, on-full, reentry, "
				"stack-depth, generation, cpu-hz, switches, ring, snapshot-on, "
				"post-roll, "
				"snapshot-gap, keep and max-total",
				item);
		else if (error < 0)
			return error;
	}
	return 0;
}

enum record_option {
	RECORD_VALUE = 256,
	RECORD_FOLLOW,
	RECORD_STRICT,
	RECORD_NO_ARGS,
	RECORD_DORMANT
};

static const struct option record_options[] = {
	{"output", required_argument, NULL, RECORD_VALUE},
	{"events", required_argument, NULL, RECORD_VALUE},
	{"go", required_argument, NULL, RECORD_VALUE},
	{"arena", required_argument, NULL, RECORD_VALUE},
	{"buffer-size", required_argument, NULL, RECORD_VALUE},
	{"heap", optional_argument, NULL, RECORD_VALUE},
	{"on-full", required_argument, NULL, RECORD_VALUE},
	{"reentry", required_argument, NULL, RECORD_VALUE},
	{"stack-depth", required_argument, NULL, RECORD_VALUE},
	{"cpu-hz", required_argument, NULL, RECORD_VALUE},
	{"switches", required_argument, NULL, RECORD_VALUE},
	{"generation", required_argument, NULL, RECORD_VALUE},
	{"ring", required_argument, NULL, RECORD_VALUE},
	{"snapshot-on", required_argument, NULL, RECORD_VALUE},
	{"post-roll", required_argument, NULL, RECORD_VALUE},
	{"snapshot-gap", required_argument, NULL, RECORD_VALUE},
	{"keep", required_argument, NULL, RECORD_VALUE},
	{"max-total", required_argument, NULL, RECORD_VALUE},
	{"follow-fork", no_argument, NULL, RECORD_FOLLOW},
	{"dormant", no_argument, NULL, RECORD_DORMANT},
	{"force", no_argument, NULL, 'f'},
	{"strict", no_argument, NULL, RECORD_STRICT},
	{"no-args", no_argument, NULL, RECORD_NO_ARGS},
	{"quiet", no_argument, NULL, 'q'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* A getopt that failed: says what it met. */
static int record_reject(int argc, char **argv, int option)
{
	const char *word = optind > 0 && optind <= argc ? argv[optind - 1] : "";

	if (option == ':')
		stele__usage_error("record", "option '%s' needs a value", word);
	else if (optopt > 0 && optopt < RECORD_VALUE)
		stele__usage_error("record", "there is no option '-%c'", optopt);
	else
		stele__usage_error("record", "there is no option '%s'", word);
	return -EINVAL;
}

/* 0: run; 1: help was wanted; negative: said what is wrong. */
static int record_read_arguments(struct record *record, int argc, char **argv)
{
	int option, place = -1, error = 0;

	opterr = 0;
	optind = 1;
	/* '+': the first word that is no option is the program. */
	while ((option = getopt_long(argc, argv, "+:o:fqvh", record_options, &place)) != -1) {
		switch (option) {
		case RECORD_VALUE:
			error = record_set(record, record_options[place].name, optarg);
			break;
		case 'o':
			error = record_set(record, "output", optarg);
			break;
		case 'f':
			record->session.force = true;
			break;
		case RECORD_FOLLOW:
			record->session.follow = true;
			break;
		case 'q':
			record->quiet = true;
			break;
		case 'v':
			record->verbose = true;
			break;
		case RECORD_STRICT:
			record->strict = true;
			break;
		case RECORD_DORMANT:
			record->session.dormant = true;
			break;
		case RECORD_NO_ARGS:
			record->no_args = true;
			break;
		case 'h':
			return 1;
		default:
			error = record_reject(argc, argv, option);
		}
		if (error < 0)
			return error;
	}
	if (optind == argc) {
		stele__usage_error("record", "no program is named");
		return -EINVAL;
	}
	if (record->session.follow && !record->session.flight.on && record->session.output &&
	    !strstr(record->session.output, "%p")) {
		stele__usage_error("record",
				   "--follow-fork makes a file for each process: '%s' "
				   "must hold %%p",
				   record->session.output);
		return -EINVAL;
	}
	if (record->session.follow && record->session.arena) {
		stele__usage_error("record",
				   "--arena holds one process, --follow-fork is for many");
		return -EINVAL;
	}
	record->session.argv = argv + optind;
	return stele__flight_options_check(&record->session);
}

/* Running it ------------------------------------------------------------------------------- */

static void record_say(void *arg, enum stele_say level, const char *sentence)
{
	const struct record *record = arg;

	if ((level == STELE_SAY_DETAIL && !record->verbose) ||
	    (level == STELE_SAY_NOTICE && record->quiet))
		return;
	stele__complain("%s", sentence);
}

static bool record_is_set(const char *name)
{
	const char *value = getenv(name);

	return value && *value && strcmp(value, "0") != 0;
}

/* What follows from options that may come in any order. */
static void record_settle(struct record *record)
{
	struct stele_session_options *o = &record->session;

	if (record->heap)
		o->events |= STELE_EVENTS_MEMORY;
	if (record->cpu)
		o->events |= STELE_EVENTS_CPU;
	if (!o->cpu_hz)
		o->events &= ~(uint32_t)STELE_EVENTS_CPU;
	if (!(o->events & STELE_EVENTS_CPU))
		o->cpu_hz = 0;
	if (record->no_args)
		o->events &= ~(uint32_t)STELE_EVENTS_FILES;
	if (o->on_full == RECORD_ON_FULL_UNSAID)
		o->on_full = record->heap ? STELE_ON_FULL_BLOCK : STELE_ON_FULL_DROP;
}

static int record_run(struct record *record)
{
	struct stele_summary_style style = {stele__wants_color(STDERR_FILENO), record->verbose};
	struct stele_session_result result;

	record_settle(record);
	stele__session_run(&record->session, &result);
	if (!record->quiet)
		stele__summary_print(stderr, &result, &style);
	if (record->strict && result.unseen && result.status != STELE_EXIT_CANNOT_EXECUTE &&
	    result.status != STELE_EXIT_NOT_FOUND)
		return STELE_EXIT_RECORD_FAILED;
	return result.status;
}

int stele__cmd_record(int argc, char **argv)
{
	struct record record = {
		.session = {.version = 23,
			    .on_full = RECORD_ON_FULL_UNSAID,
			    .events = STELE_EVENTS_ALL & ~STELE_EVENTS_MEMORY,
			    .arena_bytes = STELE_ARENA_BYTES_DEFAULT,
			    .stack_frames_max = RECORD_DEPTH_DEFAULT,
			    .cpu_hz = RECORD_CPU_HZ_DEFAULT,
			    .disabled = record_is_set("STELE_DISABLE"),
			    .say = record_say,
			    .arg = &record},
	};
	/* A privileged process does not obey whoever started it. */
	const char *environment = getauxval(AT_SECURE) ? NULL : getenv("STELE_OPTIONS");
	char *copy = environment ? strdup(environment) : NULL;
	int status;

	stele__flight_options_init(&record.session.flight);
	status = copy ? record_read_environment(&record, copy) : 0;

	if (status == 0)
		status = record_read_arguments(&record, argc, argv);
	if (status > 0) {
		fputs(record_help, stdout);
		status = STELE_EXIT_OK;
	} else {
		status = status < 0 ? STELE_EXIT_RECORD_FAILED : record_run(&record);
	}
	free(copy);
	return status;
}
