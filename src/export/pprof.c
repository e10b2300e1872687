/* SPDX-License-Identifier: MIT */
/*
 * profile.proto of github.com/google/pprof, as 'go tool pprof' and others read it: stacks with
 * counts and times or bytes. The same as 'go tool trace -pprof' gives where that gives anything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/keymap.h"
#include "export/export.h"
#include "export/profile.h"
#include "export/proto.h"

#ifdef STELE_HAVE_ZLIB
#include <zlib.h>
#endif

/* Fields of Profile, and of the messages in it. */
enum { PROFILE_SAMPLE_TYPE = 1, PROFILE_SAMPLE = 2, PROFILE_LOCATION = 4, PROFILE_FUNCTION = 5 };
enum { PROFILE_STRING = 6, PROFILE_DURATION = 10, PROFILE_DEFAULT_TYPE = 14 };
enum { VALUE_TYPE = 1, VALUE_UNIT = 2 };
enum { SAMPLE_LOCATIONS = 1, SAMPLE_VALUES = 2 };
enum { LOCATION_ID = 1, LOCATION_ADDRESS = 3, LOCATION_LINE = 4 };
enum { LINE_FUNCTION = 1, LINE_LINE = 2 };
enum { FUNCTION_ID = 1, FUNCTION_NAME = 2, FUNCTION_SYSTEM_NAME = 3, FUNCTION_FILE = 4 };

struct pprof_location {
	struct stele_stack_frame frame;
	uint64_t id;
};

struct pprof {
	struct stele_analysis *analysis;
	const struct stele__profile_kind *kind;
	struct stele__proto proto;
	/* Texts of the analysis are there once each: their addresses are their identities. */
	struct stele__keymap strings;	/* -> index */
	struct stele__keymap functions; /* name and file -> id */
	struct stele__keymap locations; /* pc, line, name -> struct pprof_location *, owned */
	struct stele_string *list;	/* all strings, in order; [0] is empty */
	size_t string_count, string_max, function_count, location_count;
	uint64_t *ids; /* of one stack */
	size_t id_max;
};

static int pprof_start(struct stele__export *e)
{
	struct pprof *p = e->state;

	p->kind = stele__profile_find(e->kind);
	stele__keymap_init(&p->strings);
	stele__keymap_init(&p->functions);
	stele__keymap_init(&p->locations);
	return stele_analysis_new(&p->analysis);
}

static int pprof_take(struct stele__export *e, const struct stele_reader *reader,
		      const struct stele_event *event)
{
	return stele_analysis_add(((struct pprof *)e->state)->analysis, reader, event);
}

static void pprof_fail(struct pprof *p, int error)
{
	if (error < 0 && !p->proto.error)
		p->proto.error = error;
}

static uint64_t pprof_string(struct pprof *p, struct stele_string text)
{
	uintptr_t known = (uintptr_t)stele__keymap_get(&p->strings, (uintptr_t)text.data);

	if (!text.bytes || p->proto.error)
		return 0;
	if (known)
		return known;
	if (p->string_count + 1 >= p->string_max) {
		size_t max = p->string_max ? 2 * p->string_max : 256;
		struct stele_string *grown = realloc(p->list, max * sizeof(*grown));

		if (!grown) {
			pprof_fail(p, -ENOMEM);
			return 0;
		}
		p->list = grown;
		p->string_max = max;
	}
	p->list[++p->string_count] = text;
	pprof_fail(p, stele__keymap_add(&p->strings, (uintptr_t)text.data,
					(void *)(uintptr_t)p->string_count));
	return p->string_count;
}

static uint64_t pprof_word(struct pprof *p, const char *word)
{
	return pprof_string(p, (struct stele_string){word, strlen(word)});
}

/* Names that are the same function lie in one file: two of one hash do not happen. */
static uint64_t pprof_function(struct pprof *p, struct stele_string name, struct stele_string file)
{
	uint64_t key = stele__keymap_mix((uintptr_t)name.data, (uintptr_t)file.data);
	uintptr_t known = (uintptr_t)stele__keymap_get(&p->functions, key);
	uint64_t name_index, file_index;
	size_t open;

	if (known)
		return known;
	name_index = name.bytes ? pprof_string(p, name) : pprof_word(p, "?");
	file_index = pprof_string(p, file);
	open = stele__proto_open(&p->proto, PROFILE_FUNCTION);
	stele__proto_u64(&p->proto, FUNCTION_ID, ++p->function_count);
	stele__proto_u64(&p->proto, FUNCTION_NAME, name_index);
	stele__proto_u64(&p->proto, FUNCTION_SYSTEM_NAME, name_index);
	stele__proto_u64(&p->proto, FUNCTION_FILE, file_index);
	stele__proto_close(&p->proto, open);
	pprof_fail(p, stele__keymap_add(&p->functions, key, (void *)(uintptr_t)p->function_count));
	return p->function_count;
}

static bool frame_same(const struct stele_stack_frame *a, const struct stele_stack_frame *b)
{
	return a->pc == b->pc && a->line == b->line && a->function.data == b->function.data &&
	       a->file.data == b->file.data;
}

static uint64_t pprof_locate(struct pprof *p, const struct stele_stack_frame *frame)
{
	uint64_t key = stele__keymap_mix(stele__keymap_mix(frame->pc, frame->line),
					 (uintptr_t)frame->function.data);
	struct pprof_location *known;
	size_t at = 0, open, line;
	uint64_t function;

	while ((known = stele__keymap_next(&p->locations, key, &at)))
		if (frame_same(&known->frame, frame))
			return known->id;
	function = pprof_function(p, frame->function, frame->file);
	open = stele__proto_open(&p->proto, PROFILE_LOCATION);
	stele__proto_u64(&p->proto, LOCATION_ID, ++p->location_count);
	stele__proto_u64(&p->proto, LOCATION_ADDRESS, frame->pc);
	line = stele__proto_open(&p->proto, LOCATION_LINE);
	stele__proto_u64(&p->proto, LINE_FUNCTION, function);
	stele__proto_u64(&p->proto, LINE_LINE, frame->line);
	stele__proto_close(&p->proto, line);
	stele__proto_close(&p->proto, open);
	known = malloc(sizeof(*known));
	pprof_fail(p, known ? stele__keymap_add(&p->locations, key, known) : -ENOMEM);
	if (p->proto.error) {
		free(known);
		return 0;
	}
	*known = (struct pprof_location){*frame, p->location_count};
	return p->location_count;
}

/* Locations of a row, innermost first, in p->ids. */
static size_t pprof_stack(struct pprof *p, const struct stele__profile_row *row)
{
	size_t count, used = 0;
	const struct stele_stack_frame *frames =
		stele_analysis_stack(p->analysis, row->stack, &count);
	struct stele_stack_frame leaf = {.function = row->leaf, .file = {"", 0}};

	if (count + 1 > p->id_max) {
		uint64_t *grown = realloc(p->ids, (count + 1) * sizeof(*grown));

		if (!grown) {
			pprof_fail(p, -ENOMEM);
			return 0;
		}
		p->ids = grown;
		p->id_max = count + 1;
	}
	/* A type is a place; the reason of a wait is not. */
	if (p->kind->memory && row->leaf.bytes)
		p->ids[used++] = pprof_locate(p, &leaf);
	for (size_t i = 0; i < count; i++)
		p->ids[used++] = pprof_locate(p, &frames[i]);
	return used;
}

static int pprof_row(void *arg, const struct stele__profile_row *row)
{
	struct pprof *p = arg;
	struct stele__proto *proto = &p->proto;
	bool any = false;
	size_t count, open, packed;

	for (unsigned i = 0; i < STELE__PROFILE_VALUES; i++)
		any |= row->values[i] != 0;
	if (!any)
		return 0;
	count = pprof_stack(p, row);
	open = stele__proto_open(proto, PROFILE_SAMPLE);
	packed = stele__proto_open(proto, SAMPLE_LOCATIONS);
	for (size_t i = 0; i < count; i++)
		stele__proto_number(proto, p->ids[i]);
	stele__proto_close(proto, packed);
	packed = stele__proto_open(proto, SAMPLE_VALUES);
	for (unsigned i = 0; i < STELE__PROFILE_VALUES && p->kind->values[i].name; i++)
		stele__proto_number(proto, row->values[i]);
	stele__proto_close(proto, packed);
	stele__proto_close(proto, open);
	return proto->error;
}

static void pprof_head(struct pprof *p)
{
	const struct stele_trust *trust = stele_analysis_trust(p->analysis);
	struct stele__proto *proto = &p->proto;

	for (unsigned i = 0; i < STELE__PROFILE_VALUES && p->kind->values[i].name; i++) {
		uint64_t type = pprof_word(p, p->kind->values[i].name);
		uint64_t unit = pprof_word(p, p->kind->values[i].unit);
		size_t open = stele__proto_open(proto, PROFILE_SAMPLE_TYPE);

		stele__proto_u64(proto, VALUE_TYPE, type);
		stele__proto_u64(proto, VALUE_UNIT, unit);
		stele__proto_close(proto, open);
	}
	stele__proto_u64(proto, PROFILE_DURATION, (uint64_t)(trust->last - trust->first));
	stele__proto_u64(proto, PROFILE_DEFAULT_TYPE,
			 pprof_word(p, p->kind->values[p->kind->weight].name));
}

#ifdef STELE_HAVE_ZLIB
static int pprof_write(struct stele__export *e, const struct stele__proto *proto)
{
	z_stream z = {0};
	uLong bound;
	uint8_t *packed;
	int r;

	if (deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return -ENOMEM;
	bound = deflateBound(&z, proto->used);
	packed = malloc(bound);
	z.next_in = proto->data;
	z.avail_in = (uInt)proto->used;
	z.next_out = packed;
	z.avail_out = (uInt)bound;
	r = packed && deflate(&z, Z_FINISH) == Z_STREAM_END ? 0 : -ENOMEM;
	if (r == 0)
		r = e->write(e->arg, packed, z.total_out);
	deflateEnd(&z);
	free(packed);
	return r;
}
#else
/* Readers take it as it is, too. */
static int pprof_write(struct stele__export *e, const struct stele__proto *proto)
{
	return e->write(e->arg, proto->data, proto->used);
}
#endif

static int pprof_finish(struct stele__export *e)
{
	struct pprof *p = e->state;
	int r = stele_analysis_finish(p->analysis);

	if (r == 0)
		r = stele__profile_each(p->analysis, p->kind, true, pprof_row, p);
	if (r < 0)
		return r;
	pprof_head(p);
	stele__proto_text(&p->proto, PROFILE_STRING, (struct stele_string){"", 0});
	for (size_t i = 1; i <= p->string_count; i++)
		stele__proto_text(&p->proto, PROFILE_STRING, p->list[i]);
	return p->proto.error ? p->proto.error : pprof_write(e, &p->proto);
}

static void pprof_free(struct stele__export *e)
{
	struct pprof *p = e->state;

	stele__keymap_free(&p->locations);
	stele__keymap_done(&p->functions);
	stele__keymap_done(&p->strings);
	free(p->list);
	free(p->ids);
	stele__proto_done(&p->proto);
	stele_analysis_free(p->analysis);
}

const struct stele__format stele__format_pprof = {
	.name = "pprof",
	.summary = "a profile for 'go tool pprof' and its web pages; --kind says of what",
	.binary = true,
	.profile = true,
	.state_bytes = sizeof(struct pprof),
	.start = pprof_start,
	.event = pprof_take,
	.finish = pprof_finish,
	.free = pprof_free,
};
