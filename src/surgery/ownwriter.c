/* SPDX-License-Identifier: MIT */
#include "surgery/ownwriter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "format/cursor.h"
#include "format/own.h"

int stele__ownwriter_init(struct stele__ownwriter *w, struct stele__retrace *retrace)
{
	*w = (struct stele__ownwriter){retrace, malloc(STELE_BATCH_BYTES_MAX), 0};
	return w->data ? 0 : -ENOMEM;
}

void stele__ownwriter_done(struct stele__ownwriter *w)
{
	free(w->data);
}

/* Room for so many bytes; NULL: no batch is that large. */
static uint8_t *ownwriter_room(struct stele__ownwriter *w, size_t bytes)
{
	if (w->used && bytes > STELE_BATCH_BYTES_MAX - w->used)
		stele__ownwriter_flush(w);
	if (!w->used) {
		w->data[w->used++] = STELE_PAYLOAD_STELE;
		w->data[w->used++] = STELE_OWN_VERSION;
	}
	return bytes <= STELE_BATCH_BYTES_MAX - w->used ? w->data + w->used : NULL;
}

void stele__ownwriter_record(struct stele__ownwriter *w, const void *data, size_t bytes)
{
	uint8_t *at = ownwriter_room(w, bytes);

	if (!at)
		return;
	memcpy(at, data, bytes);
	w->used += bytes;
}

void stele__ownwriter_item(struct stele__ownwriter *w, const struct stele_data_item *item)
{
	size_t bytes = 0;
	uint8_t *at;

	for (unsigned i = 0; i < item->value_count; i++)
		bytes += stele__varint_width(item->value[i]);
	for (unsigned i = 0; i < item->text_count; i++)
		bytes += stele__varint_width(item->text[i].bytes) + item->text[i].bytes;
	at = ownwriter_room(w, bytes + 2 * STELE_VARINT_BYTES_MAX);
	if (!at)
		return;
	at = stele__varint_put(stele__varint_put(at, item->tag), bytes);
	for (unsigned i = 0; i < item->value_count; i++)
		at = stele__varint_put(at, item->value[i]);
	for (unsigned i = 0; i < item->text_count; i++) {
		at = stele__varint_put(at, item->text[i].bytes);
		if (item->text[i].bytes)
			memcpy(at, item->text[i].data, item->text[i].bytes);
		at += item->text[i].bytes;
	}
	w->used = (size_t)(at - w->data);
}

void stele__ownwriter_flush(struct stele__ownwriter *w)
{
	const struct stele_experiment_batch batch = {.experiment = STELE_EXPERIMENT_ALLOCFREE,
						     .thread = STELE_NONE_ID,
						     .data = w->data,
						     .bytes = w->used};

	if (w->used)
		stele__retrace_batch(w->retrace, &batch);
	w->used = 0;
}
