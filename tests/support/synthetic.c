/* SPDX-License-Identifier: MIT */
#include "support/synthetic.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drain/carry.h"
#include "stele/read.h"
#include "sys/sys.h"

static int synthetic_write(void *arg, const void *data, size_t bytes)
{
	struct synthetic *s = arg;

	if (++s->writes == s->fail_at)
		return -ENOSPC;
	if (bytes > s->out_max - s->out_bytes) {
		s->out_max = (s->out_max + bytes) * 2;
		s->out = realloc(s->out, s->out_max);
		if (!s->out)
			abort();
	}
	memcpy(s->out + s->out_bytes, data, bytes);
	s->out_bytes += bytes;
	return 0;
}

static struct stele_clock_pair synthetic_now(void *arg)
{
	struct synthetic *s = arg;
	uint64_t now = s->first ? s->first : s->now;

	s->first = 0;
	return (struct stele_clock_pair){.ticks = now * s->rate,
					 .monotonic_ns = now,
					 .realtime_ns = now + s->wall_ns + 1700000000000000000ull};
}

static int64_t synthetic_threads(void *arg, uint32_t *tids, size_t max)
{
	const struct synthetic *s = arg;
	int64_t count = 0;

	for (uint32_t i = 0; i < s->tid_count; i++) {
		if (s->tids[i] == s->unlisted)
			continue;
		if ((size_t)count < max)
			tids[count] = s->tids[i];
		count++;
	}
	return count;
}

static bool synthetic_exists(void *arg, uint32_t tid)
{
	const struct synthetic *s = arg;

	for (uint32_t i = 0; i < s->tid_count; i++)
		if (s->tids[i] == tid)
			return true;
	return false;
}

static size_t synthetic_resolve(void *arg, uint32_t epoch, uint64_t pc, struct stele_frame *frames,
				size_t max)
{
	static char names[2][64];

	(void)arg;
	(void)epoch;
	if (pc % 16 == 0 || max < 2)
		return 0;
	snprintf(names[0], sizeof(names[0]), "inlined_%llx", (unsigned long long)pc);
	snprintf(names[1], sizeof(names[1]), "outer_%llx", (unsigned long long)pc / 16);
	frames[0] = (struct stele_frame){names[0], "a.c", (uint32_t)pc & 255};
	frames[1] = (struct stele_frame){names[1], NULL, 7};
	return 2;
}

static int synthetic_new_drain(struct synthetic *s, const struct stele_carry *carry)
{
	struct stele_drain_options options = {
		.version = s->version,
		.sink = s->sink ? *s->sink
				: (struct stele_sink){.write = synthetic_write, .arg = s},
		.excerpts = s->excerpts,
		.watch = s->watch,
		.switches = s->switches,
		.symbolizer = {.resolve = synthetic_resolve},
		.liveness = {synthetic_threads, synthetic_exists, s},
		.clock = {synthetic_now, s},
		.keep = s->keep && !s->torn,
		.torn = s->torn,
		.still = s->torn,
		.carry = carry,
		.program = "synthetic"};

	return stele__drain_new(s->arena, &options, &s->drain);
}

void synthetic_open(struct synthetic *s, uint64_t arena_bytes, unsigned version, uint64_t rate)
{
	struct stele_arena_options options = {.bytes = arena_bytes,
					      .clock = rate == 1 ? STELE_CLOCK_MONOTONIC
								 : STELE_CLOCK_TSC,
					      .events = UINT32_MAX,
					      .stack_frames_max = 32};

	*s = (struct synthetic){.now = SYNTHETIC_BEGIN_NS,
				.step = 1000,
				.rate = rate,
				.version = version,
				.keep = s->keep,
				.excerpts = s->excerpts,
				.sink = s->sink,
				.watch = s->watch,
				.switches = s->switches,
				.fail_at = s->fail_at};
	s->fd = stele__sys_memfd("synthetic");
	if (s->fd < 0 || stele__arena_create(s->fd, &options, &s->arena) < 0 ||
	    synthetic_new_drain(s, NULL) < 0) {
		printf("Bail out! no arena or no drain\n");
		exit(1);
	}
}

static bool synthetic_go_on(struct synthetic *s)
{
	struct stele_carry carry;
	uint8_t *copy;
	int error;

	stele__drain_free(s->drain);
	s->drain = NULL;
	if (stele__carry_find(s->out, s->out_bytes, &carry) < 0)
		abort();
	/* The sink moves its bytes when it grows. */
	copy = malloc(carry.bytes + 1);
	if (!copy)
		abort();
	memcpy(copy, s->out, carry.bytes);
	carry.trace = copy;
	s->out_bytes = carry.bytes;
	s->first = SYNTHETIC_BEGIN_NS;
	error = synthetic_new_drain(s, carry.bytes ? &carry : NULL);
	free(copy);
	return error == 0;
}

void synthetic_take_over(struct synthetic *s)
{
	if (!synthetic_go_on(s)) {
		printf("Bail out! nothing to go on from\n");
		abort();
	}
}

bool synthetic_restart(struct synthetic *s)
{
	s->torn = true;
	return synthetic_go_on(s);
}

void synthetic_close(struct synthetic *s)
{
	stele__drain_free(s->drain);
	stele__arena_unmap(s->arena);
	close(s->fd);
	free(s->out);
}

struct synthetic_thread synthetic_thread(struct synthetic *s, uint32_t tid, uint64_t g,
					 uint64_t flags)
{
	struct synthetic_thread t = {stele__slot_take(s->arena), stele__ring_take(s->arena, 0),
				     tid};

	if (!t.slot || !t.ring) {
		printf("Bail out! no slot or no ring\n");
		exit(1);
	}
	t.slot->tid = tid;
	t.slot->goroutine = g;
	t.slot->birth = ++s->arena->births;
	t.ring->slot = stele__slot_index(s->arena, t.slot);
	t.ring->incarnation = t.slot->incarnation;
	t.ring->sequence = 0;
	if (flags != UINT64_MAX)
		synthetic_emit(s, &t, STELE_KIND_THREAD_BEGIN, g, flags, 0x401000);
	stele__store_release(&t.slot->state, STELE_SLOT_LIVE);
	stele__store_release(&t.ring->state, STELE_RING_LIVE);
	s->tids[s->tid_count++] = tid;
	return t;
}

void synthetic_die(struct synthetic *s, const struct synthetic_thread *t)
{
	for (uint32_t i = 0; i < s->tid_count; i++) {
		if (s->tids[i] != t->tid)
			continue;
		s->tids[i] = s->tids[--s->tid_count];
		return;
	}
}

uint64_t synthetic_reserve(struct synthetic_thread *t)
{
	return stele__token(t->ring->sequence, t->ring->head++);
}

void synthetic_fill(struct synthetic *s, struct synthetic_thread *t, uint64_t token, uint64_t time,
		    enum stele_kind kind, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t position = token & ((1ull << 40) - 1);
	struct stele_record *r = stele__ring_record(t->ring, position);
	uint64_t ticks = time * s->rate & ((1ull << STELE_TIME_BITS) - 1);

	r->a = a;
	r->b = b;
	r->c = c;
	stele__store_release(
		&r->header,
		stele__record_header(ticks, kind, stele__record_lap(position, t->ring->shift)));
}

uint64_t synthetic_emit(struct synthetic *s, struct synthetic_thread *t, enum stele_kind kind,
			uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t token = synthetic_reserve(t);

	synthetic_fill(s, t, token, s->now, kind, a, b, c);
	s->now += s->step;
	return token;
}

void synthetic_replace(struct synthetic *s, struct synthetic_thread *t, uint32_t size_class,
		       bool duplicate)
{
	for (int i = duplicate ? 0 : 1; i < 2; i++) {
		struct stele_ring *next = stele__ring_take(s->arena, size_class);

		next->slot = t->ring->slot;
		next->incarnation = t->ring->incarnation;
		next->sequence = t->ring->sequence + 1;
		stele__store_release(&next->state, STELE_RING_PREPARED);
		if (i == 0)
			continue; /* the one that lost the race, and was never given back */
		t->ring->head |= STELE_HEAD_CLOSED;
		stele__store_release(&next->state, STELE_RING_LIVE);
		t->ring = next;
	}
}

uint32_t synthetic_string(struct synthetic *s, const char *text)
{
	uint32_t bytes = (uint32_t)strlen(text);

	return stele__dictionary_intern(s->arena, STELE_ENTRY_STRING, 0, 0, bytes, text, bytes,
					NULL, 0);
}

uint32_t synthetic_stack(struct synthetic *s, const uint64_t *pcs, uint32_t count)
{
	return stele__dictionary_intern(s->arena, STELE_ENTRY_STACK, 0, 0, count, pcs, count * 8,
					NULL, 0);
}

int synthetic_finish(struct synthetic *s)
{
	const struct stele_ending ending = {.known = true};

	s->tid_count = 0;
	return stele__drain_finish(s->drain, &ending);
}

/* Reads all of `out`; counts wire events of one type, and tells the time of the last. */
static int synthetic_read(const struct synthetic *s, unsigned type, uint64_t *ret_count,
			  uint64_t *ret_last)
{
	const struct stele_event *event;
	struct stele_reader *reader;
	uint64_t count = 0;
	int got = stele_reader_open_memory(s->out, s->out_bytes, NULL, &reader);

	if (got < 0)
		return got;
	while ((got = stele_reader_next(reader, &event)) > 0) {
		count += event->type == type;
		if (event->type)
			*ret_last = (uint64_t)event->time;
	}
	if (got < 0)
		printf("# %s\n", stele_reader_diag(reader)->text);
	for (size_t i = 0; i < stele_reader_warning_count(reader); i++)
		printf("# %s\n", stele_reader_warning(reader, i)->text);
	if (got == 0 && stele_reader_warning_count(reader))
		got = STELE_WARNING - 1;
	stele_reader_close(reader);
	*ret_count = count;
	return got;
}

bool synthetic_is_valid(const struct synthetic *s)
{
	const char *dump = getenv("STELE_SYNTHETIC_DUMP");
	static unsigned dumped;
	uint64_t count, last;
	bool valid = synthetic_read(s, 0, &count, &last) == 0;

	/* For other readers' opinion. */
	if (dump) {
		char path[4096];
		FILE *file;

		snprintf(path, sizeof(path), "%s/%06u.trace", dump, dumped++);
		file = fopen(path, "wb");
		if (file) {
			fwrite(s->out, 1, s->out_bytes, file);
			fclose(file);
		}
	}
	return valid;
}

uint64_t synthetic_count(const struct synthetic *s, unsigned type)
{
	uint64_t count = 0, last = 0;

	synthetic_read(s, type, &count, &last);
	return count;
}

uint64_t synthetic_last_ns(const struct synthetic *s)
{
	uint64_t count = 0, last = 0;

	synthetic_read(s, 0, &count, &last);
	return last;
}
