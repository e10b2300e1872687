/* SPDX-License-Identifier: MIT */
#include "drain/pump.h"

#include "drain/worker.h"
#include "sys/sys.h"

#define PUMP_NS	     20000000u /* between ticks that find records */
#define PUMP_IDLE_NS 50000000u /* at most, while nothing happens */
#define PUMP_MANY    32768     /* records in one tick: more may be waiting already */

/* How long to sleep after a tick that took so many records and so much time. */
static uint64_t pump_pause(int64_t taken, uint64_t tick_ns, uint64_t last_ns)
{
	if (taken >= PUMP_MANY || tick_ns > PUMP_NS)
		return 0;
	if (taken > 0 || last_ns < PUMP_NS)
		return PUMP_NS;
	return last_ns * 2 < PUMP_IDLE_NS ? last_ns * 2 : PUMP_IDLE_NS;
}

static void *pump_run(void *arg)
{
	struct stele_pump *pump = arg;
	uint64_t pause = PUMP_NS;

	if (pump->enter)
		pump->enter(pump->arg);
	while (!stele__load_acquire(&pump->stop)) { /* pairs with stele__pump_stop */
		uint64_t begin = stele__sys_monotonic_ns(), ns;
		int64_t taken = stele__team_tick(pump->team);

		ns = stele__sys_monotonic_ns() - begin;
		if (ns > pump->tick_ns_max)
			pump->tick_ns_max = ns;
		pump->after_tick(pump->arg, taken);
		pause = pump_pause(taken, ns, pause);
		if (pause)
			stele__bell_wait(pump->arena, pause);
	}
	return NULL;
}

int stele__pump_start(struct stele_pump *pump)
{
	return stele__worker_start(&pump->thread, pump_run, pump);
}

void stele__pump_stop(struct stele_pump *pump)
{
	stele__store_release(&pump->stop, 1);
	stele__bell_strike(pump->arena);
	stele__worker_join(pump->thread);
}
