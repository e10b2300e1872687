/* SPDX-License-Identifier: MIT */
/* Comparing text of a trace, with words of ours and with other text. */
#ifndef STELE_ANALYZE_TEXT_H
#define STELE_ANALYZE_TEXT_H

#include <string.h>

#include "base/compiler.h"
#include "stele/read.h"

STELE_INLINE bool stele__text_begins(struct stele_string text, const char *word)
{
	size_t bytes = strlen(word);

	return text.bytes >= bytes && memcmp(text.data, word, bytes) == 0;
}

STELE_INLINE bool stele__text_is(struct stele_string text, const char *word)
{
	return text.bytes == strlen(word) && stele__text_begins(text, word);
}

/* By bytes; what another one begins with comes before it. */
STELE_INLINE int stele__text_compare(struct stele_string a, struct stele_string b)
{
	size_t bytes = a.bytes < b.bytes ? a.bytes : b.bytes;
	int r = bytes ? memcmp(a.data, b.data, bytes) : 0;

	return r ? r : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

#endif
