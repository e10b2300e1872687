/* SPDX-License-Identifier: MIT */
/*
 * The recording of one process: its arena, its trace file, the names, the drain and the thread that
 * runs it. What the process is, and when it ends, is its owner's business.
 *
 * Life: arena, open, start, stop, finish, release; after a failure: discard, release.
 */
#ifndef STELE_SUPERVISE_RECORDER_H
#define STELE_SUPERVISE_RECORDER_H

#include "drain/pump.h"
#include "supervise/arenafile.h"
#include "supervise/durable.h"
#include "supervise/session.h"
#include "supervise/symbols.h"
#include "supervise/tracefile.h"

/* What a recorder's owner wants to be told, in the pump's thread. */
struct stele_recorder_owner {
	struct stele_watch watch;
	void (*snapshot_wanted)(void *arg); /* by the program; NULL: nobody cares */
	void *arg;
};

struct stele_recorder {
	const struct stele_session_options *options;
	const char *image; /* file of the program that begins, "": unknown */
	int pid;	   /* the process, unless the arena knows better */
	uint32_t gone;	   /* owner release: it has ended */

	struct stele_arena *arena;
	struct stele_arenafile file;
	struct stele_durable durable; /* of an arena in a file, and its trace */
	struct stele_tracefile output;
	struct stele_flight *flight; /* in the file's place; NULL: none */
	struct stele_symbols *symbols;
	struct stele_perfswitch *switches; /* NULL: none are told */
	int unswitched;			   /* -errno: why */
	struct stele_drain *drain;
	struct stele_team team; /* the drain alone */
	struct stele_pump pump;
	bool pumping;
	bool write_failed; /* and said */
	uint32_t process;  /* the traced process's pid, once it has attached */

	struct stele_recorder_owner owner; /* set before stele__recorder_open */
	uint32_t snapshots;		   /* wanted so far: the pump's */

	uint32_t cuts_wanted, cuts_done;     /* any thread / the pump; futex */
	uint32_t cuts_begun, cut_generation; /* the pump's */
	bool cut_pending;
	uint32_t complete; /* owner release / whoever waits for a cut acquire: it has ended */
	struct {
		uint64_t events, lost;
	} seen; /* pump relaxed: for status */
};

/* One sentence to the options' say. */
void STELE_PRINTF(3, 4) stele__recorder_say(const struct stele_session_options *options,
					    enum stele_say level, const char *format, ...);

/* Begins with everything else zero. Makes the arena. `board`: as in struct stele_arena; 0: none.
 * -errno or STELE_E_*: nothing is said yet. */
int stele__recorder_arena(struct stele_recorder *recorder,
			  const struct stele_session_options *options, uint32_t board);
void stele__recorder_blame_arena(const struct stele_session_options *options, int error);

/* File, names and drain of the process `pid`, which waits or runs. Negative: said why. */
int stele__recorder_open(struct stele_recorder *recorder, int pid, const char *image);

/* The drain's thread. Negative: said why; then the rings alone are kept. */
int stele__recorder_start(struct stele_recorder *recorder);
void stele__recorder_stop(struct stele_recorder *recorder);

/* Everything up to now shall go into a whole generation; a ticket for waiting until it has.
 * Threads: any, from open until release. */
uint32_t stele__recorder_want_cut(struct stele_recorder *recorder);
/* 0: it has, or the recording has ended; -ETIMEDOUT: it is CLOCK_MONOTONIC end_ns. */
int stele__recorder_await_cut(struct stele_recorder *recorder, uint32_t ticket, uint64_t end_ns);

/* Has the process joined the recording? */
bool stele__recorder_was_joined(const struct stele_recorder *recorder);

/* The last words; fills what the result tells of the recording. */
void stele__recorder_finish(struct stele_recorder *recorder, const struct stele_ending *ending,
			    struct stele_session_result *result);

/* What arena and names alone can tell of a recording. */
void stele__recorder_tell(const struct stele_arena *arena, const struct stele_symbols *symbols,
			  struct stele_session_result *result);

/* No file is left. */
void stele__recorder_discard(struct stele_recorder *recorder);
void stele__recorder_release(struct stele_recorder *recorder);

#endif
