/* SPDX-License-Identifier: MIT */
/*
 * Copies a trace with other names for its code: the stack tables and the names of allocation sites
 * are written anew, every other batch as it is. One generation is held at a time.
 */
#ifndef STELE_SURGERY_RENAME_H
#define STELE_SURGERY_RENAME_H

#include "base/compiler.h"
#include "stele/read.h"

/* A frame as the trace has it. File empty: it is the name of an allocation site. */
struct stele_old_frame {
	uint64_t pc; /* 0: not known */
	uint64_t line;
	struct stele_string function, file;
};

struct stele_new_frame {
	const char *function, *file; /* live until the next call */
	uint32_t line;
};

struct stele_renamer {
	/* A module of Stele's own data, in the order of the file. */
	void (*module)(void *arg, const struct stele_data_item *item);
	/* The names of the frame, innermost (inlined) first; 0: as it is. */
	size_t (*rename)(void *arg, const struct stele_old_frame *frame,
			 struct stele_new_frame *ret_frames, size_t max);
	int (*write)(void *arg, const void *data, size_t bytes); /* 0 or -errno */
	void *arg;
};

struct stele_rename_stats {
	uint64_t generations;
	uint64_t frames, renamed; /* of all stacks of all generations */
	uint64_t offset;	  /* where reading stopped: at the end, or at a defect */
};

/*
 * 0; STELE_E_NOT_TRACE, STELE_E_UNSUPPORTED: nothing was written; STELE_E_TRUNCATED,
 * STELE_E_CORRUPT: what lies before the defect was; -ENOMEM; what `write` returned.
 */
int stele__rename(const void *data, size_t bytes, const struct stele_renamer *renamer,
		  struct stele_rename_stats *ret_stats);

#endif
