/* SPDX-License-Identifier: MIT */
#include "surgery/batches.h"

static bool generation_is_batch(const struct stele_wire_entry *entry)
{
	return entry->type == STELE_EV_EVENT_BATCH || entry->type == STELE_EV_EXPERIMENTAL_BATCH;
}

/* What tells, where the input ends, that the generation is not all there. */
struct generation_end {
	bool within_batch; /* the last one is longer than the input */
	bool has_clock;
};

static void generation_note(struct generation_end *end, const struct stele_wire_entry *e,
			    const struct stele_cursor *behind)
{
	if (e->type == STELE_EV_EVENT_BATCH)
		end->within_batch = e->args[3] > stele__cursor_left(behind);
	else if (e->type == STELE_EV_EXPERIMENTAL_BATCH)
		end->within_batch = false;
	end->has_clock |= e->type == STELE_EV_FREQUENCY;
}

int stele__batches_read(struct stele_cursor at, unsigned version, stele__batches_entry *told,
			void *arg, struct stele__batches *ret_generation)
{
	struct stele__batches *g = ret_generation;
	struct generation_end end = {0};
	struct stele_wire_entry e;
	const uint8_t *begin;
	int got;

	*g = (struct stele__batches){.begin = at.at};
	while (begin = at.at, (got = stele__entry_next(&at, version, &e)) > 0) {
		if (generation_is_batch(&e)) {
			/* An experimental batch names its experiment first. */
			const uint64_t *args = e.args + (e.type == STELE_EV_EXPERIMENTAL_BATCH);

			if (g->number && (args[0] != g->number || g->mark)) {
				at.at = begin;
				break;
			}
			g->number = args[0];
			g->time = args[2];
		}
		if (e.type == STELE_EV_END_OF_GENERATION)
			g->mark = begin;
		generation_note(&end, &e, &at);
		got = told(arg, &e);
		if (got < 0)
			break;
	}
	if (got == 0 && g->number && (end.within_batch || !end.has_clock))
		got = STELE_E_TRUNCATED;
	g->end = at.at;
	if (!g->mark)
		g->mark = g->end;
	return got < 0 ? got : g->number != 0;
}

void stele__batches_tell(const struct stele__batches *generation, unsigned version,
			 stele__batches_batch *told, void *arg)
{
	struct stele_cursor c =
		stele__cursor(generation->begin, (size_t)(generation->mark - generation->begin));
	struct stele_wire_entry e, batch = {0};

	while (stele__entry_next(&c, version, &e) > 0) {
		if (!generation_is_batch(&e))
			continue;
		if (batch.bytes)
			told(arg, &batch, e.bytes);
		batch = e;
	}
	if (batch.bytes)
		told(arg, &batch, generation->mark);
}
