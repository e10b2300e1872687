/* SPDX-License-Identifier: MIT */
/*
 * Loading decodes all structural batches in file order, then puts together what may stand in any
 * order: frames and their strings, CPU samples and their stacks and clock.
 *
 * The first defect is kept and ends the trace. A defect of the framing ends the loading; one inside
 * a batch costs the rest of that batch. Where Go's reader lets something pass, the loader
 * notes a warning and does as Go does, so that the verdicts are the same.
 */
#include "read/generation.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "read/vector.h"

#define GENERATION_RELEASE_BYTES ((uint64_t)4 << 20) /* of what was looked through */
/* The longest batch header: type, experiment, four numbers. */
#define GENERATION_HEADER_BYTES (2 + 4 * STELE_VARINT_BYTES_MAX)
_Static_assert(GENERATION_HEADER_BYTES < STELE__GLANCE_BYTES, "the payload's first byte, too");

struct batch_header {
	uint8_t type;
	uint8_t experiment; /* 0: an ordinary batch */
	uint8_t first;	    /* byte of the payload; STELE_EV_NONE: it is empty */
	uint64_t generation, thread, time;
	uint32_t bytes;	 /* of the payload */
	uint64_t offset; /* of the payload */
	bool cut;	 /* the input ends within the payload; bytes says how much there is */
};

int stele__generation_init(struct stele__generation *generation)
{
	memset(generation, 0, sizeof(*generation));
	return stele__table_init(&generation->table);
}

void stele__generation_done(struct stele__generation *generation)
{
	stele__table_done(&generation->table);
	free(generation->batches);
	free(generation->chains);
	free(generation->samples);
	free(generation->experiments);
	memset(generation, 0, sizeof(*generation));
}

void stele__generation_clear(struct stele__generation *g, struct stele__world *world)
{
	for (uint32_t i = 0; i < g->chain_count; i++)
		world->threads[g->chains[i].thread].stream = 0;
	stele__table_clear(&g->table, &world->kept);
	g->number = 0;
	g->initial = g->damaged = g->deferred = g->soft = false;
	g->open_ended = false;
	g->has_frequency = g->has_snapshot = false;
	g->frequency = 0;
	g->ns_per_tick = 0;
	g->time_min = UINT64_MAX;
	g->batch_count = g->chain_count = g->experiment_count = 0;
	g->sample_count = g->sample_next = 0;
}

static struct stele__place generation_place(const struct stele__generation *g, uint64_t offset,
					    uint64_t thread)
{
	return (struct stele__place){offset, g->number, thread};
}

/*
 * Keeps the first defect; but one within the generation goes before one behind it. soft: Go's
 * reader takes it for the end of the trace.
 */
static STELE_PRINTF(5, 6) void generation_damage(struct stele__generation *g, bool soft, int code,
						 struct stele__place place, const char *format, ...)
{
	char text[sizeof(g->damage.text)];
	va_list args;

	if (g->damaged && !g->deferred)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	stele__diag_set(&g->damage, code, place, "%s", text);
	g->damaged = true;
	g->deferred = false;
	g->soft = soft;
}

static void generation_fault(struct stele__generation *g, const struct stele__fault *fault,
			     uint64_t offset, uint64_t thread)
{
	generation_damage(g, fault->soft, fault->code,
			  generation_place(g, offset + fault->at, thread), "%s", fault->text);
}

/*
 * Reads the header of the batch at loader->at and makes sure of its payload. 1, perhaps with a
 * payload that is cut short; 0 with damage noted.
 */
static int generation_header(struct stele__generation *g, struct stele__loader *l,
			     struct batch_header *ret_header)
{
	static const char *const what[4] = {"generation", "thread", "time", "size"};
	struct stele__window *w = l->window;
	struct batch_header h = {0};
	struct stele_cursor c;
	uint64_t field[4];
	size_t seen;
	bool soft = false;
	int r = stele__window_need(w, l->at + GENERATION_HEADER_BYTES);

	if (r < 0) {
		generation_damage(g, false, r, generation_place(g, l->at, STELE_NONE_ID),
				  "reading the input failed");
		return 0;
	}
	c.at = stele__window_glance(w, l->at, &seen);
	c = stele__cursor(c.at, seen);
	h.type = stele__cursor_u8(&c);
	if (h.type != STELE_EV_EVENT_BATCH && h.type != STELE_EV_EXPERIMENTAL_BATCH) {
		generation_damage(g, false, STELE_E_CORRUPT,
				  generation_place(g, l->at, STELE_NONE_ID),
				  "byte %u where a batch must begin", h.type);
		return 0;
	}
	if (h.type == STELE_EV_EXPERIMENTAL_BATCH)
		h.experiment = stele__cursor_u8(&c);
	if (c.error) /* Go's reader sees the end of the input here */
		soft = l->version < 26 || g->chain_count == 0;
	for (int i = 0; i < 4; i++) {
		field[i] = stele__cursor_varint(&c);
		if (!c.error)
			continue;
		generation_damage(
			g, soft, c.error,
			generation_place(g, l->at + stele__cursor_offset(&c), STELE_NONE_ID),
			c.error == STELE_E_CORRUPT
				? "the %s of a batch is a number of more than 64 bits"
				: "the input ends within the header of a batch (its %s)",
			what[i]);
		return 0;
	}
	h.generation = field[0];
	h.thread = field[1];
	h.time = field[2];
	h.offset = l->at + stele__cursor_offset(&c);
	if (field[3] > STELE_BATCH_BYTES_MAX) {
		generation_damage(g, false, STELE_E_CORRUPT, generation_place(g, l->at, h.thread),
				  "a batch announces %" PRIu64 " bytes, more than %d", field[3],
				  STELE_BATCH_BYTES_MAX);
		return 0;
	}
	h.bytes = (uint32_t)field[3];
	h.first = h.bytes && stele__cursor_left(&c) ? *c.at : STELE_EV_NONE;
	r = stele__window_need(w, h.offset + h.bytes);
	if (r <= 0) {
		generation_damage(g, false, r < 0 ? r : STELE_E_TRUNCATED,
				  generation_place(g, h.offset, h.thread),
				  "the input ends %" PRIu64 " bytes into a batch of %" PRIu32,
				  w->end - h.offset, h.bytes);
		h.bytes = (uint32_t)(w->end - h.offset);
		h.cut = true;
	}
	*ret_header = h;
	return 1;
}

static int generation_add_batch(struct stele__generation *g, const struct batch_header *h,
				uint32_t *first, uint32_t *last)
{
	int r = stele__vector_reserve(&g->batches, &g->batch_capacity, (uint64_t)g->batch_count + 1,
				      sizeof(*g->batches));

	if (r < 0)
		return r;
	g->batches[g->batch_count++] =
		(struct stele__batch){.offset = h->offset, .time = h->time, .bytes = h->bytes};
	if (*last)
		g->batches[*last - 1].next = g->batch_count;
	else
		*first = g->batch_count;
	*last = g->batch_count;
	return 0;
}

static int generation_add_events(struct stele__generation *g, struct stele__world *world,
				 const struct batch_header *h)
{
	struct stele__chain *chain;
	uint32_t thread;
	int r = stele__world_thread(world, h->thread, &thread);

	if (r < 0)
		return r;
	if (!world->threads[thread].stream) {
		r = stele__vector_reserve(&g->chains, &g->chain_capacity,
					  (uint64_t)g->chain_count + 1, sizeof(*g->chains));
		if (r < 0)
			return r;
		g->chains[g->chain_count++] = (struct stele__chain){.thread = thread};
		world->threads[thread].stream = g->chain_count;
	}
	chain = &g->chains[world->threads[thread].stream - 1];
	return generation_add_batch(g, h, &chain->first, &chain->last);
}

/* The layout of the heap, the table of types, and their stacks. Go's reader does not look into
 * these. */
static void generation_heap(struct stele__generation *g, struct stele__loader *l,
			    const uint8_t *payload, const struct batch_header *h)
{
	struct stele__fault fault;

	if (h->bytes && payload[0] == STELE_PAYLOAD_INFO) {
		struct stele_cursor c = stele__cursor(payload + 1, h->bytes - 1);
		struct stele_heap_info info = {.known = true};

		info.base = stele__cursor_varint(&c);
		info.page_bytes = stele__cursor_varint(&c);
		info.object_align = stele__cursor_varint(&c);
		info.stack_unit = stele__cursor_varint(&c);
		if (!c.error && !stele__cursor_left(&c))
			g->heap = info;
		else
			stele__notes_warn(l->notes, STELE_E_CORRUPT,
					  generation_place(g, h->offset, h->thread),
					  "the heap's layout is not four numbers");
	} else if (h->bytes && payload[0] == STELE_PAYLOAD_TYPES) {
		if (stele__table_add_types(&g->table, payload, h->bytes, h->offset, &fault) < 0)
			stele__notes_warn(l->notes, fault.code,
					  generation_place(g, h->offset + fault.at, h->thread),
					  "%s", fault.text);
	} else if (h->bytes && payload[0] == STELE_PAYLOAD_SITES) {
		if (stele__table_add_sites(&g->table, payload, h->bytes, &fault) < 0)
			stele__notes_warn(l->notes, fault.code,
					  generation_place(g, h->offset + fault.at, h->thread),
					  "%s", fault.text);
	}
}

static int generation_add_experiment(struct stele__generation *g, struct stele__loader *l,
				     const uint8_t *payload, const struct batch_header *h)
{
	int r;

	if (l->version < stele__spec(STELE_EV_EXPERIMENTAL_BATCH)->since)
		stele__notes_warn(l->notes, STELE_E_CORRUPT,
				  generation_place(g, h->offset, h->thread),
				  "an experimental batch in a trace with header %u", l->version);
	if (h->experiment != STELE_EXPERIMENT_ALLOCFREE) {
		/* Go's reader accepts the batch and then crashes over its number. */
		generation_damage(g, false, STELE_E_CORRUPT,
				  generation_place(g, h->offset, h->thread),
				  "a batch of experiment %u, which nobody knows", h->experiment);
		return 0;
	}
	r = stele__vector_reserve(&g->experiments, &g->experiment_capacity,
				  (uint64_t)g->experiment_count + 1, sizeof(*g->experiments));
	if (r < 0)
		return r;
	g->experiments[g->experiment_count++] = (struct stele__experiment){.thread = h->thread,
									   .time = h->time,
									   .offset = h->offset,
									   .bytes = h->bytes,
									   .number = h->experiment};
	generation_heap(g, l, payload, h);
	return 0;
}

static int generation_frequency(struct stele__generation *g, struct stele__loader *l,
				struct stele_cursor *c, const struct batch_header *h, uint64_t at,
				struct stele__fault *fault)
{
	uint64_t frequency;

	if (g->has_frequency)
		return stele__fault_set(fault, STELE_E_CORRUPT, at,
					"a second frequency in generation %" PRIu64, g->number);
	frequency = stele__cursor_varint(c);
	if (c->error)
		return stele__fault_cursor(fault, c, "the clock's frequency");
	if (!frequency)
		stele__notes_warn(l->notes, STELE_E_CORRUPT,
				  generation_place(g, h->offset + at, h->thread),
				  "the clock's frequency is 0");
	g->has_frequency = true;
	g->frequency = frequency;
	g->ns_per_tick = 1.0 / ((double)frequency / 1e9);
	return 0;
}

static int generation_snapshot(struct stele__generation *g, struct stele_cursor *c,
			       const struct batch_header *h, uint64_t at,
			       struct stele__fault *fault)
{
	uint64_t field[4];

	if (g->has_snapshot)
		return stele__fault_set(fault, STELE_E_CORRUPT, at,
					"a second clock snapshot in generation %" PRIu64,
					g->number);
	for (int i = 0; i < 4; i++) {
		field[i] = stele__cursor_varint(c);
		if (c->error)
			return stele__fault_cursor(fault, c, "the clock snapshot");
	}
	g->has_snapshot = true;
	g->snapshot_time = h->time + field[0];
	g->monotonic_ns = field[1];
	g->wall_s = field[2];
	g->wall_ns = field[3];
	return 0;
}

/* Frequency and clock snapshot, in any order. */
static int generation_clock(struct stele__generation *g, struct stele__loader *l,
			    const uint8_t *payload, const struct batch_header *h,
			    struct stele__fault *fault)
{
	struct stele_cursor c = stele__cursor(payload, h->bytes);
	bool snapshots = l->version >= stele__spec(STELE_EV_SYNC)->since;

	if (snapshots)
		stele__cursor_u8(&c); /* the marker */
	while (stele__cursor_left(&c)) {
		size_t at = stele__cursor_offset(&c);
		uint8_t type = stele__cursor_u8(&c);
		int r;

		if (type == STELE_EV_FREQUENCY)
			r = generation_frequency(g, l, &c, h, at, fault);
		else if (type == STELE_EV_CLOCK_SNAPSHOT && snapshots)
			r = generation_snapshot(g, &c, h, at, fault);
		else
			r = stele__fault_set(fault, STELE_E_CORRUPT, at,
					     "byte %u where the clock's frequency%s must stand",
					     type, snapshots ? " or a snapshot" : "");
		if (r < 0)
			return r;
	}
	return 0;
}

static int generation_sample(struct stele__generation *g, struct stele_cursor *c, uint64_t offset,
			     struct stele__fault *fault)
{
	size_t at = stele__cursor_offset(c);
	uint8_t type = stele__cursor_u8(c);
	uint64_t field[5];
	int r;

	if (type != STELE_EV_CPU_SAMPLE)
		return stele__fault_set(fault, STELE_E_CORRUPT, at,
					"byte %u in a batch of CPU samples, where a CPUSample (7) "
					"must begin",
					type);
	for (int i = 0; i < 5; i++) {
		field[i] = stele__cursor_varint(c);
		if (c->error)
			return stele__fault_cursor(fault, c, "a CPU sample");
	}
	r = stele__vector_reserve(&g->samples, &g->sample_capacity, (uint64_t)g->sample_count + 1,
				  sizeof(*g->samples));
	if (r < 0)
		return stele__fault_set(fault, r, at, "no memory for CPU samples");
	g->samples[g->sample_count++] =
		(struct stele__sample){.time = (int64_t)field[0],
				       .thread = field[1],
				       .proc = field[2],
				       .goroutine = field[3] ? field[3] : STELE_NONE_ID,
				       .stack = field[4],
				       .offset = offset + at};
	return 0;
}

static int generation_samples(struct stele__generation *g, const uint8_t *payload,
			      const struct batch_header *h, struct stele__fault *fault)
{
	struct stele_cursor c = stele__cursor(payload, h->bytes);

	stele__cursor_u8(&c); /* the marker */
	while (stele__cursor_left(&c)) {
		int r = generation_sample(g, &c, h->offset, fault);

		if (r < 0)
			return r;
	}
	return 0;
}

/* Sorts one batch in. 0 or an error that ends the reading at once. */
static int generation_take(struct stele__generation *g, struct stele__loader *l,
			   const struct batch_header *h)
{
	const uint8_t *payload = stele__window_at(l->window, h->offset);
	uint8_t clock = l->version >= 25 ? STELE_EV_SYNC : STELE_EV_FREQUENCY;
	struct stele__fault fault = {0};
	int r = 0;

	if (h->time < g->time_min)
		g->time_min = h->time;
	if (h->experiment)
		return generation_add_experiment(g, l, payload, h);
	if (h->type == STELE_EV_EXPERIMENTAL_BATCH)
		stele__notes_warn(l->notes, STELE_E_CORRUPT,
				  generation_place(g, h->offset, h->thread),
				  "a batch of experiment 0 counts as an ordinary one");
	if (h->first == STELE_EV_STACKS)
		r = stele__table_add_stacks(&g->table, payload, h->bytes, &fault);
	else if (h->first == STELE_EV_CPU_SAMPLES)
		r = generation_samples(g, payload, h, &fault);
	else if (h->first == STELE_EV_STRINGS)
		r = stele__table_add_strings(&g->table, payload, h->bytes, h->offset, &fault);
	else if (h->first == clock)
		r = generation_clock(g, l, payload, h, &fault);
	else if (h->first == STELE_EV_END_OF_GENERATION)
		r = stele__fault_set(&fault, STELE_E_CORRUPT, 0,
				     "a batch that begins with byte 52, the end of a generation");
	else
		return generation_add_events(g, l->world, h);
	if (r < 0)
		generation_fault(g, &fault, h->offset, h->thread);
	return 0;
}

/* The input ends where a batch or an end mark could stand. */
static void generation_ends(struct stele__generation *g, struct stele__loader *l)
{
	if (l->version < 26) {
		g->open_ended = true;
		return;
	}
	generation_damage(g, g->chain_count == 0, STELE_E_TRUNCATED,
			  generation_place(g, l->at, STELE_NONE_ID),
			  "the input ends before the end of generation %" PRIu64, g->number);
}

/* Is this batch one of the generation being loaded? Notes damage if it is of no lawful one. */
static bool generation_owns(struct stele__generation *g, struct stele__loader *l,
			    const struct batch_header *h)
{
	bool next = l->version < 26 && g->number && h->generation == g->number + 1;

	if (h->generation && !g->number) {
		if (l->version < 26 && l->previous && h->generation != l->previous + 1)
			generation_damage(g, false, STELE_E_CORRUPT,
					  generation_place(g, l->at, h->thread),
					  "generation %" PRIu64 " follows generation %" PRIu64,
					  h->generation, l->previous);
		g->number = h->generation;
		return true;
	}
	if (h->generation && h->generation == g->number)
		return true;
	if (!next)
		generation_damage(g, false, STELE_E_CORRUPT, generation_place(g, l->at, h->thread),
				  "a batch of generation %" PRIu64 " within generation %" PRIu64,
				  h->generation, g->number);
	return false;
}

/* What there is of a last batch. Its end is broken, but the damage is noted already. */
static int generation_take_cut(struct stele__generation *g, struct stele__loader *l,
			       const struct batch_header *h)
{
	bool own = h->generation && (h->generation == g->number || !g->number);
	int r;

	if (l->whole || !own || !h->bytes)
		return 1;
	g->number = h->generation;
	g->deferred = false;
	r = generation_take(g, l, h);
	return r < 0 ? r : 1;
}

/* Takes batch after batch. 1: there is something; 0: the trace ends; or an error of memory. */
static int generation_scan(struct stele__generation *g, struct stele__loader *l)
{
	uint64_t scanned = l->at;

	for (;;) {
		struct batch_header h = {0};
		bool damaged = g->damaged;
		size_t seen;
		int r = stele__window_need(l->window, l->at + 1);

		if (r == 0) {
			if (!g->number && (l->version >= 26 || l->previous))
				return 0;
			generation_ends(g, l);
			return 1;
		}
		if (r > 0 && l->version >= 26 &&
		    *stele__window_glance(l->window, l->at, &seen) == STELE_EV_END_OF_GENERATION) {
			l->at++;
			return 1;
		}
		if (generation_header(g, l, &h) <= 0 || h.cut) {
			/* Before header 26 the batch may belong to the next generation. */
			g->deferred = l->version < 26 && g->number && !damaged;
			g->open_ended = g->damage.code == STELE_E_TRUNCATED;
			return h.cut ? generation_take_cut(g, l, &h) : 1;
		}
		if (l->version >= 26 && h.type == STELE_EV_EVENT_BATCH &&
		    h.first == STELE_EV_END_OF_GENERATION) {
			stele__notes_warn(l->notes, STELE_E_CORRUPT,
					  generation_place(g, h.offset, h.thread),
					  "a batch that begins with byte 52 counts as the end of "
					  "the generation");
			l->at = h.offset + h.bytes;
			return 1;
		}
		if (!generation_owns(g, l, &h))
			return 1;
		r = generation_take(g, l, &h);
		if (r < 0)
			return r;
		l->at = h.offset + h.bytes;
		if (l->at - scanned >= GENERATION_RELEASE_BYTES) {
			stele__window_release(l->window, scanned, l->at);
			scanned = l->at;
		}
	}
}

static int sample_compare(const void *a, const void *b)
{
	const struct stele__sample *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return x->offset < y->offset ? -1 : 1;
}

static void generation_finish_samples(struct stele__generation *g)
{
	for (uint32_t i = 0; i < g->sample_count; i++) {
		struct stele__sample *sample = &g->samples[i];
		uint64_t id = sample->stack;

		sample->time = stele__ticks_ns((uint64_t)sample->time, g->ns_per_tick);
		sample->stack = id ? stele__idmap_get(&g->table.stack_ids, id) : 0;
		if (id && !sample->stack && !g->table.lenient)
			generation_damage(g, false, STELE_E_CORRUPT,
					  generation_place(g, sample->offset, sample->thread),
					  "a CPU sample names stack %" PRIu64
					  ", which this generation does not have",
					  id);
	}
	if (g->sample_count)
		qsort(g->samples, g->sample_count, sizeof(*g->samples), sample_compare);
}

/*
 * Tables are written last. Where the input ended without any strings, what is missing is the end
 * of the file, not the names.
 */
static void generation_finish_frames(struct stele__generation *g, struct stele__loader *l)
{
	uint64_t id;
	const struct stele__table_frame *frame = stele__table_resolve(&g->table, &id);
	struct stele__place place = generation_place(g, l->at, STELE_NONE_ID);

	if (!frame || g->table.lenient)
		return;
	if (g->open_ended && g->table.string_count == 1)
		generation_damage(g, false, STELE_E_TRUNCATED, place,
				  "the input ends before the strings of generation %" PRIu64,
				  g->number);
	else
		generation_damage(g, false, STELE_E_CORRUPT, place,
				  "the frame at pc 0x%" PRIx64 " names string %" PRIu64
				  ", which generation %" PRIu64 " does not have",
				  frame->pc, id, g->number);
}

/* Without a clock the events of a broken generation still want times: Go's usual tick. */
#define GENERATION_FREQUENCY_USUAL 15625000

static void generation_finish_clock(struct stele__generation *g, struct stele__loader *l)
{
	struct stele__place place = generation_place(g, l->at, STELE_NONE_ID);

	if (!g->has_frequency) {
		generation_damage(g, false, g->open_ended ? STELE_E_TRUNCATED : STELE_E_CORRUPT,
				  place,
				  g->open_ended ? "the input ends before the clock frequency of "
						  "generation %" PRIu64
						: "generation %" PRIu64 " has no clock frequency",
				  g->number);
		g->frequency = GENERATION_FREQUENCY_USUAL;
		g->ns_per_tick = 1e9 / GENERATION_FREQUENCY_USUAL;
	}
	if (l->version >= 25 && !g->has_snapshot) {
		generation_damage(g, false, g->open_ended ? STELE_E_TRUNCATED : STELE_E_CORRUPT,
				  place,
				  g->open_ended ? "the input ends before the clock snapshot of "
						  "generation %" PRIu64
						: "generation %" PRIu64 " has no clock snapshot",
				  g->number);
	}
}

int stele__generation_load(struct stele__generation *g, struct stele__loader *l)
{
	int r;

	g->initial = !l->previous;
	r = generation_scan(g, l);
	if (r == 0)
		return 0;
	if (r < 0)
		generation_damage(g, false, r, generation_place(g, l->at, STELE_NONE_ID),
				  "no memory for a generation's batches");
	generation_finish_clock(g, l);
	g->table.lenient = g->damaged && !g->deferred;
	generation_finish_frames(g, l);
	g->table.lenient |= g->damaged && !g->deferred;
	generation_finish_samples(g);
	g->table.lenient |= g->damaged && !g->deferred;
	return 1;
}
