/* SPDX-License-Identifier: MIT */
/*
 * The text form of a raw trace: one wire entry a line, nothing interpreted. It is the form of Go's
 * own tests; `go tool trace -d=wire` prints the same without the first line. Text and bytes come
 *from memory, results go to a callback.
 *
 *	Trace Go1.23
 *	EventBatch gen=1 m=77 time=1000 size=8
 *	ProcStatus dt=1 p=0 pstatus=1
 *	# a comment has a line of its own
 *	String id=4
 *		data="f"
 *
 * Two things go beyond Go's form, both ignored by whoever does not use them. A number may say in
 * how many bytes it is written, `size=8/10`, if that is more than necessary; so every trace can
 * be kept to the last bit. And an EventBatch without `size` gets the size of what follows.
 * As in Go's, a String or ExperimentalBatch without data has no data line.
 */
#ifndef STELE_FORMAT_TEXTFORM_H
#define STELE_FORMAT_TEXTFORM_H

#include "format/entry.h"
#include "format/textout.h"

/* Bytes to text --------------------------------------------------------------------------- */

/* "Trace Go1.NN". */
void stele__text_put_header(struct stele_text_out *out, unsigned version);

/* The line or lines of an entry. exact: with the widths of integers that are longer than needed. */
void stele__text_put_entry(struct stele_text_out *out, const struct stele_wire_entry *entry,
			   bool exact);

/* Text to bytes --------------------------------------------------------------------------- */

struct stele_text {
	const char *at, *end; /* the caller's text, not terminated */
	uint64_t line;	      /* number of the line taken last */
	unsigned version;     /* of the header */
	bool sizes;	      /* compute the size of every batch, also where one is given */
	char message[160];    /* one sentence, when a call has failed; `line` is its line */
};

/*
 * Reads the header line. The text's first line has number first_line (1, but for a part of a
 * file). 0, STELE_E_SYNTAX, or STELE_E_UNSUPPORTED for another version.
 */
int stele__text_begin(struct stele_text *t, const char *text, size_t bytes, uint64_t first_line,
		      bool sizes);

/*
 * Takes the next entry and writes its bytes: 1; 0 at the end; STELE_E_SYNTAX with a message: the
 * entry cannot be read and nothing of it was written; or the error of the callback.
 * Over a whole text the cost is linear.
 */
int stele__text_next(struct stele_text *t, struct stele_text_out *out);

#endif
