/* SPDX-License-Identifier: MIT */
#include "sys/clock.h"

#include <string.h>

#include "sys/sys.h"

#if defined(__x86_64__)
#include <cpuid.h>

static bool clock_tsc_invariant(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0x80000007u, &a, &b, &c, &d) && (d & 1u << 8);
}

static bool clock_kernel_trusts_tsc(void)
{
	static const char path[] = "/sys/devices/system/clocksource/clocksource0/"
				   "current_clocksource";
	char name[16] = {0};
	int fd = stele__sys_open_ro(path);
	int64_t bytes;

	if (fd < 0)
		return false;
	bytes = stele__sys_read(fd, name, sizeof(name) - 1);
	stele__sys_close(fd);
	return bytes >= 4 && memcmp(name, "tsc\n", 4) == 0;
}

bool stele__clock_counter_usable(void)
{
	return clock_tsc_invariant() && clock_kernel_trusts_tsc() && stele__sys_tsc_allowed();
}

#else

bool stele__clock_counter_usable(void)
{
	return true; /* the architecture demands a constant, system-wide CNTVCT */
}

#endif

static uint64_t clock_ticks(bool counter)
{
	return counter ? stele__clock_counter_ordered() : stele__clock_vdso();
}

/* The tightest of several tries: a preemption in the middle would shift the pair. */
struct stele_clock_pair stele__clock_pair(bool counter)
{
	struct stele_clock_pair best = {.error_ns = UINT64_MAX};

	for (int i = 0; i < 5; i++) {
		uint64_t before = stele__clock_vdso();
		uint64_t ticks = clock_ticks(counter);
		uint64_t after = stele__clock_vdso();

		if (after - before < best.error_ns) {
			best.ticks = ticks;
			best.monotonic_ns = before + (after - before) / 2;
			best.error_ns = after - before;
		}
	}
	best.realtime_ns = stele__sys_realtime_ns() - (stele__clock_vdso() - best.monotonic_ns);
	return best;
}
