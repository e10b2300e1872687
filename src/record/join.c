/* SPDX-License-Identifier: MIT */
#include "record/join.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "arena/board.h"
#include "base/digits.h"
#include "sys/clock.h"
#include "sys/sys.h"

#define OFFER_NS_MAX  5000000000ull
#define OFFER_NS_STEP 20000000u
#define PATH_BYTES    64

static char *path_text(char *at, const char *text)
{
	while (*text)
		*at++ = *text++;
	return at;
}

/* The file behind a descriptor of the supervisor. */
static int join_open(uint32_t supervisor, uint32_t fd)
{
	char path[PATH_BYTES], *at = path_text(path, "/proc/");

	at = stele__digits_put(at, supervisor, 10);
	at = path_text(at, "/fd/");
	*stele__digits_put(at, fd, 10) = '\0';
	return stele__sys_open_rw(path);
}

static int join_board(const struct stele_arena *parents, struct stele_board **ret_board)
{
	int fd = join_open(parents->supervisor, parents->board - 1);
	struct stele_board *board;
	int64_t bytes;
	int error = 0;

	if (fd < 0)
		return fd;
	bytes = stele__sys_size(fd);
	board = bytes < (int64_t)sizeof(*board) ? NULL
						: stele__sys_map_shared(fd, sizeof(*board), &error);
	stele__sys_close(fd);
	if (board && stele__load_acquire(&board->magic) == STELE_BOARD_MAGIC) {
		*ret_board = board;
		return 0;
	}
	if (board)
		stele__sys_unmap(board, sizeof(*board));
	return error < 0 ? error : -EINVAL;
}

/*
 * Does the supervisor know this process by the same number? Not if it lives in a pid namespace of
 * its own: then somebody else would be waited for. /proc/self is what the supervisor would say.
 */
static bool join_is_known(uint32_t pid)
{
	char theirs[STELE_DIGITS_MAX], ours[STELE_DIGITS_MAX];
	ssize_t bytes = readlink("/proc/self", theirs, sizeof(theirs));

	return bytes == stele__digits_put(ours, pid, 10) - ours &&
	       memcmp(theirs, ours, (size_t)bytes) == 0;
}

/* One that this process has taken, or can take now; NULL: none. */
static struct stele_board_place *join_place(struct stele_board *board, uint32_t pid)
{
	for (uint32_t i = 0; i < STELE_BOARD_PLACES; i++) {
		struct stele_board_place *place = &board->places[i];

		if (stele__load_acquire(&place->state) == STELE_PLACE_TAKEN &&
		    stele__load_relaxed(&place->pid) == pid)
			return place;
	}
	for (uint32_t i = 0; i < STELE_BOARD_PLACES; i++) {
		struct stele_board_place *place = &board->places[i];

		if (stele__load_acquire(&place->state) == STELE_PLACE_OFFERED &&
		    stele__cas_u32(&place->state, STELE_PLACE_OFFERED, STELE_PLACE_TAKEN)) {
			stele__store_release(&place->pid, pid);
			return place;
		}
	}
	return NULL;
}

static struct stele_board_place *join_wait(struct stele_board *board, uint32_t pid)
{
	uint64_t begin = stele__sys_monotonic_ns();

	do {
		uint32_t seen = stele__load_acquire(&board->offers);
		struct stele_board_place *place = join_place(board, pid);

		if (place)
			return place;
		stele__sys_futex_wait(&board->offers, seen, OFFER_NS_STEP);
	} while (stele__sys_monotonic_ns() - begin < OFFER_NS_MAX);
	return NULL;
}

/* What happens from now on, its drain will read later. */
static void join_note_time(struct stele_arena *arena)
{
	struct stele_clock_pair now;

	if (arena->clock_taken.ticks)
		return;
	now = stele__clock_pair(arena->clock != STELE_CLOCK_MONOTONIC);
	arena->clock_taken =
		(struct stele_arena_clock){now.ticks, now.monotonic_ns, now.realtime_ns};
}

/* Whoever died after it had taken a place leaves it to the supervisor, which knows by the pid. */
static int join_take(uint32_t supervisor, uint32_t fd, uint32_t pid, struct stele_arena **ret_arena)
{
	int file = join_open(supervisor, fd);
	int error;

	if (file < 0)
		return file;
	error = stele__arena_map(file, ret_arena);
	stele__sys_close(file);
	if (error < 0)
		return error;
	join_note_time(*ret_arena);
	if (stele__cas_u32(&(*ret_arena)->pid, 0, pid) ||
	    stele__load_acquire(&(*ret_arena)->pid) == pid)
		return 0;
	stele__arena_unmap(*ret_arena);
	return -ECHILD;
}

int stele__join(const struct stele_arena *parents, struct stele_arena **ret_arena)
{
	uint32_t pid = stele__sys_pid();
	struct stele_board *board;
	struct stele_board_place *place;
	int error;

	if (!parents->board || !join_is_known(pid))
		return -ECHILD;
	error = join_board(parents, &board);
	if (error < 0)
		return error;
	place = join_wait(board, pid);
	error = place ? join_take(parents->supervisor, stele__load_relaxed(&place->fd), pid,
				  ret_arena)
		      : -EAGAIN;
	stele__add_acq_rel(&board->takes, 1);
	stele__sys_futex_wake(&board->takes, 1);
	stele__sys_unmap(board, sizeof(*board));
	return error;
}
