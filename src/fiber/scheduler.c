/* SPDX-License-Identifier: MIT */
#include "fiber/scheduler.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "fiber/lock.h"
#include "fiber/objects.h"
#include "sys/sys.h"

#define GLOBAL_EVERY 61u /* the common queue comes first so often, or it might starve */
#define SPIN_ROUNDS  64u /* how often somebody without work looks at all queues */
#define SECOND_NS    1000000000u

#define LIMIT_DEFAULT (256u << 10)
#define WORKERS_MAX   1024u

struct stele__sched stele__sched;

static STELE_TLS struct stele__sched_thread *thread_self;

/* Not inlined: a fiber may wake up on another thread, and must not use an address of before. */
STELE_NOINLINE struct stele__sched_thread *stele__thread_self(void)
{
	__asm__ volatile("" ::: "memory");
	return thread_self;
}

/* Queues -------------------------------------------------------------------------------------- */

static void global_put(struct stele_fiber *f)
{
	stele__waiters_add(&stele__sched.global, f);
	__atomic_add_fetch(&stele__sched.global_count, 1, __ATOMIC_SEQ_CST);
}

static struct stele_fiber *global_take(void)
{
	struct stele_fiber *f = stele__waiters_take(&stele__sched.global);

	if (f)
		stele__add_relaxed(&stele__sched.global_count, -1u);
	return f;
}

/* One for now, and a fair share of the others for later. */
static struct stele_fiber *global_share(struct stele__worker *w)
{
	struct stele_fiber *f, *more;
	uint32_t share;

	if (!stele__load_relaxed(&stele__sched.global_count))
		return NULL;
	stele__lock(&stele__sched.lock);
	share = stele__sched.global_count / stele__sched.worker_count;
	if (share > STELE__RUN_QUEUE / 2)
		share = STELE__RUN_QUEUE / 2;
	f = global_take();
	for (; share > 1 && (more = global_take()); share--)
		if (!stele__run_queue_put(&w->queue, more)) {
			global_put(more);
			break;
		}
	stele__unlock(&stele__sched.lock);
	return f;
}

bool stele__sched_has_work(void)
{
	if (__atomic_load_n(&stele__sched.global_count, __ATOMIC_SEQ_CST))
		return true;
	for (uint32_t i = 0; i < stele__sched.worker_count; i++) {
		struct stele__run_queue *q = &stele__sched.workers[i].queue;

		if (__atomic_load_n(&q->tail, __ATOMIC_SEQ_CST) != stele__load_acquire(&q->head) ||
		    __atomic_load_n(&q->next, __ATOMIC_SEQ_CST))
			return true;
	}
	return false;
}

/* Workers and threads ------------------------------------------------------------------------- */

static void *thread_main(void *arg);

static void thread_wake(struct stele__sched_thread *t)
{
	stele__add_acq_rel(&t->signal, 1); /* pairs with thread_wait_for_worker */
	stele__sys_futex_wake(&t->signal, 1);
}

static struct stele__sched_thread *thread_new(struct stele__worker *w, bool spinning)
{
	struct stele__sched_thread *t =
		mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (t == MAP_FAILED)
		return NULL;
	t->worker = w;
	t->spinning = spinning;
	t->random = (uint32_t)(uintptr_t)t >> 12 | 1;
	if (pthread_create(&t->handle, NULL, thread_main, t)) {
		munmap(t, sizeof(*t));
		return NULL;
	}
	return t;
}

/* Under the lock. */
static void worker_be_idle(struct stele__worker *w)
{
	stele__store_release(&w->status, STELE__WORKER_IDLE);
	w->idle_next = stele__sched.idle_workers;
	stele__sched.idle_workers = w;
	__atomic_add_fetch(&stele__sched.idle_count, 1, __ATOMIC_SEQ_CST);
}

/* Under the lock. */
static struct stele__worker *worker_take_idle(void)
{
	struct stele__worker *w = stele__sched.idle_workers;

	if (!w)
		return NULL;
	stele__sched.idle_workers = w->idle_next;
	if (__atomic_fetch_sub(&stele__sched.idle_count, 1, __ATOMIC_SEQ_CST) ==
	    stele__sched.worker_count)
		stele__monitor_kick();
	stele__store_release(&w->status, STELE__WORKER_RUNNING);
	return w;
}

/* Under the lock. False: there is no thread, and can be none. */
static bool thread_take(struct stele__worker *w, bool spinning)
{
	struct stele__sched_thread *t = stele__sched.idle_threads;

	/* Who made the last fiber runnable may come here when that has ended, and threads with it.
	 */
	if (stele__sched.stopping)
		return false;
	if (t) {
		stele__sched.idle_threads = t->idle_next;
		t->worker = w;
		t->spinning = spinning;
		thread_wake(t);
		return true;
	}
	t = thread_new(w, spinning);
	if (!t) {
		stele__sched.error = -EAGAIN;
		return false;
	}
	t->all_next = stele__sched.threads;
	stele__sched.threads = t;
	return true;
}

/* Under the lock: a thread goes on with this worker, or others go on without it. */
static void worker_give(struct stele__worker *w, bool spinning)
{
	if (thread_take(w, spinning))
		return;
	worker_be_idle(w);
	if (spinning)
		__atomic_sub_fetch(&stele__sched.spinning, 1, __ATOMIC_SEQ_CST);
}

/*
 * There is more to do. Nobody is woken while somebody looks for work: he finds it, and when he
 * does, he calls here for the rest.
 */
static void sched_wake(void)
{
	uint32_t none = 0;
	struct stele__worker *w;

	if (!__atomic_load_n(&stele__sched.idle_count, __ATOMIC_SEQ_CST) ||
	    __atomic_load_n(&stele__sched.spinning, __ATOMIC_SEQ_CST) ||
	    !__atomic_compare_exchange_n(&stele__sched.spinning, &none, 1, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED))
		return;
	stele__lock(&stele__sched.lock);
	w = worker_take_idle();
	if (w)
		worker_give(w, true);
	else
		__atomic_sub_fetch(&stele__sched.spinning, 1, __ATOMIC_SEQ_CST);
	stele__unlock(&stele__sched.lock);
}

void stele__sched_hand_over(struct stele__worker *w)
{
	stele__lock(&stele__sched.lock);
	stele__sched.lost_calls++;
	if (stele__sched_has_work()) {
		stele__store_release(&w->status, STELE__WORKER_RUNNING);
		worker_give(w, false);
	} else {
		worker_be_idle(w);
	}
	stele__unlock(&stele__sched.lock);
}

void stele__sched_put(struct stele_fiber *f, bool next)
{
	struct stele__sched_thread *t = stele__thread_self();
	struct stele__worker *w = t ? t->worker : NULL;

	stele__store_relaxed(&f->state, STELE__FIBER_RUNNABLE);
	if (w && next)
		f = __atomic_exchange_n(&w->queue.next, f, __ATOMIC_SEQ_CST);
	if (f && !(w && stele__run_queue_put(&w->queue, f))) {
		stele__lock(&stele__sched.lock);
		global_put(f);
		stele__unlock(&stele__sched.lock);
	}
	STELE_POINT("sched.put");
	sched_wake();
}

void stele__sched_ready(struct stele_fiber *f)
{
	stele_sched_ready(&f->trace);
	stele__sched_put(f, true);
}

/* Finding work -------------------------------------------------------------------------------- */

static uint32_t thread_random(struct stele__sched_thread *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 17;
	t->random ^= t->random << 5;
	return t->random;
}

static void spin_end(struct stele__sched_thread *t)
{
	if (!t->spinning)
		return;
	t->spinning = false;
	__atomic_sub_fetch(&stele__sched.spinning, 1, __ATOMIC_SEQ_CST);
}

/*
 * The one that its owner has made ready last runs there in a moment, most likely. So it is taken
 * only if it was there a while ago, too.
 */
static struct stele_fiber *steal_next(struct stele__run_queue *from)
{
	struct stele_fiber *f = stele__load_acquire(&from->next);

	if (!f)
		return NULL;
	for (unsigned i = 0; i < 100; i++)
		stele__pause();
	return stele__load_acquire(&from->next) == f &&
			       __atomic_compare_exchange_n(&from->next, &f, NULL, false,
							   __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)
		       ? f
		       : NULL;
}

static struct stele_fiber *steal_round(struct stele__sched_thread *t, bool next)
{
	uint32_t start = thread_random(t);

	for (uint32_t i = 0; i < stele__sched.worker_count; i++) {
		struct stele__worker *from =
			&stele__sched.workers[(start + i) % stele__sched.worker_count];
		struct stele_fiber *f;

		if (from == t->worker)
			continue;
		f = stele__run_queue_steal(&t->worker->queue, &from->queue);
		if (!f && next)
			f = steal_next(&from->queue);
		if (f)
			return f;
	}
	return NULL;
}

static struct stele_fiber *thread_steal(struct stele__sched_thread *t)
{
	if (stele__sched.worker_count == 1)
		return NULL;
	/* No more of them than half of those that work. */
	if (!t->spinning) {
		uint32_t busy =
			stele__sched.worker_count - stele__load_relaxed(&stele__sched.idle_count);

		if (2 * stele__load_relaxed(&stele__sched.spinning) >= busy)
			return NULL;
		t->spinning = true;
		__atomic_add_fetch(&stele__sched.spinning, 1, __ATOMIC_SEQ_CST);
	}
	for (unsigned i = 0; i < SPIN_ROUNDS; i++) {
		struct stele_fiber *f = steal_round(t, i % 4 == 3);

		if (f)
			return f;
		if (stele__load_relaxed(&stele__sched.global_count))
			return NULL;
		for (unsigned k = 0; k < 20; k++)
			stele__pause();
	}
	return NULL;
}

static struct stele_fiber *thread_look(struct stele__sched_thread *t)
{
	struct stele__worker *w = t->worker;
	struct stele_fiber *f = NULL;

	if (++w->tick % GLOBAL_EVERY == 0)
		f = global_share(w);
	if (!f)
		f = stele__run_queue_take(&w->queue);
	if (!f)
		f = global_share(w);
	if (!f)
		f = thread_steal(t);
	return f ? f : global_share(w);
}

/* `t` has no worker, and is not wanted now. Under the lock, which it gives back. */
static bool thread_wait_for_worker(struct stele__sched_thread *t)
{
	t->idle_next = stele__sched.idle_threads;
	stele__sched.idle_threads = t;
	stele__unlock(&stele__sched.lock);
	for (;;) {
		uint32_t seen = stele__load_acquire(&t->signal); /* pairs with thread_wake */
		bool stopping, given;

		stele__lock(&stele__sched.lock);
		stopping = stele__sched.stopping;
		given = t->worker != NULL;
		stele__unlock(&stele__sched.lock);
		if (given)
			return true;
		if (stopping)
			return false;
		stele__sys_futex_wait(&t->signal, seen, SECOND_NS);
	}
}

/* Nothing can ever run again: under the lock. */
static bool sched_is_dead(void)
{
	return stele__load_relaxed(&stele__sched.live) && !stele__sched.woken_from_outside &&
	       !stele__sched.stopping && stele__sched.idle_count == stele__sched.worker_count &&
	       !stele__sched.global_count && !stele__sched.lost_calls &&
	       !stele__monitor_has_sleepers();
}

/* Finds nothing: its worker is idle, and so is it, until there is something. */
static bool thread_rest(struct stele__sched_thread *t)
{
	struct stele__worker *w = t->worker;
	bool spun = t->spinning;

	stele_sched_release();
	stele__lock(&stele__sched.lock);
	t->worker = NULL;
	worker_be_idle(w);
	spin_end(t);
	/* Whoever put something and saw a spinning thread, or no idle worker, has put it before. */
	if (stele__sched_has_work() && (w = worker_take_idle())) {
		t->worker = w;
		t->spinning = spun;
		if (spun)
			__atomic_add_fetch(&stele__sched.spinning, 1, __ATOMIC_SEQ_CST);
		stele__unlock(&stele__sched.lock);
	} else if (sched_is_dead()) {
		t->worker = worker_take_idle(); /* to show the fibers */
		stele__unlock(&stele__sched.lock);
		stele__deadlock(t);
	} else if (!thread_wait_for_worker(t)) {
		return false;
	}
	stele_sched_acquire(&t->worker->trace);
	return true;
}

/* NULL: there will be no more. */
static struct stele_fiber *thread_find(struct stele__sched_thread *t)
{
	for (;;) {
		struct stele_fiber *f = t->worker ? thread_look(t) : NULL;
		bool spun = t->spinning;

		if (f) {
			spin_end(t);
			if (spun)
				sched_wake(); /* there may be more */
			return f;
		}
		if (!thread_rest(t))
			return NULL;
	}
}

/* Running ------------------------------------------------------------------------------------- */

/* C++ has such a thing for each thread; a fiber takes its own along. */
extern void *__cxa_get_globals(void) __attribute__((weak));

static void cxx_exchange(struct stele_fiber *f)
{
	void *mine[2], **here;

	if (!__cxa_get_globals)
		return;
	here = __cxa_get_globals();
	memcpy(mine, here, sizeof(mine));
	memcpy(here, f->cxx, sizeof(mine));
	memcpy(f->cxx, mine, sizeof(mine));
}

static void thread_run(struct stele__sched_thread *t, struct stele_fiber *f)
{
	stele__after *after;

	t->current = f;
	stele__store_relaxed(&f->state, STELE__FIBER_RUNNING);
	stele_sched_start(&t->worker->trace, &f->trace, f->stack->limit, f->stack);
	if (STELE_UNLIKELY(!f->began)) {
		f->began = true;
		stele__stack_begin(f->stack);
		if (f->name)
			stele_goroutine_label(f->name);
	}
	cxx_exchange(f);
	errno = f->error;
	stele__context_switch(&t->loop, &f->context, false);
	f->error = errno;
	cxx_exchange(f);
	t->current = NULL;
	after = t->after;
	after(f, t->after_arg);
}

STELE_NOINLINE void stele__sched_leave(struct stele_fiber *f, stele__after *after, void *arg,
				       bool last)
{
	struct stele__sched_thread *t = stele__thread_self();

	t->after = after;
	t->after_arg = arg;
	stele__context_switch(&f->context, &t->loop, last);
	if (STELE_UNLIKELY(f->show)) {
		stele__fiber_show(f);
		stele__sched_leave(f, after, arg, false);
	}
}

/* Behind a call in which its worker was taken away. */
void stele__sched_return(struct stele_fiber *f, void *arg)
{
	struct stele__sched_thread *t = stele__thread_self();

	(void)arg;
	stele__store_relaxed(&f->state, STELE__FIBER_RUNNABLE);
	stele__lock(&stele__sched.lock);
	stele__sched.lost_calls--;
	t->worker = worker_take_idle();
	if (!t->worker)
		global_put(f);
	stele__unlock(&stele__sched.lock);
	if (t->worker) {
		stele_sched_acquire(&t->worker->trace);
		stele__sched_put(f, true);
	}
}

static bool thread_get_worker(struct stele__sched_thread *t)
{
	if (t->worker)
		return true;
	stele__lock(&stele__sched.lock);
	if (!thread_wait_for_worker(t))
		return false;
	stele_sched_acquire(&t->worker->trace);
	return true;
}

static void thread_prepare(struct stele__sched_thread *t)
{
	pthread_attr_t attr;
	void *low = NULL;
	size_t bytes = 0;

	thread_self = t;
	if (pthread_getattr_np(pthread_self(), &attr) == 0) {
		pthread_attr_getstack(&attr, &low, &bytes);
		pthread_attr_destroy(&attr);
	}
	stele__context_here(&t->loop, low, bytes);
	t->signal_stack = stele__fault_stack_begin();
	stele_sched_worker();
	stele_sched_acquire(&t->worker->trace);
}

static void *thread_main(void *arg)
{
	struct stele__sched_thread *t = arg;
	struct stele_fiber *f;

	thread_prepare(t);
	while (thread_get_worker(t) && (f = thread_find(t)))
		thread_run(t, f);
	stele__fault_stack_end(t->signal_stack);
	thread_self = NULL;
	return NULL;
}

/* A fiber begins a recording: that it runs here is told first. The others are told of as they run,
 * or are made ready. */
static void sched_tell(void)
{
	struct stele__sched_thread *t = stele__thread_self();

	if (t && t->worker && t->current)
		stele_sched_start(&t->worker->trace, &t->current->trace, t->current->stack->limit,
				  t->current->stack);
}

static struct stele_teller sched_teller = {.tell = sched_tell};

/* Beginning and end --------------------------------------------------------------------------- */

static unsigned processors(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		return (unsigned)CPU_COUNT(&set);
	return 1;
}

static int sched_shape(const struct stele_fiber_options *options)
{
	uint32_t limit = options && options->stack_limit ? options->stack_limit : LIMIT_DEFAULT;
	unsigned count = options && options->workers ? options->workers : processors();

	stele__sched.stack_limit = stele__stack_round(limit);
	if (!stele__sched.stack_limit || count > WORKERS_MAX)
		return -EINVAL;
	stele__sched.woken_from_outside = options && options->woken_from_outside;
	stele__sched.worker_count = count;
	stele__sched.workers = mmap(NULL, count * sizeof(*stele__sched.workers),
				    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stele__sched.workers == MAP_FAILED)
		return -ENOMEM;
	stele__lock(&stele__sched.lock);
	for (unsigned i = count; i-- > 0;) {
		stele__sched.workers[i].trace.index = i;
		worker_be_idle(&stele__sched.workers[i]);
	}
	stele__unlock(&stele__sched.lock);
	return 0;
}

static void threads_end(void)
{
	struct stele__sched_thread *t, *next;

	stele__lock(&stele__sched.lock);
	stele__sched.stopping = true;
	for (t = stele__sched.threads; t; t = t->all_next)
		thread_wake(t);
	stele__unlock(&stele__sched.lock);
	for (t = stele__sched.threads; t; t = next) {
		next = t->all_next;
		pthread_join(t->handle, NULL);
		munmap(t, sizeof(*t));
	}
	stele__monitor_stop();
}

/* A thread outside that woke the last fiber may still look whether another one is to be woken. */
static void sched_end(void)
{
	threads_end();
	stele__lock(&stele__sched.lock);
	stele__sched.threads = stele__sched.idle_threads = NULL;
	stele__sched.idle_workers = NULL;
	stele__sched.idle_count = 0;
	stele__sched.stopping = false;
	stele__unlock(&stele__sched.lock);
	for (uint32_t i = 0; i < stele__sched.worker_count; i++)
		stele__fiber_drop_unused(&stele__sched.workers[i]);
	munmap(stele__sched.workers, stele__sched.worker_count * sizeof(*stele__sched.workers));
}

static int sched_run(void (*entry)(void *), void *arg, const void *caller)
{
	struct stele_fiber *first =
		stele__fiber_new(stele__sched.stack_limit, entry, arg, NULL, caller);
	stele_interval wait;
	int error = 0;

	if (!first)
		return -ENOMEM;
	stele_sched_create(&first->trace, (const void *)(uintptr_t)entry);
	stele_fiber_detach(first);
	wait = stele_block(STELE_WAIT_JOIN, first);
	stele__sched_put(first, false);
	stele__lock(&stele__sched.lock);
	if (!stele__sched.threads)
		error = stele__sched.error; /* nobody will run it */
	stele__unlock(&stele__sched.lock);
	while (!error && !stele__load_acquire(&stele__sched.ended))
		stele__sys_futex_wait(&stele__sched.ended, 0, SECOND_NS);
	stele_wake(wait);
	return error;
}

static int sched_begin(const struct stele_fiber_options *options)
{
	static bool told;
	int error = stele__stacks_init();

	if (!told && !error)
		stele_teller_add(&sched_teller);
	told |= !error;
	stele__store_relaxed(&stele__sched.ended, 0);
	stele__sched.error = 0;
	stele__sched.live = stele__sched.lost_calls = 0;
	stele__sched.global = (struct stele_waiters){0};
	stele__sched.global_count = 0;
	return error ? error : sched_shape(options);
}

STELE_EXPORT int stele_fiber_run(const struct stele_fiber_options *options,
				 void (*entry)(void *arg), void *arg)
{
	int error;

	if (!stele__cas_u32(&stele__sched.running, STELE__NOT_RUNNING, STELE__STARTING))
		return -EBUSY;
	error = sched_begin(options);
	if (!error) {
		error = stele__fault_begin();
		if (!error) {
			error = stele__monitor_start();
			stele__store_release(&stele__sched.running, STELE__RUNNING);
			if (!error)
				error = sched_run(entry, arg, __builtin_return_address(0));
			stele__fault_end();
		}
		sched_end();
	}
	stele__store_release(&stele__sched.running, STELE__NOT_RUNNING);
	return error;
}
