/* SPDX-License-Identifier: MIT */
/*
 * The Go v2 trace format as data: limits, wire numbers, argument kinds, one descriptor per entry.
 * Derived from events.def. Knows bytes and nothing else: no I/O, no allocation, no threads.
 */
#ifndef STELE_FORMAT_SPEC_H
#define STELE_FORMAT_SPEC_H

#include "base/compiler.h"

#define STELE_HEADER_BYTES	   16
#define STELE_BATCH_BYTES_MAX	   65536 /* payload of one batch */
#define STELE_STRING_BYTES_MAX	   1024
#define STELE_STACK_FRAMES_MAX	   128
#define STELE_VARINT_BYTES_MAX	   10
#define STELE_ARGS_MAX		   5
#define STELE_EXPERIMENT_ALLOCFREE 1
#define STELE_NONE_ID		   UINT64_MAX /* no thread, no proc, no goroutine */

/* First payload byte of a batch of experiment 1. */
enum stele_experiment_payload {
	STELE_PAYLOAD_TYPES = 0,
	STELE_PAYLOAD_INFO = 1,
	STELE_PAYLOAD_DETAILS = 0x44, /* of a thread's events, likewise */
	STELE_PAYLOAD_STELE = 0x53,   /* Stele's own; readers from Go 1.23 on carry it past */
	STELE_PAYLOAD_SITES = 0x54,   /* the stacks of types, likewise */
};

enum stele_go_status {
	STELE_GO_BAD,
	STELE_GO_RUNNABLE,
	STELE_GO_RUNNING,
	STELE_GO_SYSCALL,
	STELE_GO_WAITING,
};

enum stele_proc_status {
	STELE_PROC_BAD,
	STELE_PROC_RUNNING,
	STELE_PROC_IDLE,
	STELE_PROC_SYSCALL,
	STELE_PROC_SYSCALL_ABANDONED,
};

/* Wire numbers: STELE_EV_GO_CREATE … */
enum stele_event_type {
#define X(number, name, text, since, shape, closes, args) STELE_EV_##name = (number),
#include "format/events.def"
#undef X
	STELE__EV_COUNT
};

enum stele_shape {
	STELE_SHAPE_UNASSIGNED,
	STELE_SHAPE_STRUCTURAL,
	STELE_SHAPE_TIMED,
	STELE_SHAPE_EXPERIMENTAL
};

enum stele_arg {
	STELE_ARG_VALUE,
	STELE_ARG_GO,
	STELE_ARG_PROC,
	STELE_ARG_THREAD,
	STELE_ARG_GOSEQ,
	STELE_ARG_PROCSEQ,
	STELE_ARG_GCSEQ,
	STELE_ARG_STRING, /* id in this generation's string table */
	STELE_ARG_STACK,  /* id in this generation's stack table, 0: none */
	STELE_ARG_TASK,
	STELE_ARG_TICKS, /* absolute */
	STELE_ARG_GOSTATUS,
	STELE_ARG_PROCSTATUS,
};

struct stele_spec {
	const char *name;  /* NULL: the number is unassigned */
	uint8_t shape;	   /* enum stele_shape */
	uint8_t since;	   /* header number */
	uint8_t closes;	   /* wire number of the event that this one ends; 0: none */
	uint8_t arg_count; /* without dt */
	uint8_t arg_kind[STELE_ARGS_MAX];
	const char *arg_name[STELE_ARGS_MAX];
};

/* Indexed by wire number, 0-255. */
extern const struct stele_spec stele__specs[256];

STELE_INLINE const struct stele_spec *stele__spec(uint8_t type)
{
	return &stele__specs[type];
}

/* Has a dt and stands in event batches? */
STELE_INLINE bool stele__spec_is_timed(uint8_t type)
{
	return stele__specs[type].shape >= STELE_SHAPE_TIMED;
}

/* The entry with this text name ("GoCreate"), or -1. */
int stele__spec_find(const char *name, size_t length);

STELE_INLINE bool stele__header_known(unsigned version)
{
	return version == 22 || version == 23 || version == 25 || version == 26;
}

/* Writes "go 1.NN trace\0\0\0". */
void stele__header_put(uint8_t out[STELE_HEADER_BYTES], unsigned version);

/*
 * The version of a header: 22, 23, 25, 26; STELE_E_UNSUPPORTED for another Go version,
 * STELE_E_NOT_TRACE for other bytes.
 */
int stele__header_get(const uint8_t in[STELE_HEADER_BYTES]);

#endif
