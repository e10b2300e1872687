/* SPDX-License-Identifier: MIT */
#include "supervise/follow.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena/board.h"
#include "support/tap.h"

static void say_nothing(void *arg, enum stele_say level, const char *sentence)
{
	(void)arg;
	(void)level;
	(void)sentence;
}

static const struct stele_session_options options = {
	.version = 23, .arena_bytes = 1 << 20, .follow = true, .say = say_nothing};

static unsigned count_offers(const struct stele_board *board)
{
	unsigned offers = 0;

	for (unsigned i = 0; i < STELE_BOARD_PLACES; i++)
		offers += stele__load_acquire(&board->places[i].state) == STELE_PLACE_OFFERED;
	return offers;
}

static pid_t dead_process(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	return pid;
}

/* Whoever died between taking an offer and putting its name into the arena used it up for ever. */
static void offers_of_those_that_died_at_once_are_made_again(void)
{
	struct stele_follow *follow = NULL;
	struct stele_followed followed;
	struct stele_board *board;
	pid_t dead = dead_process();
	unsigned offers = 0;

	CHECK_EQ(stele__follow_new(&options, &follow), 0);
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE, MAP_SHARED,
		     (int)stele__follow_board(follow) - 1, 0);
	CHECK(board != MAP_FAILED);
	CHECK_EQ(stele__follow_start(follow), 0);
	offers = count_offers(board);
	CHECK(offers > 0);
	for (unsigned i = 0; i < STELE_BOARD_PLACES; i++) {
		struct stele_board_place *place = &board->places[i];

		if (!stele__cas_u32(&place->state, STELE_PLACE_OFFERED, STELE_PLACE_TAKEN))
			continue;
		/* Half of them died before they had even said who they are. */
		stele__store_release(&place->pid, i % 2 ? (uint32_t)dead : 0);
	}
	for (int i = 0; i < 500 && count_offers(board) < offers; i++)
		usleep(10000);
	CHECK(count_offers(board) >= offers);
	CHECK(stele__follow_is_idle(follow));
	stele__follow_stop(follow);
	stele__follow_totals(follow, NULL, &followed);
	CHECK_EQ(followed.processes + followed.failed + followed.missed, 0);
	stele__follow_free(follow);
	munmap(board, sizeof(*board));
}

TAP_MAIN(TEST(offers_of_those_that_died_at_once_are_made_again))
