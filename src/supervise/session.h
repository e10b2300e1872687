/* SPDX-License-Identifier: MIT */
/*
 * Running one program and recording it: `stele record`, without its command line.
 *
 * The program is run whenever it can be run. What keeps it from being recorded is said, and does
 * not change its status.
 */
#ifndef STELE_SUPERVISE_SESSION_H
#define STELE_SUPERVISE_SESSION_H

#include <limits.h>

#include "arena/layout.h"
#include "drain/drain.h"
#include "drain/flight.h"

/* The supervisor's own exit statuses, as env(1) and the shells have them. */
enum stele_session_status {
	STELE_SESSION_FAILED = 125, /* Stele failed and the program was not run, or nothing
				     * of its trace could be written */
	STELE_SESSION_NOT_EXECUTABLE = 126,
	STELE_SESSION_NOT_FOUND = 127,
};

/* NOTICE: what the user asked for has happened. */
enum stele_say { STELE_SAY_ERROR, STELE_SAY_WARNING, STELE_SAY_NOTICE, STELE_SAY_DETAIL };

/* The flight recorder: the newest of the trace is kept in memory, and written when wanted. */
struct stele_flight_options {
	bool on;
	struct stele_flight_limits limits;

	/* What makes a snapshot by itself. */
	uint64_t watch_ns[STELE_WATCH_COUNT]; /* longer than this; 0: not watched */
	uint64_t rss_bytes;		      /* the program has more in memory; 0: not watched */
	bool on_usr2;			      /* SIGUSR2 comes, which is then not passed on */
	bool on_failure;       /* the program ends with a status but 0, or is killed */
	bool on_end;	       /* it ends in whatever way */
	uint64_t post_roll_ns; /* how much of what follows is recorded, too */
	uint64_t gap_ns;       /* after one, nothing makes another for so long; the end may */

	/* Of snapshots under the recording's own name. */
	uint64_t keep, keep_bytes; /* 0: any */
};

/* Shall the kernel tell which threads have a processor? */
enum stele_switches_wanted {
	STELE_SWITCHES_IF_PERMITTED,
	STELE_SWITCHES_SURELY,
	STELE_SWITCHES_NEVER,
};

struct stele_session_options {
	char **argv;	    /* the program and its arguments, NULL at the end */
	const char *output; /* %p: its pid; NULL: PROGRAM.PID.trace */
	bool force;	    /* replace an existing file */
	const char *arena;  /* file for the shared memory, which outlives all of us; NULL: none */
	bool disabled;	    /* run it untraced */
	bool follow;	    /* record the processes that it gives birth to, too; output holds %p */
	bool dormant;	    /* record nothing of `events` until somebody says start */
	struct stele_flight_options flight; /* output, if given, holds %n */
	unsigned version;		    /* header: 23, 25 or 26 */
	uint32_t on_full;		    /* enum stele_on_full */
	uint32_t reentry;		    /* enum stele_reentry */
	uint32_t events; /* of enum stele_events; MEMORY loads the module for it */
	uint64_t arena_bytes;
	uint32_t stack_frames_max;  /* 0: no stacks */
	uint32_t cpu_hz;	    /* 0: threads are not prepared for STELE_EVENTS_CPU */
	uint32_t switches;	    /* enum stele_switches_wanted */
	uint64_t generation_ns;	    /* 0: one second */
	uint64_t heap_sample_bytes; /* with events & STELE_EVENTS_MEMORY; 0: every object */

	/* One sentence at a time, without newline and full stop. */
	void (*say)(void *arg, enum stele_say level, const char *sentence);
	void *arg;
};

/* Of processes that were followed. */
struct stele_followed {
	uint64_t processes; /* recorded, each in a file of its own */
	uint64_t failed;    /* for which there could be no file */
	uint64_t missed;    /* born, and not seen: what they executed cannot be recorded */
	uint64_t events, lost;
};

struct stele_session_result {
	int status;    /* for exit() */
	bool recorded; /* the rest is set, but for `unseen`, which always is */
	bool ring;     /* in a flight recorder: path and file_bytes are those of the newest
			* snapshot; path "": there is none */
	bool unseen;   /* something that was asked for could not be recorded: it was said */
	char path[PATH_MAX];
	uint64_t file_bytes;
	uint64_t wall_ns;
	bool heap;	/* memory was recorded */
	bool unsampled; /* CPU samples were wanted, and there are none */
	int unswitched; /* -errno: the kernel did not tell of context switches; 0: it did, or was
			 * not asked */
	bool cut_short; /* writing failed in the middle */
	struct stele_ending ending;
	struct stele_drain_stats drain;
	struct stele_followed followed;
	uint64_t snapshots, snapshots_failed, snapshots_removed, passed_over;
	uint64_t offsets_only;	/* addresses for which only module + offset is known */
	char worst_module[256]; /* with most addresses without a name; "": none */
	uint64_t symbols_ns;
	uint64_t tick_ns_max;
	uint64_t images; /* program images: 1 + execs */
	const char *clock;
};

/*
 * Runs the program to its end. Threads: call from the only thread of the process; waits for no
 * other child. Signals are taken over meanwhile (signals.h).
 */
void stele__session_run(const struct stele_session_options *options,
			struct stele_session_result *ret_result);

#endif
