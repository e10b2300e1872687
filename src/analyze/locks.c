/* SPDX-License-Identifier: MIT */
#include "analyze/locks.h"

#include <errno.h>
#include <stdlib.h>

#define LOCKS_SLACK_NS 1000 /* a reader moves events of one tick apart */

struct stele__lock_class {
	struct stele_lock l;
	const struct stele__name *name, *made_by, *reason;
	uint64_t address; /* 0: of all with this name, or made there */
	struct stele_lock_holder *holders;
	uint32_t holder_count, holder_max;
};

/* What a thread will wait for: told just before it does. */
struct locks_pending {
	uint64_t thread, object, holder;
	int64_t time;
};

struct stele__locks {
	struct stele__keymap objects; /* by address */
	struct stele__keymap classes;
	struct stele__keymap pending; /* by thread */
	const struct stele_lock **sorted;
	size_t sorted_count;
};

struct stele__locks *stele__locks_new(void)
{
	struct stele__locks *locks = calloc(1, sizeof(*locks));

	if (!locks)
		return NULL;
	stele__keymap_init(&locks->objects);
	stele__keymap_init(&locks->classes);
	stele__keymap_init(&locks->pending);
	return locks;
}

void stele__locks_free(struct stele__locks *locks)
{
	struct stele__lock_class *class;
	struct stele__object *object;
	size_t at = 0;

	if (!locks)
		return;
	while ((object = stele__keymap_each(&locks->objects, &at)))
		free(object->releases);
	at = 0;
	while ((class = stele__keymap_each(&locks->classes, &at)))
		free(class->holders);
	stele__keymap_free(&locks->objects);
	stele__keymap_free(&locks->classes);
	stele__keymap_free(&locks->pending);
	free(locks->sorted);
	free(locks);
}

struct stele__object *stele__locks_object_find(const struct stele_analysis *a, uint64_t address)
{
	return stele__keymap_get(&a->locks->objects, address);
}

struct stele__object *stele__locks_object_at(struct stele_analysis *a, uint64_t address)
{
	struct stele__object *object = stele__locks_object_find(a, address);

	if (object)
		return object;
	object = calloc(1, sizeof(*object));
	if (!object || stele__keymap_add(&a->locks->objects, address, object) < 0) {
		free(object);
		return NULL;
	}
	object->address = address;
	object->name = object->made_by = object->made_file = a->empty;
	object->owner = object->owner_before = STELE_NO_ID;
	object->owner_since = INT64_MIN / 2;
	return object;
}

/* Told again, another one lies at this address, from some moment of the generation on: who waits
 * now still waits for the one before. */
int stele__locks_object(struct stele_analysis *a, const struct stele_data_item *item)
{
	struct stele__object *object = stele__locks_object_at(a, item->value[0]);
	const struct stele__name *text[3];

	if (!object)
		return -ENOMEM;
	for (unsigned i = 0; i < 3; i++) {
		text[i] = stele__name_intern(a, item->text[i]);
		if (!text[i])
			return -ENOMEM;
	}
	object->name = text[0];
	object->made_by = text[1];
	object->made_file = text[2];
	object->made_line = item->value[1];
	object->renamed = true;
	return 0;
}

static bool class_is_of(const struct stele__lock_class *class, const struct stele__object *object,
			const struct stele__name *reason, uint64_t address)
{
	return class->name == object->name && class->made_by == object->made_by &&
	       class->l.made_line == object->made_line && class->reason == reason &&
	       class->address == address;
}

/* By its name; else by who made it; else by its address. */
static int locks_classify(struct stele_analysis *a, struct stele__object *object,
			  const struct stele__name *reason)
{
	bool known = object->name->text.bytes || object->made_by->text.bytes;
	uint64_t address = known ? 0 : object->address;
	uint64_t hash = stele__keymap_mix((uintptr_t)object->name, (uintptr_t)object->made_by);
	struct stele__lock_class *class;
	size_t at = 0;

	hash = stele__keymap_mix(stele__keymap_mix(hash, object->made_line), address);
	hash = stele__keymap_mix(hash, (uintptr_t)reason);
	while ((class = stele__keymap_next(&a->locks->classes, hash, &at)))
		if (class_is_of(class, object, reason, address))
			break;
	if (!class) {
		class = calloc(1, sizeof(*class));
		if (!class || stele__keymap_add(&a->locks->classes, hash, class) < 0) {
			free(class);
			return -ENOMEM;
		}
		class->name = object->name;
		class->made_by = object->made_by;
		class->reason = reason;
		class->address = address;
		class->l.name = object->name->text;
		class->l.made_by = object->made_by->text;
		class->l.made_file = object->made_file->text;
		class->l.made_line = object->made_line;
		class->l.address = object->address;
		class->l.reason = reason->text;
	}
	class->l.locks++;
	object->class = class;
	return 0;
}

int stele__locks_name(struct stele_analysis *a, struct stele__object *object)
{
	const struct stele__name *reason;

	if (object->class)
		return 0;
	reason = stele__name_intern(a, (struct stele_string){"sync", 4});
	return reason ? locks_classify(a, object, reason) : -ENOMEM;
}

const struct stele_lock *stele__locks_class(const struct stele__object *object)
{
	return object->class ? &object->class->l : NULL;
}

/* ---- what is told ---- */

static int detail_wait(struct stele_analysis *a, const struct stele_detail *detail)
{
	struct locks_pending *pending =
		stele__keymap_make(&a->locks->pending, detail->thread, sizeof(*pending));

	if (!pending)
		return -ENOMEM;
	*pending = (struct locks_pending){detail->thread, detail->object, detail->holder,
					  detail->time};
	return 0;
}

/* Room for one more: more of them, or in the place of the oldest. NULL: no memory. */
static struct stele__release *object_release(struct stele__object *object)
{
	uint32_t max = object->release_max, grown = max ? max * 2 : 4;
	struct stele__release *moved;

	if (object->release_count >= max && max < STELE__RELEASES_MAX) {
		moved = realloc(object->releases, grown * sizeof(*moved));
		if (!moved)
			return NULL;
		object->releases = moved;
		object->release_max = max = grown;
	}
	return &object->releases[object->release_count++ & (max - 1)];
}

static int detail_release(struct stele_analysis *a, const struct stele_reader *reader,
			  const struct stele_detail *detail)
{
	struct stele__object *object = stele__locks_object_at(a, detail->object);
	const struct stele__flow *go = stele__flow_of_thread(a, detail->thread);
	struct stele__release *release = object ? object_release(object) : NULL;
	int r;

	if (!release)
		return -ENOMEM;
	*release = (struct stele__release){
		.time = detail->time,
		.since = object->owner == detail->thread ? object->owner_since : INT64_MIN,
		.thread = detail->thread,
		.goroutine = go ? go->id : STELE_NO_ID,
		.name = go ? stele__flow_label(a, go) : a->empty,
	};
	object->owner = STELE_NO_ID;
	r = stele__stack_find(a, reader, detail->stack, &release->stack);
	return r < 0 ? r : stele__stack_find(a, reader, detail->taken_stack, &release->taken);
}

int stele__locks_detail(struct stele_analysis *a, const struct stele_reader *reader,
			const struct stele_detail *detail)
{
	switch (detail->kind) {
	case STELE_DETAIL_WAIT:
		return detail_wait(a, detail);
	case STELE_DETAIL_RELEASE:
		return detail_release(a, reader, detail);
	case STELE_DETAIL_ORDER:
		return stele__orders_detail(a, reader, detail);
	default:
		return 0;
	}
}

/* ---- waits ---- */

int stele__locks_wait(struct stele_analysis *a, struct stele__flow *go,
		      const struct stele_event *event)
{
	struct locks_pending *pending = stele__keymap_get(&a->locks->pending, event->thread);
	struct stele__object *object;
	int r;

	if (!pending || !pending->object ||
	    (uint64_t)event->time - (uint64_t)pending->time > LOCKS_SLACK_NS)
		return 0;
	object = stele__locks_object_at(a, pending->object);
	if (!object)
		return -ENOMEM;
	pending->object = 0;
	object->is_lock =
		stele__text_is(event->name, "sync") || stele__text_is(event->name, "sync (rwlock)");
	if (!object->class || object->renamed || object->class->reason != go->reason) {
		object->renamed = false;
		r = locks_classify(a, object, go->reason);
		if (r < 0)
			return r;
	}
	object->is_barrier = stele__text_is(event->name, "sync (barrier)");
	if (object->owner == event->thread) /* a handler ran in the middle of its wait */
		object->owner = STELE_NO_ID;
	object->class->l.queued += object->waiting != 0;
	object->waiting++;
	if (object->class->l.waiting_max < object->waiting)
		object->class->l.waiting_max = object->waiting;
	go->object = object;
	go->holder = pending->holder;
	return 0;
}

int stele__locks_woken(struct stele_analysis *a, const struct stele_reader *reader,
		       const struct stele__flow *go, const struct stele_event *event)
{
	const struct stele__flow *by = stele__flow_find(a, event->goroutine);
	struct stele__release *release;

	if (event->to != STELE_STATE_RUNNABLE || !by || by == go)
		return 0;
	release = object_release(go->object);
	if (!release)
		return -ENOMEM;
	*release = (struct stele__release){
		.time = event->time,
		.since = INT64_MIN,
		.thread = by->times.thread,
		.goroutine = by->id,
		.name = stele__flow_label(a, by),
	};
	return stele__stack_find(a, reader, event->stack, &release->stack);
}

/* The first release behind this time, by its number; of those that are kept. */
static uint64_t releases_behind(const struct stele__object *object, int64_t time)
{
	uint64_t at = object->release_count;
	uint64_t oldest = at > object->release_max ? at - object->release_max : 0;

	while (at > oldest && object->releases[(at - 1) & (object->release_max - 1)].time > time)
		at--;
	return at;
}

/* One thread has woken it, or several: then nobody knows which. */
static int holders_of_signal(const struct stele__object *object, int64_t begin, int64_t end,
			     stele__hold_fn *told, void *arg)
{
	struct stele__hold hold = {.begin = begin, .end = end, .thread = STELE_NO_ID};
	const struct stele__release *by = NULL;

	for (uint64_t at = releases_behind(object, begin); at < object->release_count; at++) {
		const struct stele__release *release =
			&object->releases[at & (object->release_max - 1)];

		if (release->time > end)
			break;
		if (by && !object->is_barrier &&
		    (by->thread != release->thread || by->goroutine != release->goroutine))
			return told(arg, &hold);
		by = release;
	}
	hold.release = by;
	hold.thread = by ? by->thread : STELE_NO_ID;
	return told(arg, &hold);
}

int stele__locks_holders(const struct stele__object *object, int64_t begin, int64_t end,
			 uint64_t holder, bool open, stele__hold_fn *told, void *arg)
{
	struct stele__hold hold = {.begin = begin, .thread = holder};
	uint64_t at;
	int r = 0;

	if (!object->is_lock)
		return holders_of_signal(object, begin, end, told, arg);
	for (at = releases_behind(object, begin); at < object->release_count && r == 0; at++) {
		const struct stele__release *release =
			&object->releases[at & (object->release_max - 1)];

		if (release->time > end)
			break;
		hold.end = release->time;
		hold.release = release;
		hold.thread = release->thread;
		hold.free = false;
		r = told(arg, &hold);
		hold = (struct stele__hold){.begin = release->time,
					    .thread = open ? object->owner : STELE_NO_ID,
					    .free = !open};
	}
	hold.end = end;
	if (r == 0 && (hold.end > hold.begin || hold.begin == begin))
		r = told(arg, &hold);
	return r;
}

uint64_t stele__locks_owner(const struct stele__object *object, int64_t since, int64_t now,
			    uint64_t holder)
{
	if (releases_behind(object, since) == object->release_count)
		return holder;
	return now - object->owner_since > LOCKS_SLACK_NS ? object->owner : object->owner_before;
}

struct locks_wait {
	struct stele_analysis *a;
	struct stele__lock_class *class;
};

static struct stele_lock_holder *class_holder(struct stele__lock_class *class,
					      struct stele_string name, uint32_t taken,
					      uint32_t released)
{
	for (uint32_t i = 0; i < class->holder_count; i++) {
		struct stele_lock_holder *holder = &class->holders[i];

		if (holder->name.data == name.data && holder->taken == taken &&
		    holder->released == released)
			return holder;
	}
	if (stele__list_reserve(&class->holders, class->holder_count, &class->holder_max,
				sizeof(*class->holders)) < 0)
		return NULL;
	class->holders[class->holder_count] =
		(struct stele_lock_holder){.name = name, .taken = taken, .released = released};
	return &class->holders[class->holder_count++];
}

static int wait_account(void *arg, const struct stele__hold *hold)
{
	const struct locks_wait *wait = arg;
	const struct stele__release *release = hold->release;
	const struct stele__flow *go = NULL;
	const struct stele__name *name = wait->a->empty;
	struct stele_lock_holder *holder;
	int64_t since;

	if (hold->free)
		return 0;
	if (!release && hold->thread != STELE_NO_ID)
		go = stele__flow_of_thread(wait->a, hold->thread);
	if (release)
		name = release->name;
	else if (go)
		name = stele__flow_label(wait->a, go);
	holder = class_holder(wait->class, name->text, release ? release->taken : 0,
			      release ? release->stack : 0);
	if (!holder)
		return -ENOMEM;
	holder->count++;
	stele__ns_add(&holder->ns, hold->end - hold->begin);
	since = release && release->since != INT64_MIN ? release->since : hold->begin;
	if (hold->end - since > holder->longest) {
		holder->longest = hold->end - since;
		holder->longest_known = release && release->since != INT64_MIN;
	}
	return 0;
}

int stele__locks_waited(struct stele_analysis *a, struct stele__flow *go, int64_t time, bool open)
{
	struct stele__object *object = go->object;
	struct locks_wait wait = {a, object->class};
	struct stele_lock *lock = &object->class->l;
	int64_t ns = time - go->since;

	if (open) {
		lock->open_count++;
		stele__ns_add(&lock->open_ns, ns);
	} else {
		stele_spread_add(&lock->spread, ns);
	}
	object->waiting--;
	if (!open && object->is_lock) {
		if (time - object->owner_since > LOCKS_SLACK_NS)
			object->owner_before = object->owner;
		object->owner = go->times.thread;
		object->owner_since = time;
	}
	go->object = NULL;
	if (!object->is_lock)
		return 0;
	return stele__locks_holders(object, go->since, time, go->holder, open, wait_account, &wait);
}

/* ---- the ledger ---- */

static int holder_compare(const void *left, const void *right)
{
	const struct stele_lock_holder *a = left, *b = right;

	if (a->ns != b->ns)
		return a->ns < b->ns ? 1 : -1;
	return (a->taken > b->taken) - (a->taken < b->taken);
}

static int64_t lock_total(const struct stele_lock *lock)
{
	int64_t total = lock->spread.total;

	stele__ns_add(&total, lock->open_ns);
	return total;
}

static int lock_compare(const void *left, const void *right)
{
	const struct stele_lock *a = *(const struct stele_lock *const *)left;
	const struct stele_lock *b = *(const struct stele_lock *const *)right;
	int64_t ta = lock_total(a), tb = lock_total(b);

	if (ta != tb)
		return ta < tb ? 1 : -1;
	return (a->address > b->address) - (a->address < b->address);
}

static bool class_is_lock(const struct stele__lock_class *class)
{
	return stele__text_is(class->l.reason, "sync") ||
	       stele__text_is(class->l.reason, "sync (rwlock)");
}

int stele__locks_finish(struct stele_analysis *a)
{
	struct stele__locks *locks = a->locks;
	struct stele__lock_class *class;
	size_t at = 0;

	locks->sorted = calloc(locks->classes.used + 1, sizeof(const struct stele_lock *));
	if (!locks->sorted)
		return -ENOMEM;
	while ((class = stele__keymap_each(&locks->classes, &at))) {
		if (!class_is_lock(class) || !(class->l.spread.count + class->l.open_count))
			continue;
		if (class->holder_count)
			qsort(class->holders, class->holder_count, sizeof(*class->holders),
			      holder_compare);
		class->l.holders = class->holders;
		class->l.holder_count = class->holder_count;
		locks->sorted[locks->sorted_count++] = &class->l;
	}
	qsort(locks->sorted, locks->sorted_count, sizeof(*locks->sorted), lock_compare);
	return 0;
}

STELE_EXPORT const struct stele_lock *const *
stele_analysis_locks(const struct stele_analysis *analysis, size_t *ret_count)
{
	*ret_count = analysis->locks->sorted_count;
	return analysis->locks->sorted;
}
