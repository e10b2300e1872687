/* SPDX-License-Identifier: MIT */
/**
 * Annotations: tasks, regions, logs and counters of a program that wants to say what it is doing.
 *
 * Calls cost two loads and a branch while nothing is being recorded. They keep errno, allocate
 * nothing, take no lock, and may be made from any thread and any signal handler.
 */
#ifndef STELE_TRACE_H
#define STELE_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A user task; 0 is the background task, to which everything belongs that names no other. */
typedef uint64_t stele_task_id;

/** Not part of the interface: the word that says whether anything is recorded. */
extern const uint64_t *stele__switch;

/** Is anything being recorded? Two loads and a branch. */
static inline bool stele_enabled(void)
{
	/* Acquire: who sees that the recorder is there sees its data, too. */
	const uint64_t *word = __atomic_load_n(&stele__switch, __ATOMIC_ACQUIRE);

	return __builtin_expect(__atomic_load_n(word, __ATOMIC_RELAXED) != 0, 0);
}

/** Begins a task: work that may cross threads. @return its id, 0 if nothing is recorded. */
stele_task_id stele_task_begin(const char *name, stele_task_id parent);

/** Ends it; any thread may. */
void stele_task_end(stele_task_id task);

/** Begins a region: an interval of the calling thread, properly nested with others of it. */
void stele_region_begin(const char *name, stele_task_id task);

/** Ends the innermost region, which must have this name and task. */
void stele_region_end(const char *name, stele_task_id task);

/** Notes a message under a key. At most 1024 bytes of each are kept. */
void stele_log(stele_task_id task, const char *key, const char *message);

/** A name that was given to the recorder once, for events that are emitted very often. */
typedef uint32_t stele_name;

/** Gives a name to the recorder. @return 0 if nothing is recorded: then ask again later. */
stele_name stele_name_intern(const char *text);

/** Notes the value of a counter. The cheapest event: no stack, no string. With name 0, nothing. */
void stele_counter(stele_name name, int64_t value);

/**
 * Wants what was recorded up to now to be kept: where a recorder holds only the newest of it
 * (stele record --ring), it is written to a file, soon and by the recorder; elsewhere it is kept
 * anyway. A call to the system. @return is anything being recorded?
 */
bool stele_snapshot(void);

#ifdef __cplusplus
}
#endif

#endif
