/* SPDX-License-Identifier: MIT */
/*
 * A program whose signal handler reports events while the program itself reports some: a timer
 * fires every 100 us, for ROUNDS rounds and until the handler has run ten times.
 */
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "stele/runtime.h"

static volatile sig_atomic_t handled;

static void on_timer(int number)
{
	static char object[64];

	(void)number;
	stele_object_alloc(object, sizeof(object));
	stele_object_free(object);
	handled++;
}

int main(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = on_timer};
	const struct itimerspec period = {{0, 100000}, {0, 100000}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 1000;
	static char object[64];
	timer_t timer;

	sigaction(SIGUSR1, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &period, NULL))
		return 1;
	while (rounds-- > 0 || handled < 10) {
		stele_object_alloc(object, sizeof(object));
		stele_object_free(object);
	}
	return 0;
}
