/* SPDX-License-Identifier: MIT */
/*
 * Stele's own data: payload := 0x53 version:u ( tag:u length:u bytes[length] )*. Unknown tags, and
 * what a later version appends to a record, are skipped.
 */
#include <stdio.h>
#include <string.h>

#include "format/cursor.h"
#include "format/own.h"
#include "format/spec.h"
#include "stele/read.h"

/* How many numbers and then texts a record of each tag has. */
static const struct {
	uint8_t values, texts;
} recording_shape[] = {
	[STELE_OWN_PROGRAM] = {2, 1}, [STELE_OWN_MODULE] = {5, 2},  [STELE_OWN_THREAD] = {3, 1},
	[STELE_OWN_LOSS] = {4, 0},    [STELE_OWN_TOTAL] = {2, 0},   [STELE_OWN_CLOCK] = {4, 0},
	[STELE_OWN_COUNTER] = {0, 1}, [STELE_OWN_ENDING] = {2, 0},  [STELE_OWN_END] = {3, 0},
	[STELE_OWN_SKIPPED] = {2, 0}, [STELE_OWN_OBJECT] = {2, 3},  [STELE_OWN_SNAPSHOT] = {0, 1},
	[STELE_OWN_SHARED] = {2, 1},  [STELE_OWN_PROCESS] = {2, 0},
};

_Static_assert((int)STELE_DATA_SKIPPED == (int)STELE_OWN_SKIPPED &&
		       (int)STELE_DATA_LOSS == (int)STELE_OWN_LOSS &&
		       (int)STELE_DATA_OBJECT == (int)STELE_OWN_OBJECT &&
		       (int)STELE_DATA_PROCESS == (int)STELE_OWN_PROCESS &&
		       (int)STELE_DETAIL_STACK == (int)STELE_OWN_DETAIL_STACK,
	       "the public tags are those of the format");

static int recording_begin(struct stele_cursor *c)
{
	uint64_t version;

	if (stele__cursor_u8(c) != STELE_PAYLOAD_STELE)
		return STELE_E_CORRUPT;
	version = stele__cursor_varint(c);
	if (c->error)
		return STELE_E_CORRUPT;
	return version == STELE_OWN_VERSION ? 0 : STELE_E_UNSUPPORTED;
}

STELE_EXPORT int stele_data_next(const struct stele_experiment_batch *batch, size_t *at,
				 struct stele_data_item *ret_item)
{
	struct stele_cursor c = stele__cursor(batch->data, batch->bytes);
	struct stele_data_item item = {0};
	struct stele_cursor body;
	const uint8_t *data;
	uint64_t bytes;
	int r = *at ? 0 : recording_begin(&c);

	if (r < 0)
		return r;
	if (*at && !stele__cursor_bytes(&c, *at))
		return STELE_E_CORRUPT;
	if (!stele__cursor_left(&c))
		return 0;
	item.tag = stele__cursor_varint(&c);
	bytes = stele__cursor_varint(&c);
	data = stele__cursor_bytes(&c, bytes);
	if (!data)
		return STELE_E_CORRUPT;
	body = stele__cursor(data, (size_t)bytes);
	if (item.tag < STELE_ARRAY_LENGTH(recording_shape)) {
		item.value_count = recording_shape[item.tag].values;
		item.text_count = recording_shape[item.tag].texts;
	}
	for (unsigned i = 0; i < item.value_count; i++)
		item.value[i] = stele__cursor_varint(&body);
	for (unsigned i = 0; i < item.text_count; i++) {
		uint64_t length = stele__cursor_varint(&body);
		const uint8_t *text = stele__cursor_bytes(&body, length);

		if (text)
			item.text[i] = (struct stele_string){(const char *)text, (size_t)length};
	}
	if (body.error)
		return STELE_E_CORRUPT;
	*at = stele__cursor_offset(&c);
	*ret_item = item;
	return 1;
}

/* Totals that count events which are not in the trace. */
static bool recording_is_loss(unsigned what)
{
	return what == STELE_OWN_NO_SLOT || what == STELE_OWN_LATE_DISCARDED ||
	       what == STELE_OWN_ABANDONED || what == STELE_OWN_UNEXPLAINED;
}

static void recording_ending(struct stele_recording *r, const struct stele_data_item *item)
{
	uint64_t flags = item->value[0];

	r->ending_known = flags & STELE_OWN_ENDING_KNOWN;
	r->interrupted = flags & STELE_OWN_ENDING_INTERRUPTED;
	r->recovered = flags & STELE_OWN_ENDING_RECOVERED;
	if (flags & STELE_OWN_ENDING_SIGNAL)
		r->signal = item->value[1];
	else
		r->exit_status = item->value[1];
}

static void recording_item(struct stele_recording *r, const struct stele_data_item *item)
{
	const uint64_t *v = item->value;

	switch (item->tag) {
	case STELE_OWN_PROGRAM:
		r->pid = v[0];
		r->images = v[1];
		snprintf(r->program, sizeof(r->program), "%.*s", (int)item->text[0].bytes,
			 item->text[0].bytes ? item->text[0].data : "");
		break;
	case STELE_OWN_PROCESS:
		r->merged = true;
		break;
	case STELE_OWN_SNAPSHOT:
		snprintf(r->snapshot, sizeof(r->snapshot), "%.*s", (int)item->text[0].bytes,
			 item->text[0].bytes ? item->text[0].data : "");
		break;
	case STELE_OWN_LOSS:
		if (v[1] < STELE_LOSS_CAUSE_MAX && v[2] < STELE_LOSS_CLASS_MAX)
			r->lost[v[1]][v[2]] += v[3];
		r->lost_events += v[3];
		break;
	case STELE_OWN_TOTAL:
		if (v[0] >= STELE_DATA_TOTALS_MAX)
			break;
		if (recording_is_loss((unsigned)v[0]))
			r->lost_events += v[1] - r->total[v[0]];
		r->total[v[0]] = v[1];
		break;
	case STELE_OWN_ENDING:
		recording_ending(r, item);
		break;
	case STELE_OWN_END:
		r->records = v[0];
		r->events = v[1];
		r->complete = true;
		break;
	case STELE_OWN_SKIPPED:
		if (v[0] >= STELE_EV_SPAN && v[0] - STELE_EV_SPAN < STELE_SKIPPED_MAX)
			r->skipped[v[0] - STELE_EV_SPAN] = v[1];
		break;
	default:
		break;
	}
}

STELE_EXPORT void stele_recording_add(struct stele_recording *recording,
				      const struct stele_reader *reader)
{
	struct stele_experiment_batch batch;
	struct stele_data_item item;

	for (size_t i = 0; stele_reader_batch(reader, i, &batch) == 0; i++) {
		size_t at = 0;

		if (!batch.bytes || batch.data[0] != STELE_PAYLOAD_STELE)
			continue;
		recording->present = true;
		while (stele_data_next(&batch, &at, &item) > 0)
			recording_item(recording, &item);
	}
}

/* In the order of the arena's causes and classes, whose numbers stand in the file. */
STELE_EXPORT const char *stele_loss_cause_name(unsigned cause)
{
	static const char *const name[] = {"ring full", "arena full", "recorder dead",
					   "skipped on re-entry"};

	return cause < STELE_ARRAY_LENGTH(name) ? name[cause] : NULL;
}

STELE_EXPORT const char *stele_loss_class_name(unsigned loss_class)
{
	static const char *const name[] = {"state", "user", "memory"};

	return loss_class < STELE_ARRAY_LENGTH(name) ? name[loss_class] : NULL;
}

STELE_EXPORT const char *stele_skipped_name(unsigned event)
{
	return event < STELE_SKIPPED_MAX ? stele__spec((uint8_t)(STELE_EV_SPAN + event))->name
					 : NULL;
}

STELE_EXPORT const char *stele_data_total_name(unsigned what)
{
	static const char *const name[] = {
		[STELE_OWN_NO_SLOT] = "events of threads without a slot",
		[STELE_OWN_DICTIONARY_FULL] = "names or stacks without room",
		[STELE_OWN_BRIDGED] = "state changes bridged",
		[STELE_OWN_LATE] = "events written late",
		[STELE_OWN_LATE_DISCARDED] = "events written too late",
		[STELE_OWN_ABANDONED] = "events abandoned by their threads",
		[STELE_OWN_UNEXPLAINED] = "events that fit nowhere",
		[STELE_OWN_WAITED_COUNT] = "waits for the recorder",
		[STELE_OWN_WAITED_NS] = "ns waited for the recorder",
		[STELE_OWN_CHILDREN] = "child processes not recorded",
		[STELE_OWN_HEAP_SAMPLE] = "bytes of objects for each sample",
		[STELE_OWN_STACKS] = "stacks",
		[STELE_OWN_STACKS_CUT] = "stacks cut off",
		[STELE_OWN_FRAMES] = "code addresses",
		[STELE_OWN_FRAMES_UNNAMED] = "code addresses without a name",
		[STELE_OWN_SWITCHES] = "context switches",
		[STELE_OWN_SWITCHES_LOST] = "context switches lost",
	};

	return what < STELE_ARRAY_LENGTH(name) ? name[what] : NULL;
}
