/* SPDX-License-Identifier: MIT */
/*
 * Reads a trace from the first event to the last, and does nothing with them.
 *
 *	bench_read FILE [ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/timer.h"
#include "stele/read.h"

#define ROUNDS_MAX 100

static double cpu_ns(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
}

/* Of this program alone: the peak that getrusage() knows begins with what forked it. */
static double peak_kib(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	unsigned long kib = 0;
	char line[256];

	while (f && fgets(line, sizeof(line), f))
		if (strncmp(line, "VmHWM:", 6) == 0)
			kib = strtoul(line + 6, NULL, 10);
	if (f)
		fclose(f);
	return (double)kib;
}

static uint64_t read_all(const char *path)
{
	const struct stele_event *event;
	struct stele_reader *reader;
	uint64_t events = 0;
	int got;

	if (stele_reader_open(path, NULL, &reader) < 0)
		exit(1);
	while ((got = stele_reader_next(reader, &event)) > 0)
		events++;
	if (got < 0) {
		fprintf(stderr, "%s\n", stele_reader_diag(reader)->text);
		exit(1);
	}
	stele_reader_close(reader);
	return events;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 5;
	double wall[ROUNDS_MAX], cpu[ROUNDS_MAX];
	uint64_t events = 0;

	if (argc < 2 || rounds < 1 || rounds > ROUNDS_MAX)
		return 2;
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t begin = bench_now_ns();
		double begin_cpu = cpu_ns();

		events = read_all(argv[1]);
		wall[i] = (double)(bench_now_ns() - begin) / (double)events;
		cpu[i] = (cpu_ns() - begin_cpu) / (double)events;
	}
	bench_print("events", (double)events);
	bench_print("wall_ns", bench_median(wall, rounds));
	bench_print("cpu_ns", bench_median(cpu, rounds));
	bench_print("peak_kib", peak_kib());
	return 0;
}
