/* SPDX-License-Identifier: MIT */
/*
 *   clients ──► socket ─┐
 *   triggers ─► eventfd ┼─► this thread ──► the pumps end a generation ──► recalls ──► file
 *   memory of the program ┘
 *
 * One thing at a time: a client that comes while a snapshot is being written waits for its end.
 */
#include "supervise/control.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "stele/version.h"
#include "supervise/eventclasses.h"
#include "supervise/rendezvous.h"
#include "supervise/request.h"
#include "supervise/summary.h"
#include "sys/sys.h"

#define CONTROL_REASON_BYTES 512
#define CONTROL_CLIENT_S     1	       /* to send its request, to take its answer */
#define CONTROL_MEMORY_NS    100000000 /* how often the program's memory is looked at */
#define CONTROL_CUT_NS	     5000000000

struct stele_control {
	struct stele_recorder *recorder;
	struct stele_follow *follow; /* NULL: nobody is followed */
	const struct stele_session_options *options;
	struct stele_snapshots snapshots;
	struct stele_rendezvous place;
	int listen_fd, wake_fd; /* -1: none */
	pthread_t thread;
	uint32_t stop; /* owner release / thread acquire */

	pthread_cond_t settled;		   /* no snapshot is wanted */
	pthread_mutex_t lock;		   /* of these */
	char reason[CONTROL_REASON_BYTES]; /* of the snapshot that is wanted; "": none */
	uint64_t due_ns;		   /* when it shall be taken */
	uint64_t wanted;		   /* its number */
	uint64_t last_ns;		   /* of the last that a trigger got; 0: none yet */
	uint64_t passed_over;
	bool running; /* the thread, which takes what is wanted */

	/* The thread's. */
	bool memory_told; /* that the program uses much */
};

/* The recorders ----------------------------------------------------------------------------- */

/* Of all processes. */
struct control_recorders {
	struct stele_recorder *all[1 + STELE_FOLLOW_MAX];
	size_t count;
};

static void control_hold(struct stele_control *c, struct control_recorders *r)
{
	r->all[0] = c->recorder;
	r->count = 1 + (c->follow ? stele__follow_hold(c->follow, r->all + 1) : 0);
}

static void control_let_go(struct stele_control *c)
{
	if (c->follow)
		stele__follow_let_go(c->follow);
}

/* All at once, each in its own time. */
static void control_cut(const struct control_recorders *r)
{
	uint64_t end = stele__sys_monotonic_ns() + CONTROL_CUT_NS;
	uint32_t tickets[STELE_ARRAY_LENGTH(r->all)];

	for (size_t i = 0; i < r->count; i++)
		tickets[i] = stele__recorder_want_cut(r->all[i]);
	for (size_t i = 0; i < r->count; i++)
		stele__recorder_await_cut(r->all[i], tickets[i], end);
}

/* Snapshots --------------------------------------------------------------------------------- */

/* The lock is held. */
static void control_want(struct stele_control *c, const char *reason, uint64_t due_ns)
{
	snprintf(c->reason, sizeof(c->reason), "%s", reason);
	c->due_ns = due_ns;
	c->wanted++;
}

static void control_wake(const struct stele_control *c)
{
	if (c->wake_fd >= 0)
		eventfd_write(c->wake_fd, 1);
}

void stele__control_trigger(struct stele_control *c, const char *format, ...)
{
	const struct stele_flight_options *flight = &c->options->flight;
	char reason[CONTROL_REASON_BYTES];
	uint64_t now = stele__sys_monotonic_ns();
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	pthread_mutex_lock(&c->lock);
	if (c->reason[0] || (c->last_ns && now - c->last_ns < flight->gap_ns)) {
		c->passed_over++;
	} else {
		control_want(c, reason, now + flight->post_roll_ns);
		c->last_ns = now;
	}
	pthread_mutex_unlock(&c->lock);
	control_wake(c);
}

/* What all of them keep. */
static int control_recall(const struct control_recorders *r, struct stele_recalls *ret_recalls)
{
	struct stele_flight *flights[STELE_ARRAY_LENGTH(r->all)];

	for (size_t i = 0; i < r->count; i++)
		flights[i] = r->all[i]->flight;
	return stele__recalls_take(flights, r->count, ret_recalls);
}

static int control_snapshot(struct stele_control *c, const char *path, const char *reason)
{
	struct control_recorders recorders;
	struct stele_recalls recalls;
	int error;

	/*
	 * What is kept is better than nothing if a drain is too busy to end a generation. The
	 * second one begins with where everybody stands at this moment: where all of them wait,
	 * nothing else would tell until when.
	 */
	control_hold(c, &recorders);
	control_cut(&recorders);
	control_cut(&recorders);
	error = control_recall(&recorders, &recalls);
	control_let_go(c);
	if (error < 0) {
		c->snapshots.failed++;
		return error;
	}
	error = stele__snapshot_write(&c->snapshots, &recalls, path, reason);
	stele__recalls_free(&recalls);
	return error;
}

/* Takes the snapshot that is wanted, if it is time; returns when to look again, in ns. */
static uint64_t control_take_wanted(struct stele_control *c)
{
	char reason[CONTROL_REASON_BYTES] = "";
	uint64_t now = stele__sys_monotonic_ns(), wait = UINT64_MAX, number;

	pthread_mutex_lock(&c->lock);
	number = c->wanted;
	if (c->reason[0] && c->due_ns > now)
		wait = c->due_ns - now;
	else
		memcpy(reason, c->reason, sizeof(reason));
	pthread_mutex_unlock(&c->lock);
	if (!reason[0])
		return wait;
	control_snapshot(c, NULL, reason);
	pthread_mutex_lock(&c->lock);
	if (c->wanted != number) {
		wait = 0; /* somebody insisted meanwhile */
	} else {
		c->reason[0] = '\0';
		pthread_cond_broadcast(&c->settled);
	}
	pthread_mutex_unlock(&c->lock);
	return wait;
}

void stele__control_await(struct stele_control *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->reason[0] && c->running)
		pthread_cond_wait(&c->settled, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

void stele__control_insist(struct stele_control *c, const char *reason)
{
	bool running;

	pthread_mutex_lock(&c->lock);
	control_want(c, reason, 0);
	running = c->running;
	pthread_mutex_unlock(&c->lock);
	control_wake(c);
	if (running)
		stele__control_await(c);
	else
		control_take_wanted(c);
}

/* Bytes of a process that are in memory, 0: unknown. */
static uint64_t control_memory_of(int pid)
{
	unsigned long long pages = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	if (fscanf(file, "%*u %llu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Of the process that has most. */
static uint64_t control_memory(struct stele_control *c)
{
	struct control_recorders recorders;
	uint64_t most = 0;

	control_hold(c, &recorders);
	for (size_t i = 0; i < recorders.count; i++) {
		uint64_t bytes = control_memory_of(recorders.all[i]->pid);

		most = bytes > most ? bytes : most;
	}
	control_let_go(c);
	return most;
}

/* Once each time that it grows beyond the limit. */
static void control_watch_memory(struct stele_control *c)
{
	uint64_t limit = c->options->flight.rss_bytes, bytes;
	char text[64];

	if (!limit)
		return;
	bytes = control_memory(c);
	if (bytes > limit && !c->memory_told)
		stele__control_trigger(c, "the program's memory grew to %s",
				       stele__summary_bytes(bytes, text, sizeof(text)));
	c->memory_told = bytes > limit;
}

/* Requests ---------------------------------------------------------------------------------- */

struct control_answer {
	char text[STELE_RENDEZVOUS_BYTES_MAX];
	size_t used;
};

static void STELE_PRINTF(2, 3) answer_print(struct control_answer *answer, const char *format, ...)
{
	size_t room = sizeof(answer->text) - answer->used;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(answer->text + answer->used, room, format, args);
	va_end(args);
	if (n > 0)
		answer->used += (size_t)n < room ? (size_t)n : room - 1;
}

static void answer_flight(const struct stele_control *c, const struct control_recorders *recorders,
			  struct control_answer *answer)
{
	const struct stele_flight_options *limits = &c->options->flight;
	uint64_t all = 0, longest_ns = 0;
	char bytes[64], most[64];

	for (size_t i = 0; i < recorders->count; i++) {
		struct stele_flight_stats kept;

		stele__flight_stats(recorders->all[i]->flight, &kept);
		all += kept.bytes;
		if (kept.begin_ns && kept.end_ns - kept.begin_ns > longest_ns)
			longest_ns = kept.end_ns - kept.begin_ns;
	}
	answer_print(answer, "ring       %s of %s%s, the last %.1f s",
		     stele__summary_bytes(all, bytes, sizeof(bytes)),
		     stele__summary_bytes(limits->limits.bytes, most, sizeof(most)),
		     c->follow ? " for each" : "", (double)longest_ns / 1e9);
	if (limits->limits.ns)
		answer_print(answer, " (of %.1f s)", (double)limits->limits.ns / 1e9);
	answer_print(answer, "\nsnapshots  %llu written, %llu failed, %llu removed\n",
		     (unsigned long long)c->snapshots.written,
		     (unsigned long long)c->snapshots.failed,
		     (unsigned long long)c->snapshots.removed);
	if (c->snapshots.last[0])
		answer_print(answer, "newest     %s\n", c->snapshots.last);
}

static void control_status(struct stele_control *c, struct control_answer *answer)
{
	const struct stele_recorder *r = c->recorder;
	uint32_t events = stele__load_relaxed(&r->arena->events);
	struct control_recorders recorders;
	uint64_t seen = 0, lost = 0;
	char classes[64];

	control_hold(c, &recorders);
	for (size_t i = 0; i < recorders.count; i++) {
		seen += stele__load_relaxed(&recorders.all[i]->seen.events);
		lost += stele__load_relaxed(&recorders.all[i]->seen.lost);
	}
	answer_print(answer, "program    %s, process %d\n", c->options->argv[0], c->snapshots.pid);
	answer_print(answer, "recorder   process %d\n", (int)getpid());
	answer_print(answer, "recording  %s\n",
		     stele__classes_print(events, classes, sizeof(classes)));
	if (c->follow)
		answer_print(answer, "followed   %zu processes\n", recorders.count - 1);
	answer_print(answer, "events     %llu, %llu lost\n", (unsigned long long)seen,
		     (unsigned long long)lost);
	if (r->flight)
		answer_flight(c, &recorders, answer);
	else
		answer_print(answer, "trace      %s\n", r->output.path);
	control_let_go(c);
}

static const char *control_snapshot_now(struct stele_control *c, const char *path,
					struct control_answer *answer)
{
	int error;

	if (!c->recorder->flight)
		return "the recording goes to a file as a whole; snapshots are of 'stele record "
		       "--ring'";
	error = control_snapshot(c, *path ? path : NULL, "asked for by 'stele snapshot'");
	if (error == -EEXIST)
		return "the file exists";
	if (error < 0)
		return stele_strerror(error);
	answer_print(answer, "%s", c->snapshots.last);
	return NULL;
}

static const char *control_switch(struct stele_control *c, uint32_t events,
				  struct control_answer *answer)
{
	uint32_t before = stele__load_relaxed(&c->recorder->arena->events);
	struct control_recorders recorders;
	char classes[64];

	stele__store_relaxed(&c->recorder->arena->events, events);
	if (c->follow)
		stele__follow_switch(c->follow, events);
	/* What was recorded up to now is in the file, if there is one. */
	if (before & ~events) {
		control_hold(c, &recorders);
		control_cut(&recorders);
		control_let_go(c);
	}
	answer_print(answer, "recording %s",
		     stele__classes_print(events, classes, sizeof(classes)));
	return NULL;
}

/* What the program was not prepared for cannot be had, and of memory it is as at first. */
static uint32_t control_events(const struct stele_control *c, uint32_t events)
{
	const uint32_t optional = STELE_EVENTS_FILES | STELE_EVENTS_CPU;
	const uint32_t prepared = (c->options->events & ~STELE_EVENTS_CPU) |
				  (c->options->cpu_hz ? STELE_EVENTS_CPU : 0);
	uint32_t wanted = events ? events : c->options->events;

	return (wanted & ~(optional | STELE_EVENTS_MEMORY)) | (wanted & optional & prepared) |
	       (prepared & STELE_EVENTS_MEMORY);
}

/* NULL, or why not. */
static const char *control_do(struct stele_control *c, const struct stele_request *request,
			      struct control_answer *answer)
{
	switch (request->kind) {
	case STELE_REQUEST_STATUS:
		control_status(c, answer);
		return NULL;
	case STELE_REQUEST_SNAPSHOT:
		return control_snapshot_now(c, request->argument, answer);
	case STELE_REQUEST_START:
		return control_switch(c, control_events(c, request->events), answer);
	default:
		return control_switch(c, 0, answer);
	}
}

static void control_answer(struct stele_control *c, int fd)
{
	struct control_answer answer = {.used = 0};
	char data[STELE_RENDEZVOUS_BYTES_MAX];
	struct stele_request request;
	const char *refusal;
	ssize_t n = recv(fd, data, sizeof(data), MSG_TRUNC);

	if (n <= 0)
		return;
	answer_print(&answer, "ok ");
	refusal = (size_t)n > sizeof(data) ? "the request is too long"
					   : stele__request_parse(data, (size_t)n, &request);
	if (!refusal)
		refusal = control_do(c, &request, &answer);
	if (refusal) {
		answer.used = 0;
		answer_print(&answer, "error %s", refusal);
	}
	send(fd, answer.text, answer.used, MSG_NOSIGNAL);
}

static void control_accept(struct stele_control *c)
{
	const struct timeval patience = {.tv_sec = CONTROL_CLIENT_S};
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (stele__rendezvous_is_trusted(fd))
		control_answer(c, fd);
	close(fd);
}

/* The thread -------------------------------------------------------------------------------- */

static int control_timeout_ms(const struct stele_control *c, uint64_t wait_ns)
{
	if (c->options->flight.rss_bytes && wait_ns > CONTROL_MEMORY_NS)
		wait_ns = CONTROL_MEMORY_NS;
	return wait_ns == UINT64_MAX ? -1 : (int)(wait_ns / 1000000 + 1);
}

static void *control_run(void *arg)
{
	struct stele_control *c = arg;
	struct pollfd fds[] = {{.fd = c->wake_fd, .events = POLLIN},
			       {.fd = c->listen_fd, .events = POLLIN}};
	eventfd_t count;

	while (!stele__load_acquire(&c->stop)) { /* pairs with stele__control_stop */
		uint64_t wait = control_take_wanted(c);

		if (poll(fds, STELE_ARRAY_LENGTH(fds), control_timeout_ms(c, wait)) > 0) {
			if (fds[0].revents)
				eventfd_read(c->wake_fd, &count);
			if (fds[1].revents)
				control_accept(c);
		}
		control_watch_memory(c);
	}
	return NULL;
}

struct stele_control *stele__control_new(struct stele_recorder *recorder,
					 struct stele_follow *follow)
{
	struct stele_control *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->recorder = recorder;
	c->follow = follow;
	c->options = c->snapshots.options = recorder->options;
	c->listen_fd = c->wake_fd = -1;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->settled, NULL);
	return c;
}

void stele__control_start(struct stele_control *c, int pid)
{
	int error = 0;

	c->snapshots.pid = pid;
	c->listen_fd = stele__rendezvous_open(pid, &c->place);
	if (c->listen_fd < 0)
		stele__recorder_say(c->options, STELE_SAY_DETAIL,
				    "'stele status' and its like will not find this recording: "
				    "there is no place for a socket: %s",
				    stele_strerror(c->listen_fd));
	c->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->wake_fd < 0)
		error = -errno;
	pthread_mutex_lock(&c->lock);
	if (error == 0)
		error = -pthread_create(&c->thread, NULL, control_run, c);
	c->running = error == 0;
	pthread_mutex_unlock(&c->lock);
	if (error < 0)
		stele__recorder_say(c->options, STELE_SAY_WARNING,
				    "the recording cannot be controlled: there is no thread for "
				    "that: %s",
				    stele_strerror(error));
}

void stele__control_stop(struct stele_control *c)
{
	if (!c)
		return;
	stele__store_release(&c->stop, 1);
	if (c->running) {
		control_wake(c);
		pthread_join(c->thread, NULL);
	}
	pthread_mutex_lock(&c->lock);
	c->running = false;
	c->due_ns = 0;
	pthread_mutex_unlock(&c->lock);
	control_take_wanted(c);
	stele__rendezvous_close(c->listen_fd, &c->place);
	c->listen_fd = -1;
}

void stele__control_free(struct stele_control *c)
{
	if (!c)
		return;
	if (c->wake_fd >= 0)
		close(c->wake_fd);
	pthread_cond_destroy(&c->settled);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

const struct stele_snapshots *stele__control_snapshots(const struct stele_control *c)
{
	return &c->snapshots;
}

uint64_t stele__control_passed_over(const struct stele_control *c)
{
	return c->passed_over;
}
