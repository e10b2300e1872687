/* SPDX-License-Identifier: MIT */
/* The drain's public functions: making, ticking, cutting, ending. docs/design/drain.md */
#include "drain/drain.h"

#include <errno.h>
#include <stdlib.h>

#include "drain/machine.h"

#define LATE_NS_DEFAULT	      20000000u
#define GENERATION_NS_DEFAULT 1000000000u
#define TAKEN_NS_MAX	      UINT64_C(10000000000)
#define WARM_UP_NS	      1000000u
#define WARM_UP_TRIES	      4000

static struct stele_clock_pair drain_machine_clock(void *arg)
{
	const struct stele_drain *d = arg;

	return stele__clock_pair(d->arena->clock != STELE_CLOCK_MONOTONIC);
}

static void drain_read_clock(struct stele_drain *d)
{
	d->pair = d->options.clock.now(d->options.clock.arg);
	stele__timeline_measure(&d->timeline, &d->pair);
}

/* A process that has taken the arena may be older than its drain, but not much. */
static struct stele_clock_pair drain_first_clock(const struct stele_drain *d)
{
	struct stele_clock_pair now = d->options.clock.now(d->options.clock.arg);
	const struct stele_arena_clock taken = d->arena->clock_taken;

	if (d->options.resume || !taken.ticks || taken.ticks >= now.ticks ||
	    taken.monotonic_ns >= now.monotonic_ns ||
	    now.monotonic_ns - taken.monotonic_ns > TAKEN_NS_MAX)
		return now;
	return (struct stele_clock_pair){taken.ticks, taken.monotonic_ns, taken.realtime_ns, 0};
}

/* The rate must be known before the first record is converted: about a millisecond of looking. */
static void drain_warm_up(struct stele_drain *d)
{
	struct stele_clock_pair first = drain_first_clock(d);
	struct stele_clock_pair now = d->options.clock.now(d->options.clock.arg);

	stele__timeline_init(&d->timeline, d->arena->clock == STELE_CLOCK_MONOTONIC, &first);
	for (int i = 0; i < WARM_UP_TRIES && now.monotonic_ns - first.monotonic_ns < WARM_UP_NS;
	     i++)
		now = d->options.clock.now(d->options.clock.arg);
	stele__timeline_measure(&d->timeline, &now);
	d->pair = d->start = now;
	d->floor = stele__timeline_wire(&d->timeline, first.ticks);
	d->start = first;
}

static int drain_options(struct stele_drain *d, const struct stele_drain_options *options)
{
	d->options = *options;
	if (options->version != 23 && options->version != 25 && options->version != 26)
		return STELE_E_UNSUPPORTED;
	if (!options->sink.write || (options->liveness.threads && !options->liveness.exists))
		return -EINVAL;
	if (!d->options.late_ns)
		d->options.late_ns = LATE_NS_DEFAULT;
	if (!d->options.generation_ns)
		d->options.generation_ns = GENERATION_NS_DEFAULT;
	if (!d->options.clock.now)
		d->options.clock = (struct stele_drain_clock){drain_machine_clock, d};
	return 0;
}

static int drain_allocate(struct stele_drain *d)
{
	int error = stele__outlet_init(&d->outlet, &d->options.sink);

	if (!error)
		error = stele__lane_init(&d->nobody, STELE_NONE_ID);
	if (!error)
		error = stele__tables_init(&d->tables);
	if (!error)
		error = stele__own_init(&d->own);
	d->threads = calloc(d->slot_max, sizeof(struct stele_drain_thread *));
	d->by_slot = calloc(d->slot_max, sizeof(struct stele_drain_thread *));
	d->procs = calloc(d->slot_max, sizeof(*d->procs));
	d->rings = calloc(d->ring_max, sizeof(*d->rings));
	if (!error && (!d->threads || !d->by_slot || !d->procs || !d->rings))
		error = -ENOMEM;
	for (uint32_t i = 0; !error && i < d->slot_max; i++)
		d->procs[i].id = i;
	return error;
}

/* What the rings hold was read by another drain, or was emitted when there was none. */
static void drain_skip(struct stele_drain *d)
{
	uint32_t count = stele__load_acquire(&d->arena->ring_bump);

	for (uint32_t i = 0; i < count && i < d->ring_max; i++) {
		struct stele_ring *ring = &d->ring_headers[i];

		if (stele__load_acquire(&ring->state) != STELE_RING_FREE)
			stele__store_release(&ring->tail,
					     stele__load_acquire(&ring->head) & ~STELE_HEAD_CLOSED);
	}
}

static struct stele_arena_clock drain_clock(const struct stele_clock_pair *pair)
{
	return (struct stele_arena_clock){pair->ticks, pair->monotonic_ns, pair->realtime_ns};
}

static void drain_begin(struct stele_drain *d)
{
	uint8_t header[STELE_HEADER_BYTES];

	d->arena->clock_first = drain_clock(&d->start);
	d->arena->clock_last[d->arena->heartbeat & 1] = drain_clock(&d->pair);
	d->arena->trace_version = d->options.version;

	stele__header_put(header, d->options.version);
	stele__outlet_write(&d->outlet, header, sizeof(header));
	stele__outlet_flush(&d->outlet);
	d->outlet.valid = d->outlet.written;
}

int stele__drain_new(struct stele_arena *arena, const struct stele_drain_options *options,
		     struct stele_drain **ret_drain)
{
	struct stele_drain *d = calloc(1, sizeof(*d));
	int error;

	if (!d)
		return -ENOMEM;
	d->arena = arena;
	d->slots = stele__arena_slot(arena, 0);
	d->ring_headers = stele__arena_ring(arena, 0);
	d->slot_max = arena->slot_max;
	d->ring_max = arena->ring_max;
	d->data_begin = arena->data;
	d->data_end = arena->bytes;
	d->generation = 1;
	d->cut_ticks = UINT64_MAX;
	d->go_private = STELE_GO_ID_MAX;
	error = drain_options(d, options);
	if (!error)
		error = drain_allocate(d);
	if (error) {
		stele__drain_free(d);
		return error;
	}
	if (options->resume)
		drain_skip(d);
	drain_warm_up(d);
	if (options->carry)
		error = stele__restore(d, options->carry);
	else
		drain_begin(d);
	if (error) {
		stele__drain_free(d);
		return error;
	}
	if (options->torn)
		stele__take_distrust(d);
	*ret_drain = d;
	return 0;
}

static void drain_beat(struct stele_drain *d)
{
	d->arena->clock_last[(stele__load_relaxed(&d->arena->heartbeat) + 1) & 1] =
		drain_clock(&d->pair);
	stele__store_relaxed(&d->arena->heartbeat_ns, d->pair.monotonic_ns);
	stele__store_release(&d->arena->heartbeat, stele__load_relaxed(&d->arena->heartbeat) + 1);
}

static bool drain_is_idle(const struct stele_drain *d)
{
	return d->stats.events == d->events_at_start && !stele__batch_is_open(&d->own.batch);
}

static void drain_cut_now(struct stele_drain *d)
{
	uint64_t ticks = d->cut_ticks;

	d->cut_ticks = UINT64_MAX;
	stele__generation_end(d, stele__timeline_wire(&d->timeline, ticks), NULL);
}

/*
 * A cut at time T takes every stream up to T. A stream that stands at a fresh hole may hold it up,
 * but no longer than it takes to declare a record late; one that waits for another thread's record
 * goes on in the next generation.
 */
static void drain_cut_if_due(struct stele_drain *d)
{
	if (d->cut_ticks == UINT64_MAX)
		return;
	if (stele__take_is_waiting(d) &&
	    d->pair.monotonic_ns - d->cut_pair.monotonic_ns < d->options.late_ns)
		return;
	drain_cut_now(d);
}

static void drain_begin_cut(struct stele_drain *d)
{
	d->cut_wanted = false;
	d->cut_ticks = d->pair.ticks;
	d->cut_pair = d->pair;
}

static void drain_plan_cut(struct stele_drain *d)
{
	if (d->cut_ticks != UINT64_MAX)
		return;
	if (d->cut_wanted || (d->options.keep && stele__take_is_pressed(d)))
		drain_begin_cut(d);
	else if (!drain_is_idle(d) &&
		 d->pair.monotonic_ns - d->start.monotonic_ns >= d->options.generation_ns)
		drain_begin_cut(d);
}

/* Of what happens from now on the kernel has not told yet what belongs between. */
static uint64_t drain_take(struct stele_drain *d)
{
	uint64_t limit = d->cut_ticks;

	if (d->options.switches.take && d->pair.ticks < limit)
		limit = d->pair.ticks;
	stele__offcpu_take(d);
	return stele__take(d, limit);
}

int64_t stele__drain_tick(struct stele_drain *d)
{
	uint64_t taken;

	if (d->finished)
		return STELE_E_STATE;
	drain_read_clock(d);
	drain_beat(d);
	stele__census_ask(d, false);
	stele__census_scan(d);
	drain_plan_cut(d);
	taken = drain_take(d);
	drain_cut_if_due(d);
	stele__watch_tick(d);
	return d->error ? d->error : (int64_t)taken;
}

uint32_t stele__drain_want_cut(struct stele_drain *d)
{
	d->cut_wanted = true;
	/* A cut that is being made already is of an earlier time. */
	return d->generation + (d->cut_ticks != UINT64_MAX);
}

uint32_t stele__drain_generation(const struct stele_drain *d)
{
	return d->generation;
}

int stele__drain_cut(struct stele_drain *d)
{
	if (d->finished)
		return STELE_E_STATE;
	drain_read_clock(d);
	drain_beat(d);
	stele__census_scan(d);
	if (d->cut_ticks == UINT64_MAX)
		drain_begin_cut(d);
	drain_take(d);
	drain_cut_now(d);
	return d->error;
}

/* To the newest record, if that is newer than what the clock says. */
static void drain_advance(struct stele_drain *d)
{
	uint64_t newest = stele__take_newest(d);
	uint64_t ns = stele__timeline_ns(&d->timeline, newest) -
		      stele__timeline_ns(&d->timeline, d->pair.ticks);

	d->pair.ticks = newest;
	d->pair.monotonic_ns += ns;
	d->pair.realtime_ns += ns;
}

/* Records of live threads may keep coming: what is there now is taken, once. */
static void drain_take_rest(struct stele_drain *d, bool ended)
{
	uint64_t limit = ended ? UINT64_MAX : d->pair.ticks;

	d->giving_up = true;
	if (!ended)
		stele__census_ask(d, true);
	stele__census_scan(d);
	if (d->options.still) {
		drain_advance(d);
		limit = ended ? limit : d->pair.ticks;
	}
	stele__offcpu_take(d);
	for (uint32_t i = 0; ended && i < d->thread_count; i++) {
		d->threads[i]->lasted = !d->threads[i]->gone;
		d->threads[i]->gone = true;
	}
	stele__take(d, limit);
}

int stele__drain_finish(struct stele_drain *d, const struct stele_ending *ending)
{
	const struct stele_ending unknown = {0};

	if (d->finished)
		return STELE_E_STATE;
	if (!ending)
		ending = &unknown;
	drain_read_clock(d);
	drain_beat(d);
	drain_take_rest(d, !ending->interrupted);
	stele__generation_end(d, stele__timeline_wire(&d->timeline, d->pair.ticks), ending);
	d->finished = true;
	d->stats.ended_ns = d->pair.monotonic_ns;
	return d->error ? d->error : d->outlet.error;
}

void stele__drain_stats(const struct stele_drain *d, struct stele_drain_stats *ret_stats)
{
	*ret_stats = d->stats;
	ret_stats->threads_live = d->thread_count;
	ret_stats->bytes = d->outlet.written;
	ret_stats->valid_bytes = d->outlet.valid;
	ret_stats->sink_error = d->outlet.error;
	ret_stats->sink_lost_bytes = d->outlet.lost;
}

uint64_t stele__drain_lost(const struct stele_drain_stats *stats)
{
	uint64_t lost =
		stats->no_slot + stats->late_discarded + stats->abandoned + stats->unexplained;

	for (unsigned i = 0; i < STELE__LOSS_COUNT; i++)
		for (unsigned k = 0; k < STELE__CLASS_COUNT; k++)
			lost += stats->dropped[i][k];
	return lost;
}

static void drain_free_threads(struct stele_drain *d)
{
	for (uint32_t i = 0; i < d->thread_count; i++)
		stele__thread_free(d->threads[i]);
	while (d->departed) {
		struct stele_drain_thread *t = d->departed;

		d->departed = t->departed_next;
		stele__thread_free(t);
	}
	while (d->go_list) {
		struct stele_drain_go *go = d->go_list;

		d->go_list = go->next;
		free(go->regions);
		free(go);
	}
}

void stele__drain_free(struct stele_drain *d)
{
	if (!d)
		return;
	drain_free_threads(d);
	stele__lookup_done(&d->gos, NULL);
	stele__lookup_done(&d->tasks, NULL);
	stele__lookup_done(&d->retired, NULL);
	stele__lookup_done(&d->memory_live, NULL);
	stele__lookup_done(&d->runtime_procs, free);
	stele__lane_done(&d->nobody);
	free(d->samples.data);
	stele__tables_done(&d->tables);
	stele__own_done(&d->own);
	free(d->outlet.data);
	free(d->threads);
	free(d->by_slot);
	free(d->procs);
	free(d->rings);
	free(d->tids);
	free(d);
}
