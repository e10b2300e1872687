/* SPDX-License-Identifier: MIT */
/*
 * Protocol buffers, written. A message within a message gets its length in four bytes when it is
 * closed: the number is longer than it needs to be, which readers must accept.
 */
#ifndef STELE_EXPORT_PROTO_H
#define STELE_EXPORT_PROTO_H

#include "base/compiler.h"
#include "stele/read.h"

struct stele__proto {
	uint8_t *data;
	size_t used, max;
	int error; /* -ENOMEM or STELE_E_LIMIT; nothing is written after it */
};

void stele__proto_done(struct stele__proto *p);
void stele__proto_u64(struct stele__proto *p, unsigned field, uint64_t value);
void stele__proto_fixed64(struct stele__proto *p, unsigned field, uint64_t value);
/* Without a field: of a list that is packed into a message. */
void stele__proto_number(struct stele__proto *p, uint64_t value);
/* Text fields must hold UTF-8: other bytes become '?'. */
void stele__proto_text(struct stele__proto *p, unsigned field, struct stele_string text);
/* Returns what close needs. */
size_t stele__proto_open(struct stele__proto *p, unsigned field);
void stele__proto_close(struct stele__proto *p, size_t opened);

#endif
