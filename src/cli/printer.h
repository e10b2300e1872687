/* SPDX-License-Identifier: MIT */
/* Fast lines on standard output: numbers and text into one buffer, written when it is full. */
#ifndef STELE_CLI_PRINTER_H
#define STELE_CLI_PRINTER_H

#include <string.h>

#include "base/compiler.h"
#include "stele/read.h"

#define STELE__PRINTER_BYTES 65536
/* What one put of less than a string can take. */
#define STELE__PRINTER_ITEM 64

struct stele__printer {
	size_t used;
	int error; /* -errno of the first failed write; nothing is written after it */
	char buffer[STELE__PRINTER_BYTES];
};

/* 0 or the first -errno. */
int stele__printer_flush(struct stele__printer *printer);

STELE_INLINE void stele__printer_room(struct stele__printer *printer, size_t bytes)
{
	if (STELE_UNLIKELY(printer->used + bytes > STELE__PRINTER_BYTES))
		stele__printer_flush(printer);
}

STELE_INLINE void stele__print_char(struct stele__printer *printer, char c)
{
	stele__printer_room(printer, 1);
	printer->buffer[printer->used++] = c;
}

void stele__print_bytes(struct stele__printer *printer, const char *data, size_t bytes);

STELE_INLINE void stele__print(struct stele__printer *printer, const char *text)
{
	stele__print_bytes(printer, text, strlen(text));
}

void stele__print_u64(struct stele__printer *printer, uint64_t v);
void stele__print_i64(struct stele__printer *printer, int64_t v);
void stele__print_hex(struct stele__printer *printer, uint64_t v);

/* Each byte outside '!'..'~', and '%' and ',', as %XX; nothing as "". */
void stele__print_escaped(struct stele__printer *printer, struct stele_string text);

/* In double quotes, with C's escapes: printable ASCII and well-formed UTF-8 stay. */
void stele__print_quoted(struct stele__printer *printer, struct stele_string text);

/* As a JSON string; bytes that are no UTF-8 become U+FFFD. */
void stele__print_json(struct stele__printer *printer, struct stele_string text);

#endif
