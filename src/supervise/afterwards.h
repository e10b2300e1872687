/* SPDX-License-Identifier: MIT */
/*
 * Names for code of a trace that was recorded earlier, maybe elsewhere: by the module map in the
 * trace, from files with the same build-id.
 */
#ifndef STELE_SUPERVISE_AFTERWARDS_H
#define STELE_SUPERVISE_AFTERWARDS_H

#include "supervise/symbols.h"

struct stele_afterwards;

/* A frame as it stands in the trace; file_bytes 0: only the function's name is known. */
struct stele_afterwards_frame {
	const char *function, *file;
	size_t function_bytes, file_bytes;
	uint64_t pc; /* 0: not known */
	uint64_t line;
};

struct stele_afterwards_module {
	const char *path;
	uint64_t unnamed; /* frames of it for which nothing better was known */
	bool found;	  /* for some there was */
};

/* The places must live as long. NULL: no memory. */
struct stele_afterwards *stele__afterwards_new(const struct stele_binary_places *places);

/* `module` is followed by its path, as in the arena. False: no memory. */
bool stele__afterwards_add(struct stele_afterwards *afterwards, const struct stele_module *module);

/* Better names for the frame, innermost first; 0: there are none. Valid until the next call. */
size_t stele__afterwards_rename(struct stele_afterwards *afterwards,
				const struct stele_afterwards_frame *frame,
				struct stele_frame *ret_frames, size_t max);

/* How many modules there are, and each. */
size_t stele__afterwards_count(const struct stele_afterwards *afterwards);
struct stele_afterwards_module stele__afterwards_module(const struct stele_afterwards *afterwards,
							size_t index);

void stele__afterwards_free(struct stele_afterwards *afterwards);

#endif
