/* SPDX-License-Identifier: MIT */
/*
 * stele/fiber.h: channels. Under a channel's lock: there are waiting receivers only if it holds no
 * value and there are no senders, and waiting senders only if it is full and there are no
 * receivers. So a value goes by way of the ring only if it must wait there.
 */
#include <string.h>

#include "fiber/lock.h"
#include "fiber/objects.h"
#include "fiber/scheduler.h"

struct stele_channel {
	uint32_t lock;
	bool closed;
	size_t value_bytes, capacity;
	size_t first, count; /* of the ring */
	struct stele_waiters senders, receivers;
	unsigned char ring[];
};

STELE_EXPORT struct stele_channel *stele_channel_new(size_t value_bytes, size_t capacity)
{
	size_t bytes;
	struct stele_channel *c;

	if (__builtin_mul_overflow(value_bytes, capacity, &bytes) ||
	    __builtin_add_overflow(bytes, sizeof(*c), &bytes))
		return NULL;
	c = stele__heap_alloc(bytes);
	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->value_bytes = value_bytes;
	c->capacity = capacity;
	return c;
}

STELE_EXPORT void stele_channel_free(struct stele_channel *c)
{
	stele__heap_free(c);
}

static unsigned char *ring_at(struct stele_channel *c, size_t index)
{
	return c->ring + (index % c->capacity) * c->value_bytes;
}

static void ring_put(struct stele_channel *c, const void *value)
{
	memcpy(ring_at(c, c->first + c->count), value, c->value_bytes);
	c->count++;
}

static void ring_take(struct stele_channel *c, void *ret_value)
{
	memcpy(ret_value, ring_at(c, c->first), c->value_bytes);
	c->first = (c->first + 1) % c->capacity;
	c->count--;
}

/* The other side reads or writes the value, perhaps on this fiber's stack. Under the lock, given
 * back. */
static bool channel_wait(struct stele_channel *c, struct stele_waiters *list, enum stele_wait why,
			 void *value)
{
	struct stele_fiber *f = stele_fiber_self();

	stele_fiber_touch(value, c->value_bytes);
	f->value = value;
	f->delivered = false;
	stele__fiber_wait_in(list, &c->lock, why, c);
	return f->delivered;
}

static void waiter_done(struct stele_channel *c, struct stele_fiber *f)
{
	f->delivered = true;
	stele__unlock(&c->lock);
	stele__sched_ready(f);
}

STELE_EXPORT bool stele_channel_send(struct stele_channel *c, const void *value)
{
	struct stele_fiber *f;

	stele__lock(&c->lock);
	if (c->closed) {
		stele__unlock(&c->lock);
		return false;
	}
	f = stele__waiters_take(&c->receivers);
	if (f) {
		memcpy(f->value, value, c->value_bytes);
		waiter_done(c, f);
		return true;
	}
	if (c->count < c->capacity) {
		ring_put(c, value);
		stele__unlock(&c->lock);
		return true;
	}
	return channel_wait(c, &c->senders, STELE_WAIT_CHANNEL_SEND, (void *)(uintptr_t)value);
}

STELE_EXPORT bool stele_channel_receive(struct stele_channel *c, void *ret_value)
{
	struct stele_fiber *f;

	stele__lock(&c->lock);
	if (c->count) {
		ring_take(c, ret_value);
		f = stele__waiters_take(&c->senders);
		if (f)
			ring_put(c, f->value);
	} else {
		f = stele__waiters_take(&c->senders);
		if (f)
			memcpy(ret_value, f->value, c->value_bytes);
		else if (!c->closed)
			return channel_wait(c, &c->receivers, STELE_WAIT_CHANNEL_RECEIVE,
					    ret_value);
		if (!f) {
			stele__unlock(&c->lock);
			return false;
		}
	}
	if (f)
		waiter_done(c, f);
	else
		stele__unlock(&c->lock);
	return true;
}

STELE_EXPORT void stele_channel_close(struct stele_channel *c)
{
	struct stele_waiters senders, receivers;

	stele__lock(&c->lock);
	c->closed = true;
	senders = c->senders;
	receivers = c->receivers;
	c->senders = c->receivers = (struct stele_waiters){0};
	stele__unlock(&c->lock);
	stele__waiters_ready(senders);
	stele__waiters_ready(receivers);
}
