/* SPDX-License-Identifier: MIT */
/*
 * Details of a generation's events (format.md, section 6), of all threads in the order of their
 * times. Looked at only by who asks; what a consumer has not taken when the generation ends is
 * kept for it, without its stacks, whose table goes; names are copied.
 */
#ifndef STELE_READ_DETAILS_H
#define STELE_READ_DETAILS_H

#include "format/cursor.h"
#include "read/generation.h"

/* The details of one thread. */
struct stele__detail_stream {
	struct stele_cursor at;	   /* in a batch */
	uint32_t experiment;	   /* the next one of the same thread: index + 1; 0: none */
	uint64_t ticks;		   /* of `first` */
	struct stele_detail first; /* the one to be given next */
};

struct stele__details {
	bool ready;	/* the streams are those of the present generation */
	bool consumed;	/* somebody asks */
	uint32_t *next; /* by experiment: the next of the same thread, index + 1 */
	uint32_t next_capacity;
	struct stele__detail_stream *streams; /* a heap by (time, thread) */
	uint32_t stream_count, stream_capacity;
	struct stele_detail *left; /* of the generation before */
	uint32_t left_count, left_capacity, left_at;
	char *texts; /* names of those */
	uint32_t text_bytes, text_capacity;
	int64_t last; /* time of the last one taken: none is earlier, whatever the file says */
};

/* NULL: no memory. */
struct stele__details *stele__details_new(void);
/* Accepts NULL. */
void stele__details_free(struct stele__details *details);

/* The generation goes: keeps what of it was not taken. 0 or -ENOMEM. */
int stele__details_leave(struct stele__details *details, const struct stele__generation *generation,
			 const struct stele__window *window);

/* The next one whose time is not behind `until`: 1; else 0; or -ENOMEM. */
int stele__details_next(struct stele__details *details, const struct stele__generation *generation,
			const struct stele__window *window, int64_t until,
			struct stele_detail *ret_detail);

#endif
