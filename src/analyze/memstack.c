/* SPDX-License-Identifier: MIT */
/*
 * Stacks, and whose they are. An event of a stack does not say for whom; the goroutine that runs on
 * the event's thread is it, but for two cases that show only at the thread's next event:
 *
 *  - another stack is freed next: the new one has taken its place. If it is larger, whoever runs
 *    there has grown; if it is smaller, somebody else may have shrunk a stack whose owner is
 * parked;
 *  - in Go, a goroutine is created next: it is its first stack.
 */
#include <errno.h>
#include <stdlib.h>

#include "analyze/memsum.h"

#define ORDER_MAX  48
#define THREAD_MIN 16384u /* no thread may have less: PTHREAD_STACK_MIN */

static const struct stele__name *stack_entry(const struct stele_analysis *a, uint64_t goroutine)
{
	const struct stele__flow *go = stele__flow_find(a, goroutine);

	if (!go)
		return NULL;
	return go->name && go->name->text.bytes ? go->name : go->entry;
}

static struct stele__stack_owner *stack_owner(struct stele_analysis *a, uint64_t goroutine)
{
	struct stele__memory *m = a->memory;
	struct stele__stack_owner *owner = stele__keymap_get(&m->owners, goroutine);

	if (!owner) {
		owner = calloc(1, sizeof(*owner));
		if (!owner || stele__keymap_add(&m->owners, goroutine, owner) < 0) {
			free(owner);
			return NULL;
		}
		owner->goroutine = goroutine;
	}
	if (!owner->entry)
		owner->entry = stack_entry(a, goroutine);
	return owner;
}

/* The sum over owners of the same name; NULL: no memory. */
static struct stele_memory_owner *stack_group(struct stele_analysis *a,
					      const struct stele__name *entry)
{
	struct stele__keymap *entries = &a->memory->entries;
	const struct stele__name *name = entry ? entry : a->empty;
	struct stele_memory_owner *group = stele__keymap_get(entries, (uintptr_t)name);

	if (group)
		return group;
	group = calloc(1, sizeof(*group));
	if (!group || stele__keymap_add(entries, (uintptr_t)name, group) < 0) {
		free(group);
		return NULL;
	}
	group->entry = name->text;
	return group;
}

/* What was seen is not the worst there can be: twice that, as a power of two. */
static uint64_t stack_suggested(uint64_t used)
{
	uint64_t bytes = THREAD_MIN;

	while (bytes / 2 < used && bytes < (uint64_t)1 << ORDER_MAX)
		bytes *= 2;
	return bytes;
}

/* Its last stack is gone, or the trace ends. */
static int stack_fold(struct stele_analysis *a, struct stele__stack_owner *owner)
{
	struct stele_memory_owner *group;

	if (!owner->entry)
		owner->entry = stack_entry(a, owner->goroutine);
	group = stack_group(a, owner->entry);
	if (!group)
		return -ENOMEM;
	group->owners++;
	group->live += owner->stacks;
	group->live_bytes += owner->live_bytes;
	group->moved += owner->moved;
	if (owner->high_bytes > group->high_bytes)
		group->high_bytes = owner->high_bytes;
	if (owner->used_bytes > group->used_bytes)
		group->used_bytes = owner->used_bytes;
	if (owner->moved && owner->high_bytes > group->suggested_bytes)
		group->suggested_bytes = owner->high_bytes;
	if (owner->used_bytes && stack_suggested(owner->used_bytes) > group->suggested_bytes)
		group->suggested_bytes = stack_suggested(owner->used_bytes);
	stele__keymap_drop(&a->memory->owners, owner->goroutine, owner);
	free(owner);
	return 0;
}

static int stack_disown(struct stele_analysis *a, struct stele__heap_stack *stack)
{
	struct stele__stack_owner *owner = stack->owner;

	stack->owner = NULL;
	if (!owner)
		return 0;
	owner->live_bytes -= stack->bytes;
	return --owner->stacks ? 0 : stack_fold(a, owner);
}

static int stack_own(struct stele_analysis *a, struct stele__heap_stack *stack, uint64_t goroutine,
		     bool moved)
{
	struct stele__stack_owner *owner;

	if (goroutine == STELE_NO_ID)
		return 0;
	owner = stack_owner(a, goroutine);
	if (!owner)
		return -ENOMEM;
	stack->owner = owner;
	owner->stacks++;
	owner->moved += moved;
	owner->live_bytes += stack->bytes;
	if (stack->bytes > owner->high_bytes)
		owner->high_bytes = stack->bytes;
	return 0;
}

/* The thread's new stack is this goroutine's. */
static int stack_claim(struct stele_analysis *a, struct stele__allocator *thread,
		       uint64_t goroutine, bool moved)
{
	struct stele__heap_stack *stack = thread->stack;
	int r;

	if (!stack)
		return 0;
	thread->stack = NULL;
	stack->allocator = NULL;
	r = stack_own(a, stack, goroutine, moved);
	if (r == 0 && stack->owner && !stack->owner->entry && goroutine == thread->goroutine)
		stack->owner->entry = thread->entry;
	return r;
}

void stele__stack_used(struct stele_analysis *a, const struct stele_detail *detail)
{
	struct stele__memory *m = a->memory;
	uint64_t unit = m->layout.known && m->layout.stack_unit ? m->layout.stack_unit : 1;
	uint64_t offset = (detail->object - m->layout.base) % unit;
	const struct stele__heap_stack *stack =
		stele__keymap_get(&m->stacks, detail->object - offset);
	const struct stele__allocator *thread = stele__keymap_get(&m->allocators, detail->thread);
	struct stele__stack_owner *owner = stack ? stack->owner : NULL;

	/* Of one that the thread has allocated last it is not settled yet whose it is. */
	if (stack && !owner && thread && thread->stack == stack)
		owner = stack_owner(a, thread->goroutine);
	if (owner && detail->result > 0 && (uint64_t)detail->result > owner->used_bytes)
		owner->used_bytes = (uint64_t)detail->result;
}

/* Nobody else claims it: it is the goroutine's that ran there; in Go, that would have shown. */
static int stack_settle(struct stele_analysis *a, struct stele__allocator *thread)
{
	return stack_claim(a, thread, a->memory->go ? STELE_NO_ID : thread->goroutine, false);
}

static int stack_drop(struct stele_analysis *a, struct stele__heap_stack *stack)
{
	struct stele__memory *m = a->memory;
	int r = stack_disown(a, stack);

	if (stack->allocator)
		stack->allocator->stack = NULL;
	stele__memory_drop(&m->face.sum[STELE_MEMORY_STACKS], stack->bytes);
	stele__keymap_drop(&m->stacks, stack->address, stack);
	free(stack);
	return r;
}

static int stack_new(struct stele_analysis *a, uint64_t address, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	bool existed = event->type == MEMORY_STACK;
	uint64_t order = event->value[1];
	struct stele__heap_stack *stack = calloc(1, sizeof(*stack));
	struct stele__allocator *thread = stele__allocator(m, event->thread);
	int r = stack && thread ? stele__keymap_add(&m->stacks, address, stack) : -ENOMEM;

	if (r < 0) {
		free(stack);
		return r;
	}
	stack->address = address;
	stack->bytes = order && order <= ORDER_MAX ? (uint64_t)1 << (order - 1) : 0;
	stack->since = existed ? INT64_MIN : event->time;
	stele__memory_gain(&m->face.sum[STELE_MEMORY_STACKS], stack->bytes, event->time, existed);
	if (existed)
		return 0;
	r = stack_settle(a, thread);
	thread->stack = stack;
	stack->allocator = thread;
	thread->goroutine = event->goroutine;
	thread->entry = stack_entry(a, event->goroutine);
	return r;
}

static int stack_born(struct stele_analysis *a, uint64_t address, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	struct stele__pairs *pairs = &m->pairs[STELE_MEMORY_STACKS];
	struct stele__heap_stack *old = stele__keymap_get(&m->stacks, address);
	int r = 0;

	if (event->type == MEMORY_STACK)
		pairs->retold += old != NULL;
	else
		r = stele__pairs_alloc(pairs, address, old != NULL, event);
	if (r == 0)
		r = stele__memory_note(&m->stack_seen, address);
	if (r == 0 && old)
		r = stack_drop(a, old);
	return r < 0 ? r : stack_new(a, address, event);
}

/* What the thread allocated just before takes the place of this one. */
static int stack_replaced(struct stele_analysis *a, struct stele__allocator *thread,
			  const struct stele__heap_stack *old)
{
	bool grown = thread->stack->bytes > old->bytes;
	uint64_t goroutine = thread->goroutine;

	if (!grown || goroutine == STELE_NO_ID)
		goroutine = old->owner ? old->owner->goroutine : STELE_NO_ID;
	return stack_claim(a, thread, goroutine, true);
}

static int stack_died(struct stele_analysis *a, uint64_t address, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	struct stele__pairs *pairs = &m->pairs[STELE_MEMORY_STACKS];
	struct stele__heap_stack *stack = stele__keymap_get(&m->stacks, address);
	struct stele__allocator *thread = stele__allocator(m, event->thread);
	bool keep;
	int r;

	if (!thread)
		return -ENOMEM;
	if (!stack) {
		struct stele__heap_span *span = stele__spantree_around(&m->spans, address);

		r = stele__pairs_stray(pairs, address,
				       stele__keymap_get(&m->stack_seen, address) ||
					       (span && !span->existed),
				       event);
		return r < 0 ? r : stele__memory_note(&m->stack_seen, address);
	}
	r = stele__pairs_free(pairs, address, 0, event, &keep);
	if (r < 0 || keep)
		return r;
	r = thread->stack && thread->stack != stack && thread->goroutine == event->goroutine
		    ? stack_replaced(a, thread, stack)
		    : stack_settle(a, thread);
	return r < 0 ? r : stack_drop(a, stack);
}

int stele__stack_event(struct stele_analysis *a, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	uint64_t unit = m->layout.known ? m->layout.stack_unit : 1;
	uint64_t address = m->layout.base + event->value[0] * unit;

	if (event->type == MEMORY_STACK_FREE)
		return stack_died(a, address, event);
	/* Go's snapshot has goroutines that have ended and own no stack. */
	return event->value[1] ? stack_born(a, address, event) : 0;
}

int stele__memory_created(struct stele_analysis *a, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	struct stele__allocator *thread =
		m->go ? stele__keymap_get(&m->allocators, event->thread) : NULL;

	return thread ? stack_claim(a, thread, event->resource_id, false) : 0;
}

int stele__memory_ended(struct stele_analysis *a, const struct stele_event *event)
{
	struct stele__memory *m = a->memory;
	struct stele__allocator *thread = stele__keymap_get(&m->allocators, event->thread);
	int r = thread && thread->goroutine == event->resource_id ? stack_settle(a, thread) : 0;
	struct stele__stack_owner *owner = stele__keymap_get(&m->owners, event->resource_id);

	stele__actor_ends(a, event->resource_id);
	if (owner && !owner->entry)
		owner->entry = stack_entry(a, event->resource_id);
	return r;
}

/* Results -------------------------------------------------------------------------------------- */

static int stack_compare(const void *left, const void *right)
{
	const struct stele_memory_stack *a = left, *b = right;
	int r = (a->high_bytes < b->high_bytes) - (a->high_bytes > b->high_bytes);

	if (!r)
		r = (a->bytes < b->bytes) - (a->bytes > b->bytes);
	return r ? r : (a->address > b->address) - (a->address < b->address);
}

static int owner_compare(const void *left, const void *right)
{
	const struct stele_memory_owner *a = left, *b = right;
	int r = (a->high_bytes < b->high_bytes) - (a->high_bytes > b->high_bytes);

	if (!r)
		r = (a->owners < b->owners) - (a->owners > b->owners);
	return r ? r : stele__text_compare(a->entry, b->entry);
}

static int stacks_list(struct stele_analysis *a)
{
	struct stele__memory *m = a->memory;
	const struct stele__heap_stack *stack;
	size_t at = 0;

	m->stack_list = calloc(m->stacks.used + 1, sizeof(*m->stack_list));
	if (!m->stack_list)
		return -ENOMEM;
	while ((stack = stele__keymap_each(&m->stacks, &at))) {
		struct stele__stack_owner *owner = stack->owner;
		struct stele_memory_stack *s = &m->stack_list[m->stack_count++];

		*s = (struct stele_memory_stack){.address = stack->address,
						 .bytes = stack->bytes,
						 .goroutine = STELE_NO_ID,
						 .since = stack->since};
		if (!owner)
			continue;
		s->high_bytes = owner->high_bytes;
		s->goroutine = owner->goroutine;
		if (!owner->entry)
			owner->entry = stack_entry(a, owner->goroutine);
		if (owner->entry)
			s->entry = owner->entry->text;
	}
	qsort(m->stack_list, m->stack_count, sizeof(*m->stack_list), stack_compare);
	return 0;
}

static int stacks_claim_all(struct stele_analysis *a)
{
	struct stele__allocator *thread;
	size_t at = 0;
	int r = 0;

	while (r == 0 && (thread = stele__keymap_each(&a->memory->allocators, &at)))
		r = stack_settle(a, thread);
	return r;
}

static int owners_list(struct stele_analysis *a)
{
	struct stele__memory *m = a->memory;
	const struct stele_memory_owner *group;
	struct stele__stack_owner *owner;
	size_t at = 0;
	int r = 0;

	/* Folding takes it out of the table, which may move others. */
	while (r == 0 && (at = 0, owner = stele__keymap_each(&m->owners, &at)))
		r = stack_fold(a, owner);
	m->owner_list = calloc(m->entries.used + 1, sizeof(*m->owner_list));
	if (r < 0 || !m->owner_list)
		return -ENOMEM;
	at = 0;
	while ((group = stele__keymap_each(&m->entries, &at)))
		m->owner_list[m->owner_count++] = *group;
	qsort(m->owner_list, m->owner_count, sizeof(*m->owner_list), owner_compare);
	return 0;
}

int stele__stacks_settle(struct stele_analysis *a)
{
	struct stele__memory *m = a->memory;
	struct stele__heap_stack *stack;
	uint64_t address;
	size_t at = 0;
	int r = stacks_claim_all(a);

	while (r == 0 && stele__pairs_settle(&m->pairs[STELE_MEMORY_STACKS], &at, &address))
		if ((stack = stele__keymap_get(&m->stacks, address)))
			r = stack_drop(a, stack);
	if (r == 0)
		r = stacks_list(a);
	at = 0;
	while (r == 0 && (stack = stele__keymap_each(&m->stacks, &at)))
		stack->owner = NULL; /* the owners go now */
	return r < 0 ? r : owners_list(a);
}

void stele__stacks_free(struct stele__memory *m)
{
	stele__keymap_free(&m->stacks);
	stele__keymap_free(&m->owners);
	stele__keymap_free(&m->entries);
	stele__keymap_done(&m->stack_seen);
}
