/* SPDX-License-Identifier: MIT */
/*
 * What fibers cost: a switch of stacks, making and joining one, a value to another one and back,
 * giving way, the prime sieve. One line a result, in ns.
 *
 * usage: bench_fiber [WHAT [WORKERS]]
 *
 * bench_fiber.go prints the same of goroutines, bench_switch.cc the switch of Boost.Context.
 */
#include <string.h>

#include "fiber/scheduler.h"
#include "timer.h"

#define SWITCHES 10000000u
#define FIBERS	 500000u
#define PASSES	 1000000u
#define PRIMES	 1000

static struct stele__context here, there;

static void switch_back(void *arg)
{
	(void)arg;
	for (;;)
		stele__context_jump(&there.sp, here.sp);
}

static void bench_switch(void *arg)
{
	struct stele__stack *s = stele__stack_take(64 << 10);
	uint64_t begin;

	(void)arg;
	stele__context_make(&there, s->limit, s, switch_back, NULL, NULL);
	stele__context_jump(&here.sp, there.sp);
	begin = bench_now_ns();
	for (unsigned i = 0; i < SWITCHES; i++)
		stele__context_jump(&here.sp, there.sp);
	bench_print("switch", (double)(bench_now_ns() - begin) / SWITCHES / 2);
}

static void nothing(void *arg)
{
	(void)arg;
}

static void bench_spawn(void *arg)
{
	uint64_t begin = bench_now_ns();

	(void)arg;
	for (unsigned i = 0; i < FIBERS; i++)
		stele_fiber_join(stele_fiber_spawn(nothing, NULL));
	bench_print("spawn", (double)(bench_now_ns() - begin) / FIBERS);
}

static void answer(void *arg)
{
	struct stele_channel **c = arg;
	int value;

	while (stele_channel_receive(c[0], &value))
		stele_channel_send(c[1], &value);
}

static void bench_pass(void *arg)
{
	struct stele_channel *c[2] = {stele_channel_new(4, 0), stele_channel_new(4, 0)};
	struct stele_fiber *f = stele_fiber_spawn(answer, c);
	uint64_t begin = bench_now_ns();

	(void)arg;
	for (unsigned i = 0; i < PASSES; i++) {
		int value = (int)i;

		stele_channel_send(c[0], &value);
		stele_channel_receive(c[1], &value);
	}
	bench_print("pass", (double)(bench_now_ns() - begin) / PASSES);
	stele_channel_close(c[0]);
	stele_fiber_join(f);
}

static void bench_yield(void *arg)
{
	uint64_t begin = bench_now_ns();

	(void)arg;
	for (unsigned i = 0; i < PASSES; i++)
		stele_fiber_yield();
	bench_print("yield", (double)(bench_now_ns() - begin) / PASSES);
}

struct filter {
	struct stele_channel *in, *out;
	int prime;
};

static void filter(void *arg)
{
	struct filter *f = arg;
	int value;

	while (stele_channel_receive(f->in, &value))
		if (value % f->prime && !stele_channel_send(f->out, &value))
			break;
}

static void generate(void *arg)
{
	int i = 2;

	while (stele_channel_send(arg, &i))
		i++;
}

/* In ns for each prime. */
static void bench_sieve(void *arg)
{
	static struct filter filters[PRIMES];
	struct stele_channel *in = stele_channel_new(4, 0);
	uint64_t begin = bench_now_ns();

	(void)arg;
	stele_fiber_detach(stele_fiber_spawn(generate, in));
	for (int i = 0; i < PRIMES; i++) {
		filters[i] = (struct filter){.in = in, .out = stele_channel_new(4, 0)};
		stele_channel_receive(in, &filters[i].prime);
		stele_fiber_detach(stele_fiber_spawn(filter, &filters[i]));
		in = filters[i].out;
	}
	bench_print("sieve", (double)(bench_now_ns() - begin) / PRIMES);
	for (int i = 0; i < PRIMES; i++)
		stele_channel_close(filters[i].in);
	stele_channel_close(in);
}

static const struct {
	const char *name;
	void (*run)(void *arg);
} benches[] = {
	{"switch", bench_switch}, {"spawn", bench_spawn}, {"pass", bench_pass},
	{"yield", bench_yield},	  {"sieve", bench_sieve},
};

int main(int argc, char **argv)
{
	struct stele_fiber_options options = {
		.workers = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0};

	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		if (argc < 2 || !strcmp(argv[1], benches[i].name) || !strcmp(argv[1], "all"))
			if (stele_fiber_run(&options, benches[i].run, NULL) < 0)
				return 1;
	return 0;
}
