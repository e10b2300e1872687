/* SPDX-License-Identifier: MIT */
/*
 * Messages of a process that may be about to end, put together without stdio (which allocates) and
 * written in one piece. What does not fit is left out. Signals: safe.
 */
#ifndef STELE_FIBER_SAY_H
#define STELE_FIBER_SAY_H

#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/digits.h"

struct stele__message {
	size_t length;
	char text[1000];
};

STELE_INLINE void stele__say(struct stele__message *m, const char *text)
{
	size_t bytes = strlen(text);

	if (bytes > sizeof(m->text) - m->length)
		bytes = sizeof(m->text) - m->length;
	memcpy(m->text + m->length, text, bytes);
	m->length += bytes;
}

STELE_INLINE void stele__say_number(struct stele__message *m, uint64_t value, unsigned base)
{
	char digits[STELE_DIGITS_MAX + 1];

	*stele__digits_put(digits, value, base) = '\0';
	stele__say(m, base == 16 ? "0x" : "");
	stele__say(m, digits);
}

STELE_INLINE void stele__say_end(struct stele__message *m)
{
	ssize_t n = write(STDERR_FILENO, m->text, m->length);

	(void)n;
	m->length = 0;
}

#endif
