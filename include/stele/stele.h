/* SPDX-License-Identifier: MIT */
/**
 * Recording from inside: a program that starts and stops its own recording, without a supervisor.
 * A thread of the library turns events into the trace. What a program tells of its work is in
 * stele/trace.h, which this includes; what schedulers and allocators tell, in stele/runtime.h.
 *
 *	struct stele_output file = {.path = "work.trace"};
 *	struct stele_start_options options = {.outputs = &file, .output_count = 1};
 *	if (stele_start(&options) == 0) {
 *		work();
 *		stele_stop(NULL);
 *	}
 *
 * A program that dies while it records so leaves a trace that ends with its last whole second; one
 * that is run by `stele record` leaves all of it. The names of code come by `stele symbolize`.
 */
#ifndef STELE_STELE_H
#define STELE_STELE_H

#include <stddef.h>
#include <stdint.h>

#include "stele/trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What is left out: a sum of these. Threads are always recorded. */
enum stele_leave_out {
	STELE_NO_LOCKS = 1,	  /**< waits for locks */
	STELE_NO_SYSCALLS = 2,	  /**< system calls that may block */
	STELE_NO_ANNOTATIONS = 4, /**< tasks, regions, logs, counters */
	STELE_NO_MEMORY = 8,	  /**< objects, spans, stacks */
	STELE_NO_FILES = 16	  /**< paths and addresses that descriptors stand for */
};

/** What becomes of an event that comes within the emission of another. */
enum stele_reentry_policy {
	STELE_NEST,  /**< it is recorded like any other */
	STELE_FLUSH, /**< likewise, and the thread's batch ends there */
	STELE_SKIP,  /**< events of memory are dropped and counted */
	STELE_ABORT  /**< both are printed, and the process is aborted: for debugging */
};

/**
 * Where a trace goes; exactly one of path, write and fd. Outputs that leave out the same get the
 * same bytes.
 */
struct stele_output {
	/** A file that is created with mode 0600; one that exists is replaced. NULL: none. */
	const char *path;
	/** Gets the trace piece by piece, from the library's thread: 0, or -errno, after which it
	 * is not called any more. NULL: none. */
	int (*write)(void *arg, const void *data, size_t bytes);
	void *arg;
	/** With neither path nor write: an open descriptor, which stays the caller's. */
	int fd;
	/** Of enum stele_leave_out, in addition to what the options leave out. */
	unsigned leave_out;
};

struct stele_start_options {
	const struct stele_output *outputs;
	size_t output_count;
	/** 23 (the default), 25 or 26: for readers of Go 1.23, 1.25, 1.26. */
	unsigned version;
	/** Of enum stele_leave_out; 0: everything is recorded. */
	unsigned leave_out;
	/** enum stele_reentry_policy. The first start of the process decides: another one later is
	 * -EINVAL. */
	unsigned reentry;
	/** Bytes of objects for each sample; 0: every object. */
	uint64_t heap_sample_bytes;
	/** Memory for events, 1 MiB or more; 0: 64 MiB, of which only what is used is taken. The
	 * first start of the process decides: others later are ignored. */
	uint64_t buffer_bytes;
};

/** What was recorded. Of traces that leave out different things, the one with most events counts.
 */
struct stele_stopped {
	uint64_t events;
	uint64_t lost;	/**< events that are not in the trace, of all causes */
	uint64_t bytes; /**< of the trace */
	int error; /**< the first failure of an output, 0: none. Its file holds what came before */
};

/**
 * Begins to record.
 *
 * @return 0; -EBUSY: this process is being recorded already, by itself or by a supervisor;
 *         -EINVAL: options that do not fit together; -ENOSYS: the program has no threads (link it
 *         with -pthread); another negative error: see stele_strerror in stele/version.h.
 *
 * Threads: any, one start or stop at a time. Signals: not safe. Forks: a child does not record, and
 * may start its own.
 */
int stele_start(const struct stele_start_options *options);

/**
 * Ends the recording and completes the trace: all that was emitted before the call is in it.
 *
 * @param ret_stopped  may be NULL.
 * @return 0; -EINVAL: nothing was being recorded by stele_start; the first failure of an output.
 *
 * Threads: any, one start or stop at a time; others may go on emitting, to no effect. Signals: not
 * safe.
 */
int stele_stop(struct stele_stopped *ret_stopped);

#ifdef __cplusplus
}
#endif

#endif
