/* SPDX-License-Identifier: MIT */
/* Stacks, outermost frame first, each with a weight: what flame graphs are made of. */
#include <inttypes.h>

#include "export/export.h"
#include "export/profile.h"
#include "export/textsink.h"

struct folded {
	struct stele__textsink t;
	struct stele_analysis *analysis;
	const struct stele__profile_kind *kind;
};

static int folded_start(struct stele__export *e)
{
	struct folded *f = e->state;

	f->t.e = e;
	f->kind = stele__profile_find(e->kind);
	return stele_analysis_new(&f->analysis);
}

static int folded_take(struct stele__export *e, const struct stele_reader *reader,
		       const struct stele_event *event)
{
	struct folded *f = e->state;

	return stele_analysis_add(f->analysis, reader, event);
}

/* A frame's name without what separates frames and lines. */
static void folded_name(struct stele__textsink *t, struct stele_string name)
{
	size_t from = 0;

	if (!name.bytes)
		stele__text_bytes(t, "?", 1);
	for (size_t i = 0; i <= name.bytes; i++) {
		uint8_t c = i < name.bytes ? (uint8_t)name.data[i] : 0;

		if (i < name.bytes && c != ';' && c >= 0x20 && c != 0x7f)
			continue;
		stele__text_bytes(t, name.data + from, i - from);
		if (i < name.bytes)
			stele__text_bytes(t, c == ';' ? ":" : "_", 1);
		from = i + 1;
	}
}

static int folded_row(void *arg, const struct stele__profile_row *row)
{
	struct folded *f = arg;
	uint64_t weight = row->values[f->kind->weight];
	size_t count;
	const struct stele_stack_frame *frames =
		stele_analysis_stack(f->analysis, row->stack, &count);

	if (!weight)
		return 0;
	for (size_t i = count; i > 0; i--) {
		folded_name(&f->t, frames[i - 1].function);
		if (i > 1 || row->leaf.bytes)
			stele__text_bytes(&f->t, ";", 1);
	}
	if (row->leaf.bytes)
		folded_name(&f->t, row->leaf);
	else if (!count)
		stele__text_bytes(&f->t, "[no stack]", 10);
	stele__text_format(&f->t, " %" PRIu64 "\n", weight);
	return f->t.error;
}

static int folded_finish(struct stele__export *e)
{
	struct folded *f = e->state;
	int r = stele_analysis_finish(f->analysis);

	return r < 0 ? r : stele__profile_each(f->analysis, f->kind, false, folded_row, f);
}

static void folded_free(struct stele__export *e)
{
	struct folded *f = e->state;

	stele_analysis_free(f->analysis);
}

const struct stele__format stele__format_folded = {
	.name = "folded",
	.summary = "stacks with weights, for flamegraph.pl and speedscope; --kind says of what",
	.state_bytes = sizeof(struct folded),
	.profile = true,
	.start = folded_start,
	.event = folded_take,
	.finish = folded_finish,
	.free = folded_free,
};
