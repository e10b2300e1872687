/* SPDX-License-Identifier: MIT */
/* The same event through LTTng-UST: one integer under a fixed name. tools/bench.py runs it in a
 * session in snapshot (overwrite) mode. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "bench/lttng_provider.h"
#include "bench/timer.h"

#define BURST_EVENTS 30000
#define BURST_ROUNDS 60

int main(void)
{
	double rounds[BURST_ROUNDS];

	if (!lttng_ust_tracepoint_enabled(stele_bench, counter)) {
		fputs("bench_lttng: no session has enabled stele_bench:counter\n", stderr);
		return 1;
	}
	for (unsigned r = 0; r < BURST_ROUNDS; r++) {
		uint64_t begin = bench_now_ns();

		for (int64_t i = 0; i < BURST_EVENTS; i++)
			lttng_ust_tracepoint(stele_bench, counter, i);
		rounds[r] = (double)(bench_now_ns() - begin) / BURST_EVENTS;
		bench_sleep_ms(20);
	}
	bench_print("burst_ns", bench_median(rounds + 10, BURST_ROUNDS - 10));
	return 0;
}
