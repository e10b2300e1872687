/* SPDX-License-Identifier: MIT */
/*
 * Copies a trace without what it says of whom it is of: made-up names stand for functions, files,
 * modules, threads, regions, tasks and all other texts, build-ids are empty, and the wall clock
 * begins at 0. Who did what when, numbers, addresses and stacks stay as they are. What is not known
 * to be free of names (experiments of others) is left out.
 *
 * One generation is held at a time.
 */
#ifndef STELE_SURGERY_ANONYMIZE_H
#define STELE_SURGERY_ANONYMIZE_H

#include "surgery/alias.h"

struct stele_anonymizer {
	bool (*keep)(void *arg, struct stele_string text);	 /* NULL: nothing more */
	int (*write)(void *arg, const void *data, size_t bytes); /* 0 or -errno */
	void *arg;
	struct stele__aliases aliases; /* the caller's; filled in */
};

struct stele_anonymize_stats {
	uint64_t kept;	   /* texts that stay as they are */
	uint64_t left_out; /* batches */
	uint64_t offset;   /* where reading stopped: at the end, or at a defect */
};

/*
 * 0; STELE_E_NOT_TRACE, STELE_E_UNSUPPORTED: nothing was written; STELE_E_TRUNCATED,
 * STELE_E_CORRUPT: whole generations before the defect were; -ENOMEM; what `write` returned.
 */
int stele__anonymize(const void *data, size_t bytes, struct stele_anonymizer *anonymizer,
		     struct stele_anonymize_stats *ret_stats);

#endif
