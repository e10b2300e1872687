/* SPDX-License-Identifier: MIT */
/*
 * Runs a program under the preload module with an arena of its own, and counts what it recorded:
 *
 *	traced MODULE COUNTS PROGRAM [ARGUMENT...]
 *
 * COUNTS becomes a file of "KIND count" lines, GO_BLOCK also by reason (GO_BLOCK.MUTEX), with
 * open.SYSCALL and open.BLOCK: intervals that were begun and never ended. The status is the
 * program's, 128 + signal if one killed it.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/attached.h"

#define ARENA_BYTES (256ull << 20)
#define TICK_US	    1000

static const char *const kind_names[] = {
#define X(name, class, flags, a, b, c) #name,
#include "arena/kinds.def"
#undef X
};

static const char *const wait_names[] = {
#define X(name, text) #name,
#include "arena/waits.def"
#undef X
};

static uint64_t kinds[STELE__KIND_COUNT];
static uint64_t waits[STELE__WAIT_COUNT];

static void traced_count(void *arg, const struct stele_record *r)
{
	unsigned kind = stele__record_kind(r->header);

	(void)arg;
	if (kind >= STELE__KIND_COUNT)
		return;
	kinds[kind]++;
	if (kind == STELE_KIND_GO_BLOCK && stele__wait_of(r->a) < STELE__WAIT_COUNT)
		waits[stele__wait_of(r->a)]++;
}

/* Takes what is there, and the slots of threads that have gone. */
static void traced_drain(struct stele_arena *a)
{
	for (uint32_t i = 0; i < stele__load_acquire(&a->ring_bump); i++) {
		struct stele_ring *ring = stele__arena_ring(a, i);

		if (stele__load_acquire(&ring->state) == STELE_RING_LIVE)
			attached_take(ring, traced_count, NULL);
	}
}

static bool thread_gone(const struct stele_arena *a, const struct stele_slot *slot)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/task/%u", a->pid, slot->tid);
	return access(path, F_OK) != 0;
}

static void traced_reclaim(struct stele_arena *a)
{
	for (uint32_t i = 0; i < stele__load_acquire(&a->ring_bump); i++) {
		struct stele_ring *ring = stele__arena_ring(a, i);
		struct stele_slot *slot = stele__arena_slot(a, ring->slot);
		bool ended = stele__load_acquire(&ring->state) == STELE_RING_LIVE &&
			     stele__load_acquire(&slot->state) == STELE_SLOT_ENDED;

		if (ended && ring->incarnation == slot->incarnation && thread_gone(a, slot)) {
			attached_take(ring, traced_count, NULL);
			stele__ring_give(a, ring);
			if (ring->sequence == 0)
				stele__slot_give(a, slot);
		}
	}
}

static uint64_t traced_dropped(struct stele_arena *a)
{
	uint64_t sum = a->no_slot;

	for (uint32_t i = 0; i < a->slot_bump; i++)
		for (int cause = 0; cause < STELE__LOSS_COUNT; cause++)
			for (int class = 0; class < STELE__CLASS_COUNT; class ++)
				sum += stele__arena_slot(a, i)->dropped[cause][class];
	return sum;
}

static int traced_report(struct stele_arena *a, const char *path)
{
	FILE *out = fopen(path, "w");

	if (!out)
		return -errno;
	for (int i = 0; i < STELE__KIND_COUNT; i++)
		fprintf(out, "%s %" PRIu64 "\n", kind_names[i], kinds[i]);
	for (int i = 0; i < STELE__WAIT_COUNT; i++)
		fprintf(out, "GO_BLOCK.%s %" PRIu64 "\n", wait_names[i], waits[i]);
	fprintf(out, "open.BLOCK %" PRIi64 "\n",
		(int64_t)(kinds[STELE_KIND_GO_BLOCK] - kinds[STELE_KIND_GO_WAKE]));
	fprintf(out, "open.SYSCALL %" PRIi64 "\n",
		(int64_t)(kinds[STELE_KIND_SYSCALL_BEGIN] - kinds[STELE_KIND_SYSCALL_END]));
	fprintf(out, "attached %d\n", a->pid != 0);
	fprintf(out, "images %u\n", a->images);
	fprintf(out, "children %" PRIu64 "\n", a->children);
	fprintf(out, "dropped %" PRIu64 "\n", traced_dropped(a));
	return fclose(out);
}

static struct stele_arena *traced_arena(char *path, size_t path_bytes)
{
	struct stele_arena_options options = {.bytes = ARENA_BYTES,
					      .slot_max = 4096,
					      .clock = STELE_CLOCK_MONOTONIC,
					      .events = STELE_EVENTS_ALL,
					      .stack_frames_max = 32};
	struct stele_arena *a = NULL;
	int fd = stele__sys_memfd("traced");

	if (fd < 0 || stele__arena_create(fd, &options, &a) < 0)
		return NULL;
	snprintf(path, path_bytes, "/proc/%d/fd/%d", getpid(), fd);
	return a;
}

static pid_t traced_start(const char *module, const char *arena, char **program)
{
	const char *others = getenv("TRACED_PRELOAD"); /* "first:%s:last": %s is the module */
	char preload[1024];
	const char *place = others ? strstr(others, "%s") : NULL;
	pid_t pid;

	if (place)
		snprintf(preload, sizeof(preload), "%.*s%s%s", (int)(place - others), others,
			 module, place + 2);
	else
		snprintf(preload, sizeof(preload), "%s", module);
	pid = fork();
	if (pid == 0) {
		setenv("STELE_ARENA", arena, 1);
		setenv("LD_PRELOAD", preload, 1);
		execvp(program[0], program);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	char path[64];
	struct stele_arena *a;
	pid_t pid;
	int status = 0;

	a = argc > 3 ? traced_arena(path, sizeof(path)) : NULL;
	if (!a) {
		fprintf(stderr, "usage: traced MODULE COUNTS PROGRAM [ARGUMENT...]\n");
		return 125;
	}
	pid = traced_start(argv[1], path, argv + 3);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		traced_drain(a);
		traced_reclaim(a);
		usleep(TICK_US);
	}
	traced_drain(a);
	if (traced_report(a, argv[2]) != 0)
		return 125;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
