/* SPDX-License-Identifier: MIT */
/*
 * What there is to say about a thread's events and has no place in them: what a wait is for and who
 * has it, when that was given up and where. Batches of the allocation experiment with a payload
 * kind of our own, each of one thread:
 *
 *   payload := 0x44 ( head:byte dt fields )*    head is kind << 3 | number of fields
 *
 * Times count as those of events do. That of a wait is the time of the GoBlock that it is of.
 */
#include <errno.h>

#include "drain/machine.h"
#include "format/own.h"

#define DETAIL_FILES_MAX 4096 /* remembered: as many as a recorder tells of */

static uint8_t *detail_begin(struct stele_drain *d, struct stele_drain_thread *t,
			     enum stele_own_detail kind, unsigned fields, uint64_t time)
{
	if (!t->details.batch.data && stele__lane_init(&t->details, t->tid)) {
		d->error = d->error ? d->error : -ENOMEM;
		return NULL;
	}
	t->details.details = true;
	return stele__lane_entry(d, &t->details, (uint8_t)(kind << 3 | fields), time);
}

void stele__detail_wait(struct stele_drain *d, struct stele_drain_thread *t, uint64_t object,
			uint32_t holder)
{
	uint8_t *p;

	if (!object)
		return;
	t->go->standing.object = object;
	t->go->standing.holder = holder;
	stele__own_object(d, object, 0);
	p = detail_begin(d, t, STELE_OWN_DETAIL_WAIT, 2, t->lane.batch.time);
	if (!p)
		return;
	p = stele__varint_put(p, object);
	stele__lane_end(&t->details, stele__varint_put(p, holder));
}

void stele__detail_release(struct stele_drain *d, struct stele_drain_thread *t,
			   const struct stele_record *r, uint64_t time)
{
	uint8_t *p;

	stele__own_object(d, r->b, 0);
	p = detail_begin(d, t, STELE_OWN_DETAIL_RELEASE, 3, time);
	if (!p)
		return;
	p = stele__varint_put(p, r->b);
	p = stele__varint_put(p, stele__intern_stack(d, (uint32_t)(r->a >> 32)));
	stele__lane_end(&t->details, stele__varint_put(p, stele__intern_stack(d, (uint32_t)r->c)));
}

void stele__detail_call(struct stele_drain *d, struct stele_drain_thread *t,
			const struct stele_drain_interval *call)
{
	uint8_t *p;

	if (!call->file)
		return;
	p = detail_begin(d, t, STELE_OWN_DETAIL_CALL, 1, t->lane.batch.time);
	if (p)
		stele__lane_end(&t->details, stele__varint_put(p, (uint32_t)call->object));
}

/* Small ones of either sign are short. */
void stele__detail_result(struct stele_drain *d, struct stele_drain_thread *t, int64_t result)
{
	uint8_t *p = detail_begin(d, t, STELE_OWN_DETAIL_RESULT, 1, t->lane.batch.time);

	if (p)
		stele__lane_end(&t->details, stele__varint_put(p, stele__zigzag(result)));
}

void stele__detail_stack(struct stele_drain *d, struct stele_drain_thread *t,
			 const struct stele_record *r, uint64_t time)
{
	uint8_t *p = detail_begin(d, t, STELE_OWN_DETAIL_STACK, 2, time);

	if (p)
		stele__lane_end(&t->details, stele__varint_put(stele__varint_put(p, r->a), r->b));
}

/* name: dictionary id; 0: the descriptor was closed. */
static void files_remember(struct stele_drain *d, uint32_t fd, uint32_t name)
{
	if (!name)
		stele__lookup_remove(&d->own.files, fd, 0);
	else if (d->own.files.count < DETAIL_FILES_MAX || stele__lookup_get(&d->own.files, fd, 0))
		stele__lookup_put(&d->own.files, fd, 0, (void *)(uintptr_t)name);
}

void stele__detail_file(struct stele_drain *d, struct stele_drain_thread *t,
			const struct stele_record *r, uint64_t time)
{
	uint8_t *p = detail_begin(d, t, STELE_OWN_DETAIL_FILE, 2, time);

	if (!p)
		return;
	p = stele__varint_put(p, (uint32_t)r->a);
	stele__lane_end(&t->details, stele__varint_put(p, stele__intern_string(d, (uint32_t)r->b)));
	if (d->options.excerpts)
		files_remember(d, (uint32_t)r->a, (uint32_t)r->b);
}

void stele__detail_files_again(struct stele_drain *d)
{
	struct stele_batch b = stele__batch(d->tables.batch, STELE_BATCH_BUFFER_BYTES);
	const struct stele_lookup *files = &d->own.files;

	if (!files->count)
		return;
	stele__batch_begin_experimental(&b, STELE_EXPERIMENT_ALLOCFREE, d->generation,
					STELE_NONE_ID, d->floor);
	stele__batch_varint(&b, STELE_PAYLOAD_DETAILS);
	for (size_t i = 0; i <= files->mask; i++) {
		const struct stele_lookup_cell *cell = &files->cells[i];
		uint32_t name = (uint32_t)(uintptr_t)cell->value;

		if (!name)
			continue;
		stele__batch_varint(&b, STELE_OWN_DETAIL_FILE << 3 | 2);
		stele__batch_varint(&b, 0);
		stele__batch_varint(&b, cell->a);
		stele__batch_varint(&b, stele__intern_string(d, name));
	}
	stele__outlet_batch(&d->outlet, &b);
}

#define STANDING_BYTES_MAX (1 + 7 * STELE_VARINT_BYTES_MAX)

static void standing_begin(struct stele_drain *d, struct stele_batch *b)
{
	stele__batch_begin_experimental(b, STELE_EXPERIMENT_ALLOCFREE, d->generation, STELE_NONE_ID,
					d->floor);
	stele__batch_varint(b, STELE_PAYLOAD_DETAILS);
}

static void standing_tell(struct stele_drain *d, struct stele_batch *b,
			  const struct stele_drain_go *go)
{
	const struct stele_drain_standing *standing = &go->standing;
	bool waits = go->state == STELE_GO_WAITING;

	if (waits && standing->object)
		stele__own_object(d, standing->object, 0);
	stele__batch_varint(b, STELE_OWN_DETAIL_STANDING << 3 | 6);
	stele__batch_varint(b, 0);
	stele__batch_varint(b, go->id);
	stele__batch_varint(b, d->floor - standing->begin);
	stele__batch_varint(b, waits ? stele__intern_wait(d, standing->wait) : 0);
	stele__batch_varint(b, waits ? stele__intern_stack(d, standing->stack)
				     : stele__intern_call(d, standing->stack, standing->wait));
	stele__batch_varint(b, standing->object);
	stele__batch_varint(b, standing->holder);
}

void stele__detail_standing_again(struct stele_drain *d)
{
	struct stele_batch b = stele__batch(d->tables.batch, STELE_BATCH_BUFFER_BYTES);

	for (const struct stele_drain_go *go = d->go_list; go; go = go->next) {
		if ((go->state != STELE_GO_WAITING && go->state != STELE_GO_SYSCALL) ||
		    !go->standing.begin || go->standing.begin > d->floor)
			continue;
		if (stele__batch_is_open(&b) && stele__batch_room(&b) < STANDING_BYTES_MAX)
			stele__outlet_batch(&d->outlet, &b);
		if (!stele__batch_is_open(&b))
			standing_begin(d, &b);
		standing_tell(d, &b, go);
	}
	if (stele__batch_is_open(&b))
		stele__outlet_batch(&d->outlet, &b);
}

void stele__detail_order(struct stele_drain *d, struct stele_drain_thread *t,
			 const struct stele_record *r, uint64_t time)
{
	uint8_t *p;

	stele__own_object(d, r->b, 0);
	stele__own_object(d, r->c, 0);
	p = detail_begin(d, t, STELE_OWN_DETAIL_ORDER, 4, time);
	if (!p)
		return;
	p = stele__varint_put(stele__varint_put(p, r->b), r->c);
	p = stele__varint_put(p, stele__intern_stack(d, (uint32_t)(r->a >> 32)));
	stele__lane_end(&t->details, stele__varint_put(p, stele__intern_stack(d, (uint32_t)r->a)));
}
