/* SPDX-License-Identifier: MIT */
/* Go's string literals, both directions: arbitrary bytes as one line of text. */
#ifndef STELE_FORMAT_QUOTE_H
#define STELE_FORMAT_QUOTE_H

#include "format/textout.h"

/* Writes bytes as Go's strconv.Quote does: "…" with printable UTF-8 left alone. */
void stele__quote_put(struct stele_text_out *out, const uint8_t *data, size_t bytes);

/*
 * Reads a whole literal, "…" or `…`, and writes the bytes it stands for. 0, or STELE_E_SYNTAX
 * with a sentence in *ret_message; part of the bytes may have been written then.
 */
int stele__quote_get(const char *text, size_t bytes, struct stele_text_out *out,
		     const char **ret_message);

#endif
