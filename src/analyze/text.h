/* SPDX-License-Identifier: MIT */
/* Comparing text of a trace with words of ours. */
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

#endif
