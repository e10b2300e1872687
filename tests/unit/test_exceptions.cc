/* SPDX-License-Identifier: MIT */
/*
 * C++ on fibers: exceptions are caught where they should be, also if others throw while one is
 * being handled; destructors run; what nobody catches ends the process.
 */
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#include "stele/fiber.h"

static const int fibers = 40, rounds = 50;
static unsigned wrong, destroyed;

struct counted {
	~counted()
	{
		__atomic_fetch_add(&destroyed, 1, __ATOMIC_RELAXED);
	}
};

static __attribute__((noinline)) void fail(int depth, const std::string &name)
{
	counted c;

	if (depth)
		fail(depth - 1, name);
	else
		throw std::runtime_error(name);
}

/* Waits in the handler, with its exception under way; on another thread, perhaps. */
static void throw_and_wait(void *arg)
{
	std::string mine = "fiber " + std::to_string((long)arg);

	for (int i = 0; i < rounds; i++) {
		try {
			try {
				fail(i, mine);
			} catch (const std::runtime_error &e) {
				stele_fiber_yield();
				if (e.what() != mine)
					wrong++;
				try {
					fail(3, mine + " within");
				} catch (const std::exception &within) {
					stele_fiber_yield();
					if (within.what() != mine + " within")
						wrong++;
				}
				throw; /* this one still */
			}
		} catch (const std::exception &e) {
			if (e.what() != mine || std::uncaught_exceptions() != 0)
				wrong++;
		}
	}
}

static void throw_all(void *)
{
	struct stele_fiber *all[fibers];

	for (long i = 0; i < fibers; i++)
		all[i] = stele_fiber_spawn(throw_and_wait, (void *)i);
	for (int i = 0; i < fibers; i++)
		stele_fiber_join(all[i]);
}

static void throw_to_nobody(void *)
{
	throw std::runtime_error("nobody's");
}

static bool ends_the_process()
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		std::set_terminate([] { _exit(77); });
		stele_fiber_run(nullptr, throw_to_nobody, nullptr);
		_exit(0);
	}
	waitpid(child, &status, 0);
	return WIFEXITED(status) && WEXITSTATUS(status) == 77;
}

int main()
{
	struct stele_fiber_options options = {4, 0, false};
	unsigned expected = fibers * (rounds * (rounds + 1) / 2 + rounds * 4);

	printf("1..3\n");
	fflush(stdout);
	printf("%sok 1 - what_nobody_catches_ends_the_process\n", ends_the_process() ? "" : "not ");
	stele_fiber_run(&options, throw_all, nullptr);
	printf("%sok 2 - exceptions_stay_with_their_fiber\n", wrong ? "not " : "");
	printf("%sok 3 - destructors_run # %u of %u\n", destroyed == expected ? "" : "not ",
	       destroyed, expected);
	return 0;
}
