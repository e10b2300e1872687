/* SPDX-License-Identifier: MIT */
/*
 * A generation is gone through before it is written: what a text is used for decides about the
 * letter of its made-up name (f: a function, s: a source file, n: else), and numbers that are
 * samples of a counter stay.
 */
#include "surgery/anonymize.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "format/encode.h"
#include "format/own.h"
#include "surgery/batches.h"
#include "surgery/vocabulary.h"

/* LETTER_MODULE is 'm': own_records. */
enum { LETTER_FUNCTION = 'f', LETTER_FILE = 's', LETTER_NAME = 'n' };

struct anonymous {
	struct stele_anonymizer *a;
	struct stele_anonymize_stats *stats;
	struct stele_cursor at;		  /* the next generation */
	struct stele__batches generation; /* the present one */
	unsigned version;
	/* Ids of texts, + 1: used as such; the values mean nothing. */
	struct stele__keymap functions, files, samples, counter_keys;
	bool counters;	 /* there were any so far */
	uint8_t *buffer; /* STELE_BATCH_BUFFER_BYTES */
	int error;
};

static void anonymous_put(struct anonymous *n, const void *data, size_t bytes)
{
	if (!n->error && bytes)
		n->error = n->a->write(n->a->arg, data, bytes);
}

static void anonymous_flush(struct anonymous *n, struct stele_batch *b)
{
	bool empty = stele__batch_is_empty(b);
	size_t bytes = stele__batch_end(b);

	if (!empty)
		anonymous_put(n, b->data, bytes);
}

/* Sets of ids ---------------------------------------------------------------------------------- */

static bool ids_have(const struct stele__keymap *ids, uint64_t id)
{
	return stele__keymap_get(ids, id + 1) != NULL;
}

static void ids_add(struct anonymous *n, struct stele__keymap *ids, uint64_t id)
{
	int r = ids_have(ids, id) ? 0 : stele__keymap_add(ids, id + 1, ids);

	if (r < 0)
		n->error = r;
}

/* Texts ---------------------------------------------------------------------------------------- */

/* What stands in its place. */
static struct stele_string text_name(struct anonymous *n, struct stele_string text, char letter)
{
	const struct stele__alias *alias;

	if (!text.bytes || stele__vocabulary_has(text) ||
	    (n->a->keep && n->a->keep(n->a->arg, text))) {
		n->stats->kept += text.bytes > 0;
		return text;
	}
	alias = stele__alias_make(&n->a->aliases, text, letter);
	if (!alias) {
		n->error = -ENOMEM;
		return (struct stele_string){"", 0};
	}
	return alias->name;
}

static bool text_is_number(struct stele_string text)
{
	for (size_t i = text.bytes && text.data[0] == '-'; i < text.bytes; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	return text.bytes > 0;
}

static void batch_text(struct stele_batch *b, struct stele_string text)
{
	stele__batch_varint(b, text.bytes);
	stele__batch_bytes(b, text.data, text.bytes);
}

static struct stele_string cursor_text(struct stele_cursor *c)
{
	uint64_t bytes = stele__cursor_varint(c);
	const char *data = (const char *)stele__cursor_bytes(c, bytes);

	return (struct stele_string){data ? data : "", data ? (size_t)bytes : 0};
}

/* First pass: what texts are used for ---------------------------------------------------------- */

static void stack_read(struct anonymous *n, const struct stele_wire_entry *e)
{
	struct stele_cursor c = stele__cursor(e->frames, e->frames_bytes);

	for (uint64_t i = 0; i < e->args[1]; i++) {
		struct stele_wire_frame frame = stele__entry_frame(&c);

		ids_add(n, &n->functions, frame.func);
		ids_add(n, &n->files, frame.file);
	}
}

static void own_read(struct anonymous *n, const struct stele_wire_entry *e)
{
	struct stele_cursor c = stele__cursor(e->data, e->data_bytes);

	stele__cursor_bytes(&c, 2); /* kind, version */
	while (stele__cursor_left(&c) && !c.error) {
		uint64_t tag = stele__cursor_varint(&c), bytes = stele__cursor_varint(&c);
		const uint8_t *item = stele__cursor_bytes(&c, bytes);
		struct stele_cursor fields;
		struct stele__alias *alias;

		if (!item || tag != STELE_OWN_COUNTER)
			continue;
		fields = stele__cursor(item, (size_t)bytes);
		alias = stele__alias_make(&n->a->aliases, cursor_text(&fields), LETTER_NAME);
		if (!alias) {
			n->error = -ENOMEM;
			return;
		}
		alias->counter = n->counters = true;
	}
}

static bool is_payload(const struct stele_wire_entry *e, uint8_t kind)
{
	return e->type == STELE_EV_EXPERIMENTAL_BATCH && e->args[0] == STELE_EXPERIMENT_ALLOCFREE &&
	       e->data_bytes && e->data[0] == kind;
}

static int generation_entry(void *arg, const struct stele_wire_entry *e)
{
	struct anonymous *n = arg;

	if (e->type == STELE_EV_STACK)
		stack_read(n, e);
	else if (is_payload(e, STELE_PAYLOAD_STELE))
		own_read(n, e);
	return n->error;
}

/* The generation at n->at. 1: there is one; 0: none; else the defect. */
static int generation_read(struct anonymous *n)
{
	stele__keymap_clear(&n->functions);
	stele__keymap_clear(&n->files);
	return stele__batches_read(n->at, n->version, generation_entry, n, &n->generation);
}

/* The texts that are samples: those that are logged under the name of a counter. */
static void samples_read(struct anonymous *n)
{
	stele__keymap_clear(&n->samples);
	stele__keymap_clear(&n->counter_keys);
	for (unsigned pass = 0; n->counters && pass < 2; pass++) {
		struct stele_cursor c =
			stele__cursor(n->at.at, (size_t)(n->generation.end - n->at.at));
		struct stele_wire_entry e;

		while (stele__entry_next(&c, n->version, &e) > 0) {
			struct stele_string text = {(const char *)e.data, e.data_bytes};
			const struct stele__alias *alias;

			if (pass == 0 && e.type == STELE_EV_STRING) {
				alias = stele__alias_find(&n->a->aliases, text);
				if (alias && alias->counter)
					ids_add(n, &n->counter_keys, e.args[0]);
			} else if (pass == 1 && e.type == STELE_EV_USER_LOG &&
				   ids_have(&n->counter_keys, e.args[1])) {
				ids_add(n, &n->samples, e.args[2]);
			}
		}
	}
}

/* Second pass ---------------------------------------------------------------------------------- */

static void strings_write(struct anonymous *n, const struct stele_wire_entry *batch,
			  struct stele_cursor c)
{
	struct stele_batch b = stele__batch(n->buffer, STELE_BATCH_BUFFER_BYTES);
	struct stele_wire_entry e;

	stele__batch_begin(&b, batch->args[0], batch->args[1], batch->args[2]);
	while (stele__entry_next(&c, n->version, &e) > 0) {
		struct stele_string text = {(const char *)e.data, e.data_bytes};
		uint64_t id = e.args[0];

		if (e.type != STELE_EV_STRING)
			continue;
		if (!ids_have(&n->samples, id) || !text_is_number(text))
			text = text_name(n, text,
					 ids_have(&n->functions, id) ? LETTER_FUNCTION
					 : ids_have(&n->files, id)   ? LETTER_FILE
								     : LETTER_NAME);
		if (stele__batch_string(&b, id, text.data, text.bytes) == 0)
			continue;
		anonymous_flush(n, &b);
		stele__batch_begin(&b, batch->args[0], batch->args[1], batch->args[2]);
		stele__batch_string(&b, id, text.data, text.bytes);
	}
	anonymous_flush(n, &b);
}

/* The frequency, and the snapshot of the clocks without the wall clock's. */
static void clock_write(struct anonymous *n, const struct stele_wire_entry *batch,
			struct stele_cursor c)
{
	struct stele_batch b = stele__batch(n->buffer, STELE_BATCH_BUFFER_BYTES);
	struct stele_wire_entry e;

	stele__batch_begin(&b, batch->args[0], batch->args[1], batch->args[2]);
	while (stele__entry_next(&c, n->version, &e) > 0) {
		if (e.type != STELE_EV_CLOCK_SNAPSHOT) {
			stele__batch_bytes(&b, e.bytes, e.size);
			continue;
		}
		stele__batch_varint(&b, e.type);
		stele__batch_varint(&b, e.args[0]);
		stele__batch_varint(&b, e.args[1]);
		stele__batch_varint(&b, 0);
		stele__batch_varint(&b, 0);
	}
	anonymous_flush(n, &b);
}

static void types_write(struct anonymous *n, const struct stele_wire_entry *e)
{
	struct stele_cursor c = stele__cursor(e->data + 1, e->data_bytes - 1);
	struct stele_batch b = stele__batch(n->buffer, STELE_BATCH_BUFFER_BYTES);

	stele__batch_begin_experimental(&b, 1, n->generation.number, e->args[2], e->args[3]);
	stele__batch_varint(&b, STELE_PAYLOAD_TYPES);
	while (stele__cursor_left(&c) && !c.error) {
		uint64_t fields[4];
		struct stele_string name;

		for (unsigned i = 0; i < STELE_ARRAY_LENGTH(fields); i++)
			fields[i] = stele__cursor_varint(&c);
		name = text_name(n, cursor_text(&c), LETTER_FUNCTION);
		if (stele__batch_room(&b) < name.bytes + 5 * STELE_VARINT_BYTES_MAX) {
			anonymous_flush(n, &b);
			stele__batch_begin_experimental(&b, 1, n->generation.number, e->args[2],
							e->args[3]);
			stele__batch_varint(&b, STELE_PAYLOAD_TYPES);
		}
		for (unsigned i = 0; i < STELE_ARRAY_LENGTH(fields); i++)
			stele__batch_varint(&b, fields[i]);
		batch_text(&b, name);
	}
	anonymous_flush(n, &b);
}

/* Of Stele's own records those that say too much: how many numbers, then what texts, by a letter
 * each; a blank: left out. */
static const struct own_shape {
	uint64_t tag;
	uint8_t numbers;
	const char *texts;
} own_records[] = {
	{STELE_OWN_PROGRAM, 2, "m"}, {STELE_OWN_MODULE, 5, " m"}, {STELE_OWN_THREAD, 3, "n"},
	{STELE_OWN_CLOCK, 4, ""},    {STELE_OWN_COUNTER, 0, "n"}, {STELE_OWN_OBJECT, 2, "nfs"},
	{STELE_OWN_SHARED, 2, "m"},
};

/* `out`: room for an item of its texts, which are short. */
static void own_item(struct anonymous *n, struct stele_batch *out, const struct own_shape *shape,
		     struct stele_cursor c)
{
	for (unsigned i = 0; i < shape->numbers; i++) {
		uint64_t value = stele__cursor_varint(&c);

		/* The last two are the wall clock. */
		stele__batch_varint(out, shape->tag == STELE_OWN_CLOCK && i >= 2 ? 0 : value);
	}
	for (const char *letter = shape->texts; *letter; letter++) {
		struct stele_string text = cursor_text(&c);

		if (*letter == ' ')
			text.bytes = 0;
		batch_text(out, text_name(n, text, *letter));
	}
}

static void own_begin(const struct anonymous *n, struct stele_batch *b,
		      const struct stele_wire_entry *e)
{
	stele__batch_begin_experimental(b, 1, n->generation.number, e->args[2], e->args[3]);
	stele__batch_varint(b, STELE_PAYLOAD_STELE);
	stele__batch_varint(b, STELE_OWN_VERSION);
}

/* What a record becomes; empty: it is left out. */
static struct stele_string own_record(struct anonymous *n, uint64_t tag, struct stele_cursor c,
				      struct stele_batch *scratch)
{
	if (tag == STELE_OWN_LOSS || tag == STELE_OWN_TOTAL || tag == STELE_OWN_ENDING ||
	    tag == STELE_OWN_END || tag == STELE_OWN_SKIPPED || tag == STELE_OWN_PROCESS)
		return (struct stele_string){(const char *)c.at, stele__cursor_left(&c)};
	stele__batch_begin_experimental(scratch, 1, 1, 0, 0);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(own_records); i++)
		if (own_records[i].tag == tag)
			own_item(n, scratch, &own_records[i], c);
	return (struct stele_string){(const char *)scratch->data + scratch->payload,
				     scratch->used - scratch->payload};
}

static void own_write(struct anonymous *n, const struct stele_wire_entry *e)
{
	struct stele_cursor c = stele__cursor(e->data, e->data_bytes);
	struct stele_batch b = stele__batch(n->buffer, STELE_BATCH_BUFFER_BYTES);
	uint8_t room[4 * STELE_STRING_BYTES_MAX];
	struct stele_batch scratch = stele__batch(room, sizeof(room));

	stele__cursor_bytes(&c, 2);
	own_begin(n, &b, e);
	while (stele__cursor_left(&c) && !c.error) {
		uint64_t tag = stele__cursor_varint(&c), bytes = stele__cursor_varint(&c);
		const uint8_t *item = stele__cursor_bytes(&c, bytes);
		struct stele_string record;

		if (!item)
			break;
		record = own_record(n, tag, stele__cursor(item, (size_t)bytes), &scratch);
		if (!record.bytes)
			continue;
		if (stele__batch_room(&b) < record.bytes + 2 * STELE_VARINT_BYTES_MAX) {
			anonymous_flush(n, &b);
			own_begin(n, &b, e);
		}
		stele__batch_varint(&b, tag);
		batch_text(&b, record);
	}
	anonymous_flush(n, &b);
}

/* The batch that begins with entry e and ends at `end`. */
static void batch_write(void *arg, const struct stele_wire_entry *e, const uint8_t *end)
{
	struct anonymous *n = arg;
	const uint8_t *payload = e->bytes + e->size;
	struct stele_cursor inside = stele__cursor(payload, (size_t)(end - payload));
	uint8_t kind = payload < end ? *payload : STELE_EV_NONE;

	if (e->type == STELE_EV_EVENT_BATCH && kind == STELE_EV_STRINGS)
		strings_write(n, e, inside);
	else if (e->type == STELE_EV_EVENT_BATCH &&
		 (kind == STELE_EV_SYNC || kind == STELE_EV_FREQUENCY))
		clock_write(n, e, inside);
	else if (is_payload(e, STELE_PAYLOAD_TYPES))
		types_write(n, e);
	else if (is_payload(e, STELE_PAYLOAD_STELE))
		own_write(n, e);
	else if (e->type == STELE_EV_EVENT_BATCH || is_payload(e, STELE_PAYLOAD_INFO) ||
		 is_payload(e, STELE_PAYLOAD_SITES) || is_payload(e, STELE_PAYLOAD_DETAILS))
		anonymous_put(n, e->bytes, (size_t)(end - e->bytes));
	else
		n->stats->left_out++;
}

static void generation_write(struct anonymous *n)
{
	const struct stele__batches *g = &n->generation;

	samples_read(n);
	stele__batches_tell(g, n->version, batch_write, n);
	if (g->mark < g->end)
		anonymous_put(n, g->mark, 1); /* EndOfGeneration, and nothing that may follow it */
}

int stele__anonymize(const void *data, size_t bytes, struct stele_anonymizer *anonymizer,
		     struct stele_anonymize_stats *ret_stats)
{
	struct anonymous n = {
		.a = anonymizer, .stats = ret_stats, .at = stele__cursor(data, bytes)};
	struct stele__keymap *maps[] = {&n.functions, &n.files, &n.samples, &n.counter_keys};
	int version = bytes >= STELE_HEADER_BYTES ? stele__header_get(data) : STELE_E_NOT_TRACE;
	int got = 0;

	*ret_stats = (struct stele_anonymize_stats){0};
	if (version < 0)
		return version;
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(maps); i++)
		stele__keymap_init(maps[i]);
	n.version = (unsigned)version;
	n.buffer = malloc(STELE_BATCH_BUFFER_BYTES);
	n.error = n.buffer ? 0 : -ENOMEM;
	anonymous_put(&n, data, STELE_HEADER_BYTES);
	n.at.at += STELE_HEADER_BYTES;
	while (!n.error && (got = generation_read(&n)) > 0 && !n.error) {
		generation_write(&n);
		n.at.at = n.generation.end;
	}
	ret_stats->offset = (uint64_t)(n.generation.end ? n.generation.end - (const uint8_t *)data
							: STELE_HEADER_BYTES);
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(maps); i++)
		stele__keymap_done(maps[i]);
	free(n.buffer);
	return n.error ? n.error : got;
}
