/* SPDX-License-Identifier: MIT */
/*
 * Tags of Stele's own data in a trace (payload kind 0x53). Numbers are part of the file format:
 * add at the end, never renumber. docs/design/drain.md
 */
#ifndef STELE_FORMAT_OWN_H
#define STELE_FORMAT_OWN_H

#define STELE_OWN_VERSION 1

enum stele_own_tag {
	STELE_OWN_PROGRAM = 1,	 /* pid images name */
	STELE_OWN_MODULE = 2,	 /* unloaded epoch start end bias build_id path */
	STELE_OWN_THREAD = 3,	 /* m p g name */
	STELE_OWN_LOSS = 4,	 /* m cause class count (of this generation) */
	STELE_OWN_TOTAL = 5,	 /* what value (of the recording so far, when changed) */
	STELE_OWN_CLOCK = 6,	 /* time mono_ns wall_s wall_ns */
	STELE_OWN_COUNTER = 7,	 /* name: logs with this key are samples of a counter */
	STELE_OWN_ENDING = 8,	 /* flags value (exit status or signal) */
	STELE_OWN_END = 9,	 /* records events generation: the recording ended in order */
	STELE_OWN_SKIPPED = 10,	 /* event count (of the recording so far, when changed) */
	STELE_OWN_CARRY = 11,	 /* for a drain that goes on: drain/carry.h */
	STELE_OWN_OBJECT = 12,	 /* address line name function file: waited for, made there */
	STELE_OWN_SNAPSHOT = 13, /* reason */
	STELE_OWN_SHARED = 14,	 /* address offset memory: it lies there, for other processes too */
	STELE_OWN_PROCESS = 15,	 /* m pid: in a trace of several processes */
};

enum stele_own_total {
	STELE_OWN_NO_SLOT = 1,
	STELE_OWN_DICTIONARY_FULL = 2,
	STELE_OWN_BRIDGED = 3,
	STELE_OWN_LATE = 4,
	STELE_OWN_LATE_DISCARDED = 5,
	STELE_OWN_ABANDONED = 6,
	STELE_OWN_UNEXPLAINED = 7,
	STELE_OWN_WAITED_COUNT = 8,
	STELE_OWN_WAITED_NS = 9,
	STELE_OWN_CHILDREN = 10,
	STELE_OWN_HEAP_SAMPLE = 11,
	STELE_OWN_STACKS = 12,
	STELE_OWN_STACKS_CUT = 13,
	STELE_OWN_FRAMES = 14,
	STELE_OWN_FRAMES_UNNAMED = 15,
	STELE_OWN_SWITCHES = 16,
	STELE_OWN_SWITCHES_LOST = 17,
};

/* Payload kind 0x44: kinds of details; the head of one holds the number of its fields, too. */
enum stele_own_detail {
	STELE_OWN_DETAIL_WAIT = 1,     /* object holder */
	STELE_OWN_DETAIL_RELEASE = 2,  /* object stack taken:stack */
	STELE_OWN_DETAIL_CALL = 3,     /* fd */
	STELE_OWN_DETAIL_RESULT = 4,   /* value:signed */
	STELE_OWN_DETAIL_FILE = 5,     /* fd name:string */
	STELE_OWN_DETAIL_ORDER = 6,    /* outer inner taken:stack taken:stack */
	STELE_OWN_DETAIL_STACK = 7,    /* address used */
	STELE_OWN_DETAIL_STANDING = 8, /* goroutine ago reason:string stack object holder */
};

enum stele_own_ending {
	STELE_OWN_ENDING_KNOWN = 1,
	STELE_OWN_ENDING_SIGNAL = 2,
	STELE_OWN_ENDING_INTERRUPTED = 4,
	STELE_OWN_ENDING_RECOVERED = 8,
};

/* Objects of details from here on are no addresses, but signals: to the thread whose id the lower
 * 32 bits are, or to the process. */
#define STELE_OWN_SIGNALS UINT64_C(0xfffe000000000000)

#endif
