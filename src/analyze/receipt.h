/* SPDX-License-Identifier: MIT */
/* How the time of one instance was spent: rows that grow, and are put in order in the end. */
#ifndef STELE_ANALYZE_RECEIPT_H
#define STELE_ANALYZE_RECEIPT_H

#include "analyze/model.h"

#define STELE__RECEIPT_ROWS_MAX 512u

struct stele__receipt_row {
	struct stele_why_row row;
	uint32_t parent; /* index + 1; 0: none */
};

struct stele__receipt {
	struct stele__receipt *next;
	struct stele_why_instance instance;
	bool collective; /* of several: whoever has one name is one */
	int64_t since;	 /* what was before is in the rows */
	uint32_t region; /* index among the goroutine's open ones */
	uint64_t fd;	 /* of a request */
	struct stele__receipt_row *rows;
	uint32_t count, max;
	struct stele_why_row *ordered;
};

/* What it owns. */
void stele__receipt_done(struct stele__receipt *receipt);

/*
 * Adds time to the row with this meaning below `parent` (0: none). *ret_row: it, as a parent of
 * others. Where there are too many rows it goes to one for the rest. 0 or -ENOMEM.
 */
int stele__receipt_add(struct stele__receipt *receipt, uint32_t parent,
		       const struct stele_why_row *row, uint32_t *ret_row);

/* Makes instance.rows. 0 or -ENOMEM. */
int stele__receipt_order(struct stele__receipt *receipt);

#endif
