/* SPDX-License-Identifier: MIT */
#include "preload/hostile.h"

#include <pthread.h>
#include <string.h>

static int early_status = -1;

static void *early_thread(void *arg)
{
	*(int *)arg = 7;
	return arg;
}

/* Before main, with a thread and a contended look at a file. */
__attribute__((constructor)) static void early(void)
{
	pthread_t thread;
	char byte;
	int seen = 0;

	if (pthread_create(&thread, NULL, early_thread, &seen) == 0 &&
	    pthread_join(thread, NULL) == 0 && read(-1, &byte, 1) == -1 && errno == EBADF)
		early_status = seen;
}

static void late_exit(void)
{
	usleep(1);
	write(1, "atexit\n", 7);
}

__attribute__((destructor)) static void late(void)
{
	usleep(1);
	write(1, "destructor\n", 11);
}

int main(int argc, char **argv)
{
	static const struct hostile *const sets[] = {hostile_threads, hostile_locks, hostile_calls,
						     hostile_processes};
	const char *name = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	alarm(60);
	atexit(late_exit);
	if (strcmp(name, "early") == 0) {
		printf("early %d\n", early_status);
		return 0;
	}
	if (strcmp(name, "child") == 0) {
		printf("child runs\n");
		return 3;
	}
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
		for (const struct hostile *h = sets[i]; h->name; h++)
			if (strcmp(name, h->name) == 0)
				return h->run();
	fprintf(stderr, "hostile: no program called '%s'\n", name);
	return 125;
}
