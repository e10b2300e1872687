/* SPDX-License-Identifier: MIT */
/* Records of Stele's own data, put together into batches of a trace that is being written. */
#ifndef STELE_SURGERY_OWNWRITER_H
#define STELE_SURGERY_OWNWRITER_H

#include "surgery/retrace.h"

struct stele__ownwriter {
	struct stele__retrace *retrace; /* the caller's */
	uint8_t *data;
	size_t used; /* 0: no batch is begun */
};

/* 0 or -ENOMEM. */
int stele__ownwriter_init(struct stele__ownwriter *writer, struct stele__retrace *retrace);
void stele__ownwriter_done(struct stele__ownwriter *writer);

/* A record as it was read: tag, length and all. One that no batch can hold is left out. */
void stele__ownwriter_record(struct stele__ownwriter *writer, const void *data, size_t bytes);
/* With as many numbers and texts as it says. */
void stele__ownwriter_item(struct stele__ownwriter *writer, const struct stele_data_item *item);
/* Writes what there is into the generation that is open. */
void stele__ownwriter_flush(struct stele__ownwriter *writer);

#endif
