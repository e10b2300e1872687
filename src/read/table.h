/* SPDX-License-Identifier: MIT */
/*
 * One generation's strings, stacks and types. Entries hold offsets into the window, not copies:
 * the window keeps the generation's bytes as long as its tables are used.
 *
 * Index 0 of each array stands for id 0: the empty string, no stack, the all-zero frame.
 */
#ifndef STELE_READ_TABLE_H
#define STELE_READ_TABLE_H

#include "format/cursor.h"
#include "read/idmap.h"
#include "read/kept.h"
#include "read/window.h"

struct stele__table_string {
	uint64_t offset;
	uint32_t bytes;
	uint32_t kept; /* handle in the reader's kept texts, 0: not made yet */
};

struct stele__table_stack {
	uint32_t first; /* in frame_refs */
	uint32_t frame_count;
};

struct stele__table_frame {
	uint64_t pc;
	uint64_t line;
	uint64_t function, file; /* ids of strings; after resolving: indices */
};

struct stele__table_type {
	uint64_t address, size, pointer_bytes;
	uint64_t name_offset;
	uint32_t name_bytes;
	uint64_t stack; /* id of its allocation site's, 0: none */
};

struct stele__table {
	struct stele__idmap string_ids, stack_ids, frame_pcs, type_ids;
	struct stele__table_string *strings;
	uint32_t string_count, string_capacity;
	struct stele__table_stack *stacks;
	uint32_t stack_count, stack_capacity;
	struct stele__table_frame *frames;
	uint32_t frame_count, frame_capacity;
	uint32_t *frame_refs;
	uint32_t frame_ref_count, frame_ref_capacity;
	struct stele__table_type *types;
	uint32_t type_count, type_capacity;
	uint32_t kept_count; /* strings with a kept text */
	bool lenient;	     /* what the tables do not have counts as empty */
};

/*
 * What a parse function found wrong. `soft`: the item was missing altogether at the end of the
 * payload, which Go's reader takes for the end of the trace.
 */
struct stele__fault {
	int code;
	uint64_t at; /* offset in the payload */
	bool soft;
	char text[232];
};

int stele__table_init(struct stele__table *table);
void stele__table_done(struct stele__table *table);

/* Forgets the generation; releases the texts that its strings hold. */
void stele__table_clear(struct stele__table *table, struct stele__kept *kept);

/*
 * Each takes one payload that lies at `offset` of the input, marker byte included. On failure
 * the entries in front of the fault stay.
 */
int stele__table_add_strings(struct stele__table *table, const uint8_t *payload, uint32_t bytes,
			     uint64_t offset, struct stele__fault *fault);
int stele__table_add_stacks(struct stele__table *table, const uint8_t *payload, uint32_t bytes,
			    struct stele__fault *fault);
int stele__table_add_types(struct stele__table *table, const uint8_t *payload, uint32_t bytes,
			   uint64_t offset, struct stele__fault *fault);
/* Behind the types. */
int stele__table_add_sites(struct stele__table *table, const uint8_t *payload, uint32_t bytes,
			   struct stele__fault *fault);

/*
 * Once all strings are there: turns the frames' string ids into indices. An id that the table
 * does not have becomes the empty string; the first such frame is returned, or NULL.
 */
const struct stele__table_frame *stele__table_resolve(struct stele__table *table,
						      uint64_t *ret_missing);

/* Index of the string with this id, 0 if there is none. */
STELE_INLINE uint32_t stele__table_string_index(const struct stele__table *table, uint64_t id)
{
	return stele__idmap_get(&table->string_ids, id);
}

STELE_INLINE struct stele_string stele__table_text(const struct stele__table *table,
						   const struct stele__window *window,
						   uint32_t index)
{
	const struct stele__table_string *string = &table->strings[index];

	if (!string->bytes)
		return (struct stele_string){"", 0};
	return (struct stele_string){(const char *)stele__window_at(window, string->offset),
				     string->bytes};
}

/* A kept text of the string, made at its first use; the table holds one reference. */
int stele__table_keep(struct stele__table *table, const struct stele__window *window,
		      struct stele__kept *kept, uint32_t index, uint32_t *ret_handle);

/* Formats the fault and returns its code. */
int stele__fault_set(struct stele__fault *fault, int code, uint64_t at, const char *format, ...)
	STELE_PRINTF(4, 5);

/* The fault of a cursor that failed: truncated, missing or overflowing number. */
int stele__fault_cursor(struct stele__fault *fault, const struct stele_cursor *cursor,
			const char *what);

#endif
