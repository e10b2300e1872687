/* SPDX-License-Identifier: MIT */
/*
 * One entry of a trace as it stands on the wire, whatever its place: a batch header, a table
 * entry, a timed event. Decoding knows arity and versions and checks nothing else: whether
 * entries stand where they may is the reader's business.
 */
#ifndef STELE_FORMAT_ENTRY_H
#define STELE_FORMAT_ENTRY_H

#include "base/compiler.h"
#include "format/cursor.h"
#include "format/encode.h"
#include "format/spec.h"

struct stele_wire_entry {
	const uint8_t *bytes; /* from the type byte on; into the caller's data, as all pointers */
	size_t size;
	uint8_t type;
	uint64_t dt;		       /* of timed events, else 0 */
	uint64_t args[STELE_ARGS_MAX]; /* as many as the spec of the type says */
	const uint8_t *data;	       /* String: its bytes. ExperimentalBatch: its payload */
	size_t data_bytes;
	const uint8_t *frames; /* Stack: args[1] frames of four integers each, checked to */
	size_t frames_bytes;   /* be there: stele__entry_frame */
};

/* Followed by a length and so many bytes? */
STELE_INLINE bool stele__entry_has_data(uint8_t type)
{
	return type == STELE_EV_STRING || type == STELE_EV_EXPERIMENTAL_BATCH;
}

/* May a trace with this header carry the entry at all? */
STELE_INLINE bool stele__entry_known(uint8_t type, unsigned version)
{
	const struct stele_spec *spec = stele__spec(type);

	return type != STELE_EV_NONE && spec->name && spec->since <= version;
}

/*
 * Takes the next entry. 1: got it; 0: the cursor is at its end. Else the cursor has failed (its
 * `at` is where the bad item begins, at or behind the entry's first byte): STELE_E_TRUNCATED,
 * STELE_E_CORRUPT (an integer of more than 64 bits), STELE_E_UNSUPPORTED (no such type in this
 * version). The number of frames and the length of data are bounded by what is there only.
 */
int stele__entry_next(struct stele_cursor *c, unsigned version, struct stele_wire_entry *ret_entry);

/* The next frame; `c` was begun over frames and frames_bytes. */
STELE_INLINE struct stele_wire_frame stele__entry_frame(struct stele_cursor *c)
{
	struct stele_wire_frame frame;

	frame.pc = stele__cursor_varint(c);
	frame.func = stele__cursor_varint(c);
	frame.file = stele__cursor_varint(c);
	frame.line = stele__cursor_varint(c);
	return frame;
}

#endif
