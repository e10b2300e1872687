/* SPDX-License-Identifier: MIT */
#include "supervise/follow.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stele/version.h"
#include "supervise/ending.h"
#include "sys/sys.h"

#define FOLLOW_OFFERS  8 /* open at once */
#define KEEPER_LOOK_MS 100
#define FORSAKEN_NS    1000000000u
#define FOLLOW_LOOK_NS 20000000u /* how often offers are looked after at least */

/* One process, or one offer; beside the place on the board with the same number. */
struct follow_process {
	struct stele_recorder recorder;
	struct stele_follow *follow;
	bool used;  /* there is an arena; the thread's, changed under the lock */
	bool begun; /* somebody has taken it: there is a keeper */
	int pid;
	uint64_t taken_ns; /* since when it has been taken without an owner; 0: it is not */

	/* The keeper's, from its beginning until `kept` is set. */
	pthread_t keeper;
	uint32_t running; /* keeper release / holder acquire: the recorder can be used */
	struct stele_session_result result;
	uint32_t kept; /* keeper release / follower acquire: the recording is complete */
};

struct follow_pids {
	uint32_t *pids;
	size_t count, max;
};

struct stele_follow {
	const struct stele_session_options *options;
	struct stele_follower follower;
	struct stele_board *board;
	int board_fd;
	struct follow_process *processes; /* STELE_BOARD_PLACES */
	pthread_t thread;
	bool started;
	uint32_t stop;	  /* owner release / thread acquire */
	uint32_t hurry;	  /* likewise, for the keepers: do not wait for the processes' ends */
	uint32_t present; /* processes that are recorded; thread release / owner acquire */
	struct stele_followed totals;
	struct follow_pids came, noted; /* took an offer; were told by their parents */

	pthread_mutex_t lock; /* of these, and of what is used */
	uint32_t holders;     /* while there are any, no process that is running is released */
	uint32_t events;      /* of processes to come */
};

int stele__follow_new(const struct stele_session_options *options, struct stele_follow **ret_follow)
{
	struct stele_follow *f = calloc(1, sizeof(*f));
	int error = f ? 0 : -ENOMEM;

	if (f) {
		f->options = options;
		f->events = options->dormant ? 0 : options->events;
		pthread_mutex_init(&f->lock, NULL);
		f->processes = calloc(STELE_BOARD_PLACES, sizeof(*f->processes));
		f->board_fd = stele__sys_memfd("stele-board");
		error = !f->processes ? -ENOMEM : f->board_fd < 0 ? f->board_fd : 0;
	}
	if (error == 0)
		error = stele__sys_truncate(f->board_fd, sizeof(*f->board));
	if (error == 0)
		f->board = stele__sys_map_shared(f->board_fd, sizeof(*f->board), &error);
	if (error < 0) {
		stele__follow_free(f);
		return error;
	}
	stele__store_release(&f->board->magic, STELE_BOARD_MAGIC);
	*ret_follow = f;
	return 0;
}

uint32_t stele__follow_board(const struct stele_follow *f)
{
	return (uint32_t)f->board_fd + 1;
}

void stele__follow_control(struct stele_follow *f, const struct stele_follower *follower)
{
	f->follower = *follower;
}

/* Without memory a figure of the summary is too low. */
static void pids_add(struct follow_pids *p, uint32_t pid)
{
	if (p->count == p->max) {
		size_t max = p->max ? p->max * 2 : 64;
		uint32_t *more = realloc(p->pids, max * sizeof(*more));

		if (!more)
			return;
		p->pids = more;
		p->max = max;
	}
	p->pids[p->count++] = pid;
}

static int pids_compare(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void pids_sort(struct follow_pids *p)
{
	if (p->count)
		qsort(p->pids, p->count, sizeof(uint32_t), pids_compare);
}

/* How many of these, whom several may have told, are not among those. Sorts both. */
static uint64_t pids_missing(struct follow_pids *these, struct follow_pids *those)
{
	uint64_t missing = 0;
	size_t k = 0;

	pids_sort(these);
	pids_sort(those);
	for (size_t i = 0; i < these->count; i++) {
		uint32_t pid = these->pids[i];

		while (k < those->count && those->pids[k] < pid)
			k++;
		missing += (i == 0 || these->pids[i - 1] != pid) &&
			   (k == those->count || those->pids[k] != pid);
	}
	return missing;
}

static void follow_note(struct stele_follow *f, const struct stele_arena *arena)
{
	for (uint32_t i = 0; i < STELE_CHILDREN_MAX; i++) {
		uint32_t pid = stele__load_relaxed(&arena->child_pids[i]);

		if (pid)
			pids_add(&f->noted, pid);
	}
}

/* Makes an offer at a place that is empty. */
static int follow_offer(struct stele_follow *f, uint32_t i)
{
	struct follow_process *p = &f->processes[i];
	struct stele_board_place *place = &f->board->places[i];
	int error;

	pthread_mutex_lock(&f->lock);
	*p = (struct follow_process){.follow = f, .recorder = {.file.fd = -1}};
	pthread_mutex_unlock(&f->lock);
	error = stele__recorder_arena(&p->recorder, f->options, stele__follow_board(f));
	if (error < 0) {
		stele__recorder_release(&p->recorder);
		return error;
	}
	p->recorder.owner = f->follower.owner;
	pthread_mutex_lock(&f->lock);
	stele__store_relaxed(&p->recorder.arena->events, f->events);
	p->used = true;
	pthread_mutex_unlock(&f->lock);
	stele__store_relaxed(&place->pid, 0);
	stele__store_relaxed(&place->fd, (uint32_t)p->recorder.file.fd);
	stele__store_release(&place->state, STELE_PLACE_OFFERED);
	stele__add_acq_rel(&f->board->offers, 1);
	stele__sys_futex_wake(&f->board->offers, INT32_MAX);
	return 0;
}

/* Waits for the end of a process, which is not a child of ours, or until it is told not to. */
static struct stele_ending keeper_wait(const struct follow_process *p)
{
	struct pollfd ended = {.fd = (int)syscall(SYS_pidfd_open, p->pid, 0), .events = POLLIN};
	struct stele_ending ending = {0};
	bool gone = ended.fd < 0;

	while (!gone && !stele__load_acquire(&p->follow->hurry))
		gone = poll(&ended, 1, KEEPER_LOOK_MS) > 0;
	if (gone)
		ending = stele__ending_of(p->pid, ended.fd);
	if (ended.fd >= 0)
		close(ended.fd);
	ending.interrupted = !gone;
	return ending;
}

/* One process from its first event to its file: opening names takes long, and nobody shall wait. */
static void *keeper_run(void *arg)
{
	struct follow_process *p = arg;
	const struct stele_follower *follower = &p->follow->follower;
	struct stele_ending ending;

	if (stele__recorder_open(&p->recorder, p->pid, "") == 0) {
		stele__recorder_start(&p->recorder);
		stele__store_release(&p->running, 1); /* pairs with stele__follow_hold */
		ending = keeper_wait(p);
		if (!ending.interrupted)
			stele__store_release(&p->recorder.gone, 1); /* pairs with its threads */
		stele__recorder_stop(&p->recorder);
		stele__recorder_finish(&p->recorder, &ending, &p->result);
		if (follower->ended)
			follower->ended(follower->owner.arg, p->pid, &ending);
	}
	stele__store_release(&p->kept, 1);
	stele__add_acq_rel(&p->follow->board->takes, 1);
	stele__sys_futex_wake(&p->follow->board->takes, 1);
	return NULL;
}

/* Somebody has taken an offer. Without a thread it is tried again at the next look. */
static void follow_begin(struct stele_follow *f, struct follow_process *p, uint32_t pid)
{
	p->pid = (int)pid;
	p->begun = pthread_create(&p->keeper, NULL, keeper_run, p) == 0;
	if (!p->begun)
		return;
	pids_add(&f->came, pid);
	stele__store_release(&f->present, stele__load_relaxed(&f->present) + 1);
}

/* Nobody gets to hold it any more. False: somebody does. */
static bool follow_take_back(struct stele_follow *f, struct follow_process *p)
{
	bool held;

	pthread_mutex_lock(&f->lock);
	held = f->holders > 0;
	if (!held)
		p->used = false;
	pthread_mutex_unlock(&f->lock);
	return !held;
}

static void follow_end(struct stele_follow *f, struct follow_process *p)
{
	if (!follow_take_back(f, p))
		return;
	pthread_join(p->keeper, NULL);
	if (p->result.recorded) {
		f->totals.processes++;
		f->totals.events += p->result.drain.events;
		f->totals.lost += stele__drain_lost(&p->result.drain);
		stele__recorder_say(f->options, STELE_SAY_DETAIL, "followed: %s", p->result.path);
	} else {
		f->totals.failed++;
	}
	follow_note(f, p->recorder.arena);
	stele__recorder_release(&p->recorder);
	p->begun = false;
	stele__store_release(&f->board->places[p - f->processes].state, STELE_PLACE_EMPTY);
	stele__store_release(&f->present, stele__load_relaxed(&f->present) - 1);
}

static bool follow_is_offered(const struct stele_follow *f, uint32_t i)
{
	return stele__load_acquire(&f->board->places[i].state) == STELE_PLACE_OFFERED;
}

/*
 * An offer that was taken and has no owner: the taker is between two instructions, or died there.
 * One that has not even said who it is gets a while. Two may come to one arena so, if the first was
 * stopped for long: the arena belongs to one of them, and the other is missed.
 */
static void follow_renew(struct stele_follow *f, uint32_t i)
{
	struct stele_board_place *place = &f->board->places[i];
	struct follow_process *p = &f->processes[i];
	uint32_t pid = stele__load_acquire(&place->pid);
	uint64_t now = stele__sys_monotonic_ns();

	if (!p->taken_ns)
		p->taken_ns = now;
	if (pid ? kill((pid_t)pid, 0) == 0 || errno != ESRCH : now - p->taken_ns < FORSAKEN_NS)
		return;
	p->taken_ns = 0;
	p->recorder.arena->clock_taken.ticks = 0;
	stele__store_relaxed(&place->pid, 0);
	stele__store_release(&place->state, STELE_PLACE_OFFERED);
}

/* Whose offers were taken, who is done, and whether there are enough offers. */
static void follow_look(struct stele_follow *f)
{
	uint32_t offers = 0;

	for (uint32_t i = 0; i < STELE_BOARD_PLACES; i++) {
		struct follow_process *p = &f->processes[i];
		uint32_t pid = p->used ? stele__load_acquire(&p->recorder.arena->pid) : 0;

		if (pid && !p->begun)
			follow_begin(f, p, pid);
		else if (p->begun && stele__load_acquire(&p->kept)) /* pairs with keeper_run */
			follow_end(f, p);
		else if (p->used && !pid && !follow_is_offered(f, i))
			follow_renew(f, i);
		offers += follow_is_offered(f, i);
	}
	for (uint32_t i = 0; i < STELE_BOARD_PLACES && offers < FOLLOW_OFFERS; i++) {
		if (f->processes[i].used)
			continue;
		if (follow_offer(f, i) < 0)
			break; /* again at the next look */
		offers++;
	}
}

static void *follow_run(void *arg)
{
	struct stele_follow *f = arg;

	while (!stele__load_acquire(&f->stop)) { /* pairs with stele__follow_stop */
		uint32_t seen = stele__load_acquire(&f->board->takes);

		follow_look(f);
		stele__sys_futex_wait(&f->board->takes, seen, FOLLOW_LOOK_NS);
	}
	return NULL;
}

int stele__follow_start(struct stele_follow *f)
{
	int error;

	follow_look(f); /* the first offers stand before anybody is born */
	error = -pthread_create(&f->thread, NULL, follow_run, f);
	f->started = error == 0;
	return error;
}

size_t stele__follow_hold(struct stele_follow *f, struct stele_recorder **ret_recorders)
{
	size_t count = 0;

	pthread_mutex_lock(&f->lock);
	for (uint32_t i = 0; i < STELE_BOARD_PLACES; i++)
		if (f->processes[i].used &&
		    stele__load_acquire(&f->processes[i].running)) /* pairs with keeper_run */
			ret_recorders[count++] = &f->processes[i].recorder;
	f->holders++;
	pthread_mutex_unlock(&f->lock);
	return count;
}

void stele__follow_let_go(struct stele_follow *f)
{
	pthread_mutex_lock(&f->lock);
	f->holders--;
	pthread_mutex_unlock(&f->lock);
}

void stele__follow_switch(struct stele_follow *f, uint32_t events)
{
	pthread_mutex_lock(&f->lock);
	f->events = events;
	for (uint32_t i = 0; i < STELE_BOARD_PLACES; i++)
		if (f->processes[i].used)
			stele__store_relaxed(&f->processes[i].recorder.arena->events, events);
	pthread_mutex_unlock(&f->lock);
}

bool stele__follow_is_idle(const struct stele_follow *f)
{
	return stele__load_acquire(&f->present) == 0;
}

void stele__follow_stop(struct stele_follow *f)
{
	if (!f || !f->started)
		return;
	stele__store_release(&f->stop, 1);
	stele__add_acq_rel(&f->board->takes, 1);
	stele__sys_futex_wake(&f->board->takes, 1);
	pthread_join(f->thread, NULL);
	f->started = false;
	follow_look(f);
	stele__store_release(&f->hurry, 1); /* pairs with keeper_wait */
	for (uint32_t i = 0; i < STELE_BOARD_PLACES; i++)
		if (f->processes[i].begun)
			follow_end(f, &f->processes[i]);
}

void stele__follow_totals(struct stele_follow *f, struct stele_arena *first,
			  struct stele_followed *ret_followed)
{
	if (first)
		follow_note(f, first);
	f->totals.missed = pids_missing(&f->noted, &f->came);
	*ret_followed = f->totals;
}

void stele__follow_free(struct stele_follow *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; f->processes && i < STELE_BOARD_PLACES; i++)
		if (f->processes[i].used)
			stele__recorder_release(&f->processes[i].recorder);
	if (f->board)
		stele__sys_unmap(f->board, sizeof(*f->board));
	if (f->board_fd >= 0)
		stele__sys_close(f->board_fd);
	pthread_mutex_destroy(&f->lock);
	free(f->processes);
	free(f->came.pids);
	free(f->noted.pids);
	free(f);
}
