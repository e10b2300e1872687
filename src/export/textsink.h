/* SPDX-License-Identifier: MIT */
/* Text for exports: numbers, JSON strings, CSV fields. */
#ifndef STELE_EXPORT_TEXTSINK_H
#define STELE_EXPORT_TEXTSINK_H

#include "base/compiler.h"
#include "export/export.h"

/* The first error stays and stops all further writing. */
struct stele__textsink {
	struct stele__export *e;
	int error;
};

void stele__text_bytes(struct stele__textsink *t, const char *data, size_t bytes);
/* At most 512 bytes of text; for what is longer there are the others. */
void stele__text_format(struct stele__textsink *t, const char *format, ...) STELE_PRINTF(2, 3);
/* In double quotes; what is no UTF-8 becomes U+FFFD. */
void stele__text_json(struct stele__textsink *t, struct stele_string text);
/* As content of an element; what may not stand there, and what is no UTF-8, becomes U+FFFD. */
void stele__text_xml(struct stele__textsink *t, struct stele_string text);
/* In double quotes where needed, quotes doubled (RFC 4180). */
void stele__text_csv(struct stele__textsink *t, struct stele_string text);

#endif
