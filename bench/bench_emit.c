/* SPDX-License-Identifier: MIT */
/*
 * What an event costs. Run alone it shows the price of the clock and of a probe that is off; under
 * 'stele record' (its drain on another core) that of events in bursts and without pause.
 */
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "bench/timer.h"
#include "stele/trace.h"

#define ROUNDS		 41
#define CALLS		 100000
#define BURST_EVENTS	 30000
#define BURST_ROUNDS	 60
#define SUSTAINED_EVENTS 1000
#define SUSTAINED_ROUNDS 1000
#define FLOOD_S		 1
#define PASSES		 50000

static double per_call_ns(uint64_t begin, uint64_t end, uint64_t calls)
{
	return (double)(end - begin) / (double)calls;
}

/* The median over ROUNDS of CALLS runs of a statement, in ns each. */
#define MEASURE(ret, statement)                                                                    \
	do {                                                                                       \
		double rounds[ROUNDS];                                                             \
                                                                                                   \
		for (unsigned r = 0; r < ROUNDS; r++) {                                            \
			uint64_t begin = bench_now_ns();                                           \
                                                                                                   \
			for (uint64_t i = 0; i < CALLS; i++) {                                     \
				statement;                                                         \
			}                                                                          \
			rounds[r] = per_call_ns(begin, bench_now_ns(), CALLS);                     \
		}                                                                                  \
		*(ret) = bench_median(rounds, ROUNDS);                                             \
	} while (0)

static void bench_clock(void)
{
	struct timespec t;
	double ns;

	MEASURE(&ns, BENCH_KEEP(bench_ticks()));
	bench_print("clock_counter_ns", ns);
	MEASURE(&ns, clock_gettime(CLOCK_MONOTONIC, &t));
	bench_print("clock_gettime_ns", ns);
}

/* The loop alone costs something, too; what is printed is what the probe adds. */
static void bench_off(void)
{
	double loop, probe, call;

	MEASURE(&loop, BENCH_KEEP(i));
	MEASURE(&probe, {
		BENCH_KEEP(i);
		if (stele_enabled())
			stele_counter(1, (int64_t)i);
	});
	MEASURE(&call, {
		BENCH_KEEP(i);
		stele_counter(1, (int64_t)i);
	});
	bench_print("off_probe_ns", probe > loop ? probe - loop : 0);
	bench_print("off_call_ns", call > loop ? call - loop : 0);
}

static stele_name bench_name(void)
{
	stele_name name = stele_name_intern("bench");

	if (!name) {
		fputs("bench_emit: nothing is being recorded; run it under 'stele record'\n",
		      stderr);
		exit(1);
	}
	return name;
}

/* Bursts that fit the ring, each after the drain had time to take the one before. */
static void bench_burst(void)
{
	const stele_name name = bench_name();
	double rounds[BURST_ROUNDS];

	for (unsigned r = 0; r < BURST_ROUNDS; r++) {
		uint64_t begin = bench_now_ns();

		for (int64_t i = 0; i < BURST_EVENTS; i++)
			stele_counter(name, i);
		rounds[r] = per_call_ns(begin, bench_now_ns(), BURST_EVENTS);
		bench_sleep_ms(20);
	}
	/* The first rounds grow the ring. */
	bench_print("burst_ns", bench_median(rounds + 10, BURST_ROUNDS - 10));
}

/* At a pace that the drain can keep: half a million events a second, read while more are written.
 */
static void bench_sustained(void)
{
	const stele_name name = bench_name();
	double rounds[SUSTAINED_ROUNDS];
	int64_t count = 0;

	for (unsigned r = 0; r < SUSTAINED_ROUNDS; r++) {
		uint64_t begin = bench_now_ns(), now;

		for (unsigned i = 0; i < SUSTAINED_EVENTS; i++)
			stele_counter(name, count++);
		now = bench_now_ns();
		rounds[r] = per_call_ns(begin, now, SUSTAINED_EVENTS);
		while (now - begin < SUSTAINED_EVENTS * 2000ull)
			now = bench_now_ns();
	}
	bench_print("sustained_ns", bench_median(rounds, SUSTAINED_ROUNDS));
}

/* As fast as it goes: shows what the drain can take, and that the rest is counted. */
static void bench_flood(void)
{
	const stele_name name = bench_name();
	const uint64_t begin = bench_now_ns();
	uint64_t now, count = 0;

	do {
		for (unsigned i = 0; i < 1000; i++)
			stele_counter(name, (int64_t)count++);
		now = bench_now_ns();
	} while (now - begin < FLOOD_S * 1000000000ull);
	bench_print("flood_ns", per_call_ns(begin, now, count));
	bench_print("flood_s", (double)(now - begin) / 1e9);
}

/* Two threads that hand a token to each other: blocks and wakes, as a scheduler sees them. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t turned;
	unsigned turn;
} table = {.lock = PTHREAD_MUTEX_INITIALIZER, .turned = PTHREAD_COND_INITIALIZER};

static void *play(void *arg)
{
	const unsigned mine = arg != NULL;

	for (unsigned i = 0; i < PASSES; i++) {
		pthread_mutex_lock(&table.lock);
		while (table.turn != mine)
			pthread_cond_wait(&table.turned, &table.lock);
		table.turn = !mine;
		pthread_cond_signal(&table.turned);
		pthread_mutex_unlock(&table.lock);
	}
	return NULL;
}

static void bench_pass(void)
{
	const uint64_t begin = bench_now_ns();
	pthread_t other;

	if (pthread_create(&other, NULL, play, &table))
		exit(1);
	play(NULL);
	pthread_join(other, NULL);
	bench_print("pass_ns", per_call_ns(begin, bench_now_ns(), 2 * PASSES));
}

/* The most memory that this process ever held. */
static void print_peak(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "VmHWM:", 6))
			bench_print("peak_kib", strtod(line + 6, NULL));
	if (f)
		fclose(f);
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {{"clock", bench_clock},	     {"off", bench_off},     {"burst", bench_burst},
	     {"sustained", bench_sustained}, {"flood", bench_flood}, {"pass", bench_pass}};

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (argc == 2 && !strcmp(argv[1], modes[i].name)) {
			modes[i].run();
			print_peak();
			return 0;
		}
	fputs("usage: bench_emit clock|off|burst|sustained|flood|pass\n", stderr);
	return 2;
}
