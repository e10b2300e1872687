/* SPDX-License-Identifier: MIT */
/*
 * Traces for tests of the reader: valid structure by default, so that a test can break one thing.
 *
 *	struct tracemaker t = tracemaker(23);
 *	tracemaker_begin(&t, 77);
 *	tracemaker_event(&t, STELE_EV_PROC_STATUS, 2, (uint64_t[]){0, 1});
 *	tracemaker_end(&t);
 *	tracemaker_clock(&t);
 */
#ifndef STELE_TESTS_TRACEMAKER_H
#define STELE_TESTS_TRACEMAKER_H

#include <string.h>

#include "format/cursor.h"

#define TRACEMAKER_BYTES 65536

struct tracemaker {
	unsigned version;
	uint64_t generation;
	uint64_t time; /* of the next batch */
	uint64_t thread;
	size_t bytes, payload_bytes;
	uint8_t data[TRACEMAKER_BYTES];
	uint8_t payload[TRACEMAKER_BYTES];
};

#define TRACEMAKER_OK __attribute__((unused))

TRACEMAKER_OK static struct tracemaker tracemaker(unsigned version)
{
	struct tracemaker t = {.version = version, .generation = 1, .time = 1000};

	stele__header_put(t.data, version);
	t.bytes = STELE_HEADER_BYTES;
	return t;
}

TRACEMAKER_OK static void tracemaker_number(struct tracemaker *t, uint64_t v)
{
	t->payload_bytes =
		(size_t)(stele__varint_put(t->payload + t->payload_bytes, v) - t->payload);
}

TRACEMAKER_OK static void tracemaker_byte(struct tracemaker *t, unsigned byte)
{
	t->payload[t->payload_bytes++] = (uint8_t)byte;
}

TRACEMAKER_OK static void tracemaker_begin(struct tracemaker *t, uint64_t thread)
{
	t->thread = thread;
	t->payload_bytes = 0;
}

/* One tick after the last event of the batch. */
TRACEMAKER_OK static void tracemaker_event(struct tracemaker *t, unsigned type, unsigned count,
					   const uint64_t *args)
{
	tracemaker_byte(t, type);
	tracemaker_number(t, 1);
	for (unsigned i = 0; i < count; i++)
		tracemaker_number(t, args[i]);
}

TRACEMAKER_OK static void tracemaker_end(struct tracemaker *t)
{
	uint8_t *p = t->data + t->bytes;

	*p++ = STELE_EV_EVENT_BATCH;
	p = stele__varint_put(p, t->generation);
	p = stele__varint_put(p, t->thread);
	p = stele__varint_put(p, t->time);
	p = stele__varint_put(p, t->payload_bytes);
	memcpy(p, t->payload, t->payload_bytes);
	t->bytes = (size_t)(p - t->data) + t->payload_bytes;
	t->time += 100;
}

/* The batch that each generation needs: 15625000 ticks a second. */
TRACEMAKER_OK static void tracemaker_clock(struct tracemaker *t)
{
	tracemaker_begin(t, STELE_NONE_ID);
	if (t->version >= 25)
		tracemaker_byte(t, STELE_EV_SYNC);
	tracemaker_byte(t, STELE_EV_FREQUENCY);
	tracemaker_number(t, 15625000);
	if (t->version >= 25) {
		tracemaker_byte(t, STELE_EV_CLOCK_SNAPSHOT);
		for (uint64_t i = 1; i <= 4; i++)
			tracemaker_number(t, i);
	}
	tracemaker_end(t);
}

/* Thread 77 holds proc 0 and runs goroutine 1; the batch stays open. */
TRACEMAKER_OK static void tracemaker_running(struct tracemaker *t)
{
	tracemaker_begin(t, 77);
	tracemaker_event(t, STELE_EV_PROC_STATUS, 2, (uint64_t[]){0, STELE_PROC_RUNNING});
	tracemaker_event(t, STELE_EV_GO_STATUS, 3, (uint64_t[]){1, 77, STELE_GO_RUNNING});
}

TRACEMAKER_OK static void tracemaker_next_generation(struct tracemaker *t)
{
	if (t->version >= 26)
		t->data[t->bytes++] = STELE_EV_END_OF_GENERATION;
	t->generation++;
}

#endif
