/* SPDX-License-Identifier: MIT */
/*
 * A trace as a picture has it: lanes (goroutines, which in C programs are threads) with slices of
 * one state each, regions, tasks, instants and counters. Formats that draw implement `draw`.
 */
#ifndef STELE_EXPORT_LANES_H
#define STELE_EXPORT_LANES_H

#include "analyze/keymap.h"
#include "base/compiler.h"
#include "export/heapcounter.h"
#include "stele/read.h"

/* One copy of each name. */
struct stele__label {
	uint64_t id;   /* from 1, in order of appearance */
	uint64_t mark; /* the format's own, 0 at first */
	bool counter;  /* logs of this name are samples */
	struct stele_string text;
	char data[];
};

struct stele__lane {
	uint64_t goroutine;
	uint64_t thread; /* STELE_NO_ID: none of its own */
	const struct stele__label *name;
	uint64_t serial; /* from 1, one of each lane */
	uint64_t mark;	 /* the format's own, 0 at first; 0 again when the name changes */
	uint8_t state;
	int64_t since;
	const struct stele__label *reason; /* why it waits; the system call's name; else "" */
	uint64_t woken; /* number of the wake-up that brought it into its state; 0: none did */
	uint32_t depth; /* open regions */
	/* Slices that are too short to be drawn by themselves. */
	uint32_t short_count;
	uint8_t short_state; /* of the first */
	const struct stele__label *short_name;
	int64_t short_begin, short_end;
};

struct stele__task {
	uint64_t id, serial;
	struct stele__label *name;
};

struct stele__slice {
	const char *state;	   /* "running", …, "short": several that are short */
	struct stele__label *name; /* the state, why it waits, or the system call */
	int64_t begin, end;
	uint64_t woken; /* as the lane's was */
};

struct stele__lanes;

/* All return 0 or a negative code. */
struct stele__draw {
	bool heap;				    /* bytes alive are drawn as counters */
	int (*process)(struct stele__lanes *lanes); /* pid, program: once, and when they change */
	int (*slice)(struct stele__lanes *lanes, struct stele__lane *lane,
		     const struct stele__slice *slice);
	/* `by` makes `lane` ready; its slice from then on has the number. */
	int (*wake)(struct stele__lanes *lanes, struct stele__lane *by, struct stele__lane *lane,
		    int64_t time, uint64_t number);
	int (*region)(struct stele__lanes *lanes, struct stele__lane *lane,
		      struct stele__label *name, int64_t time, bool begin);
	int (*task)(struct stele__lanes *lanes, const struct stele__task *task, int64_t time,
		    bool begin);
	int (*instant)(struct stele__lanes *lanes, struct stele__lane *lane,
		       struct stele__label *name, struct stele_string text, int64_t time);
	int (*counter)(struct stele__lanes *lanes, struct stele__label *name, int64_t value,
		       int64_t time);
	int (*end)(struct stele__lanes *lanes, struct stele__lane *lane); /* NULL: no matter */
};

struct stele__lanes {
	const struct stele__draw *draw;
	void *arg; /* the format's */
	struct stele__keymap labels, lanes, tasks, tags;
	struct stele__keymap pids; /* by thread, in a trace of several processes */
	struct stele__heapcounter heap;
	struct stele__label *heap_names[STELE__MEMORY_FAMILIES];
	struct stele__label *short_label;
	/*
	 * Slices that are shorter are drawn together until they are as long as this, and wake-ups
	 * are not drawn; 0: all is. Set before the first event.
	 */
	int64_t min_ns;
	uint64_t label_count, serial, wakes;
	uint64_t pid; /* of the first process; 0: unknown */
	const struct stele__label *program;
	struct stele__label *states[STELE__STATE_COUNT];
	bool own; /* the trace is of Stele */
	bool started;
	int64_t synced; /* when the generation began */
	int64_t last;
};

/* Whose thread it is; 0: unknown. */
uint64_t stele__lanes_pid(const struct stele__lanes *lanes, const struct stele__lane *lane);

int stele__lanes_init(struct stele__lanes *lanes, const struct stele__draw *draw, void *arg);
int stele__lanes_event(struct stele__lanes *lanes, const struct stele_reader *reader,
		       const struct stele_event *event);
/* Draws what is open. */
int stele__lanes_finish(struct stele__lanes *lanes);
void stele__lanes_done(struct stele__lanes *lanes);

#endif
