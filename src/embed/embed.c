/* SPDX-License-Identifier: MIT */
/*
 * stele/stele.h: the arena, the drain and its thread in the recorded process itself.
 *
 * The arena is made once and stays: an emission that was interrupted may hold a part of it for
 * ever. Between two recordings threads keep their slots and rings; the next drain begins where the
 * rings are then (docs/design/embed.md).
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "arena/arena.h"
#include "base/error.h"
#include "drain/liveness.h"
#include "drain/pump.h"
#include "record/attach.h"
#include "record/teller.h"
#include "record/thread.h"
#include "stele/runtime.h"
#include "stele/stele.h"
#include "sys/sys.h"

#define EMBED_OUTPUTS_MAX 16
#define EMBED_FRAMES_MAX  64
#define EMBED_CHOICES                                                                              \
	(STELE_NO_LOCKS | STELE_NO_SYSCALLS | STELE_NO_ANNOTATIONS | STELE_NO_MEMORY |             \
	 STELE_NO_FILES)

_Static_assert(EMBED_OUTPUTS_MAX <= STELE_TEAM_MAX, "each output may be of a choice of its own");
_Static_assert((int)STELE_NO_LOCKS == STELE_EVENTS_LOCKS &&
		       (int)STELE_NO_SYSCALLS == STELE_EVENTS_SYSCALLS &&
		       (int)STELE_NO_ANNOTATIONS == STELE_EVENTS_USER &&
		       (int)STELE_NO_MEMORY == STELE_EVENTS_MEMORY &&
		       (int)STELE_NO_FILES == STELE_EVENTS_FILES &&
		       (int)STELE_ABORT == STELE_REENTRY_ABORT,
	       "the public names are those of the arena");

struct embed_output {
	struct stele_output wanted;
	int fd; /* of a path or descriptor; -1: neither */
	int error;
};

/* One recording at a time; under embed_lock but for what the pump's thread does. */
static struct {
	struct stele_arena *arena; /* NULL: there was no start yet in this process */
	struct stele_team team;	   /* a drain for each choice of events; none: no recording */
	unsigned choices[EMBED_OUTPUTS_MAX]; /* what the drain of this number leaves out */
	struct stele_pump pump;
	struct embed_output outputs[EMBED_OUTPUTS_MAX];
	size_t output_count;
	bool forks_watched;
} embed;

static pthread_mutex_t embed_lock = PTHREAD_MUTEX_INITIALIZER;

/* Outputs ----------------------------------------------------------------------------------- */

static int output_open(const struct stele_output *wanted, struct embed_output *ret_output)
{
	*ret_output = (struct embed_output){.wanted = *wanted, .fd = -1};
	if ((wanted->path && wanted->write) || wanted->leave_out & ~EMBED_CHOICES)
		return -EINVAL;
	if (wanted->write)
		return 0;
	if (!wanted->path)
		ret_output->fd = fcntl(wanted->fd, F_GETFD) < 0 ? -1 : wanted->fd;
	else
		ret_output->fd = open(wanted->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	return ret_output->fd < 0 ? -errno : 0;
}

static int output_write(struct embed_output *o, const void *data, size_t bytes)
{
	if (o->wanted.write)
		return o->wanted.write(o->wanted.arg, data, bytes);
	while (bytes) {
		int64_t n = stele__sys_write(o->fd, data, bytes);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		data = (const char *)data + n;
		bytes -= (size_t)n;
	}
	return 0;
}

/* To all of this choice that still work. Fails when none does. */
static int embed_write(void *choice, const void *data, size_t bytes)
{
	int error = -EIO;

	for (size_t i = 0; i < embed.output_count; i++) {
		struct embed_output *o = &embed.outputs[i];

		if (o->wanted.leave_out != *(const unsigned *)choice)
			continue;
		if (!o->error)
			o->error = output_write(o, data, bytes);
		if (!o->error)
			error = 0;
	}
	return error;
}

/* The first failure of an output. */
static int outputs_close(void)
{
	int error = 0;

	for (size_t i = 0; i < embed.output_count; i++) {
		struct embed_output *o = &embed.outputs[i];

		if (o->wanted.path && o->fd >= 0 && close(o->fd) < 0 && !o->error)
			o->error = -errno;
		if (!error)
			error = o->error;
	}
	embed.output_count = 0;
	return error;
}

static int outputs_open(const struct stele_start_options *options)
{
	int error = 0;

	if (!options->outputs || !options->output_count ||
	    options->output_count > EMBED_OUTPUTS_MAX)
		return -EINVAL;
	for (size_t i = 0; error == 0 && i < options->output_count; i++) {
		error = output_open(&options->outputs[i], &embed.outputs[i]);
		embed.output_count = i + 1;
	}
	if (error < 0)
		outputs_close();
	return error;
}

/* The arena ---------------------------------------------------------------------------------- */

/* What is recorded, said while nothing is. An embedded drain never makes anyone wait. */
static struct stele_arena_options embed_shape(const struct stele_start_options *options)
{
	return (struct stele_arena_options){
		.bytes = options->buffer_bytes ? options->buffer_bytes : STELE_ARENA_BYTES_DEFAULT,
		.clock = stele__arena_clock(),
		.reentry = options->reentry,
		.on_full = STELE_ON_FULL_DROP,
		.events = STELE_EVENTS_ALL & ~options->leave_out,
		.stack_frames_max = EMBED_FRAMES_MAX,
		.heap_sample_bytes = options->heap_sample_bytes,
	};
}

static int arena_prepare(const struct stele_start_options *options)
{
	struct stele_arena_options shape = embed_shape(options);
	int fd, error;

	if (embed.arena) {
		stele__add_relaxed(&embed.arena->recording, 1);
		stele__store_relaxed(&embed.arena->events, shape.events);
		stele__store_relaxed(&embed.arena->heap_sample_bytes, shape.heap_sample_bytes);
		/* Rings that threads have were made for the first policy. */
		return embed.arena->reentry == shape.reentry ? 0 : -EINVAL;
	}
	fd = stele__sys_memfd("stele-arena");
	if (fd < 0)
		return fd;
	error = stele__arena_create(fd, &shape, &embed.arena);
	stele__sys_close(fd);
	return error;
}

/* Starting and stopping ---------------------------------------------------------------------- */

static int64_t embed_threads(void *arg, uint32_t *tids, size_t max)
{
	(void)arg;
	return stele__liveness_threads((int)stele__sys_pid(), tids, max);
}

static bool embed_thread_exists(void *arg, uint32_t tid)
{
	(void)arg;
	return stele__liveness_exists((int)stele__sys_pid(), tid);
}

static void embed_enter(void *arg)
{
	(void)arg;
	stele__thread_leave_out();
}

static void embed_after_tick(void *arg, int64_t taken)
{
	(void)arg;
	(void)taken; /* stele_stop tells what went wrong */
}

/* The pump's thread takes none of the program's signals. */
static int embed_pump(void)
{
	uint64_t signals = stele__sys_signals_block();
	int error;

	embed.pump = (struct stele_pump){.arena = embed.arena,
					 .team = &embed.team,
					 .enter = embed_enter,
					 .after_tick = embed_after_tick};
	error = stele__pump_start(&embed.pump);
	stele__sys_signals_restore(signals);
	return error;
}

static struct stele_fork embed_fork;

static void embed_before_fork(void)
{
	pthread_mutex_lock(&embed_lock);
	if (embed.arena)
		stele_fork_prepare(&embed_fork);
}

static void embed_in_parent(void)
{
	if (embed.arena)
		stele_fork_parent(&embed_fork, -1);
	pthread_mutex_unlock(&embed_lock);
}

/* The arena is the parent's, whether it records just now or not: threads have rings there. What the
 * child has of a recording is left as it is: files and memory are given back in the parent alone.
 */
static void embed_in_child(void)
{
	if (embed.arena)
		stele_fork_child(&embed_fork);
	embed.arena = NULL;
	embed.team.count = 0;
	embed.output_count = 0;
	pthread_mutex_unlock(&embed_lock);
}

/* The number of different choices; they stand in embed.choices. */
static size_t embed_choose(void)
{
	size_t count = 0;

	for (size_t i = 0; i < embed.output_count; i++) {
		size_t k = 0;

		while (k < count && embed.choices[k] != embed.outputs[i].wanted.leave_out)
			k++;
		if (k == count)
			embed.choices[count++] = embed.outputs[i].wanted.leave_out;
	}
	return count;
}

static int embed_create_team(const struct stele_start_options *options, bool resume)
{
	size_t count = embed_choose();
	int error = 0;

	for (size_t i = 0; error == 0 && i < count; i++) {
		const struct stele_drain_options drain = {
			.version = options->version ? options->version : 23,
			.sink = {embed_write, &embed.choices[i]},
			.liveness = {embed_threads, embed_thread_exists, NULL},
			.resume = resume,
			.shared = count > 1,
			.leave_out = embed.choices[i],
		};

		error = stele__drain_new(embed.arena, &drain, &embed.team.drains[i]);
		embed.team.count += error == 0;
	}
	return error;
}

static int embed_begin(const struct stele_start_options *options)
{
	const bool resume = embed.arena != NULL;
	int error = arena_prepare(options);

	if (error == 0)
		error = embed_create_team(options, resume);
	if (error == 0)
		error = embed_pump();
	if (error == 0)
		stele__tellers_forget();
	if (error == 0 && !resume) {
		error = stele__attach_to(embed.arena);
		if (error < 0)
			stele__pump_stop(&embed.pump);
	} else if (error == 0) {
		stele__attach_resume();
	}
	if (error == 0 && !embed.forks_watched)
		embed.forks_watched =
			pthread_atfork(embed_before_fork, embed_in_parent, embed_in_child) == 0;
	if (error == 0)
		stele__tellers_tell();
	return error;
}

/* After a failure of the first start there is no arena either. */
static void embed_abandon(bool first)
{
	stele__team_free(&embed.team);
	if (first) {
		stele__arena_unmap(embed.arena);
		embed.arena = NULL;
	}
	outputs_close();
}

STELE_EXPORT int stele_start(const struct stele_start_options *options)
{
	bool first;
	int error;

	if (!options || options->reentry > STELE_ABORT)
		return -EINVAL;
	pthread_mutex_lock(&embed_lock);
	first = !embed.arena;
	error = embed.team.count || stele_enabled() ? -EBUSY : outputs_open(options);
	if (error == 0) {
		error = embed_begin(options);
		if (error < 0)
			embed_abandon(first);
	}
	pthread_mutex_unlock(&embed_lock);
	return error;
}

static void embed_tell(struct stele_stopped *ret_stopped)
{
	struct stele_drain_stats stats;

	*ret_stopped = (struct stele_stopped){0};
	for (size_t i = 0; i < embed.team.count; i++) {
		stele__drain_stats(embed.team.drains[i], &stats);
		if (i == 0 || stats.events > ret_stopped->events)
			*ret_stopped = (struct stele_stopped){.events = stats.events,
							      .lost = stele__drain_lost(&stats),
							      .bytes = stats.bytes};
	}
}

static int embed_end(struct stele_stopped *ret_stopped)
{
	const struct stele_ending ending = {.interrupted = true};
	int error;

	stele__attach_pause();
	stele__pump_stop(&embed.pump);
	error = stele__team_finish(&embed.team, &ending);
	embed_tell(ret_stopped);
	stele__team_free(&embed.team);
	ret_stopped->error = outputs_close();
	if (!ret_stopped->error)
		ret_stopped->error = error;
	return ret_stopped->error;
}

STELE_EXPORT int stele_stop(struct stele_stopped *ret_stopped)
{
	struct stele_stopped stopped = {0};
	int error = -EINVAL;

	pthread_mutex_lock(&embed_lock);
	if (embed.team.count)
		error = embed_end(&stopped);
	pthread_mutex_unlock(&embed_lock);
	if (ret_stopped)
		*ret_stopped = stopped;
	return error;
}
