/* SPDX-License-Identifier: MIT */
#include "export/heapcounter.h"

#include "analyze/memsum.h"

#define PARTS	 256
#define PAUSE_NS 1000000

int stele__heapcounter_init(struct stele__heapcounter *counter)
{
	return stele_analysis_new(&counter->analysis);
}

void stele__heapcounter_free(struct stele__heapcounter *counter)
{
	stele_analysis_free(counter->analysis);
}

uint64_t stele__heapcounter_bytes(const struct stele__heapcounter *counter, unsigned family)
{
	return counter->analysis->memory->face.sum[family].live_bytes;
}

static unsigned counter_family(unsigned type)
{
	return type >= MEMORY_STACK    ? STELE_MEMORY_STACKS
	       : type >= MEMORY_OBJECT ? STELE_MEMORY_OBJECTS
				       : STELE_MEMORY_SPANS;
}

int stele__heapcounter_event(struct stele__heapcounter *counter, const struct stele_reader *reader,
			     const struct stele_event *event, unsigned *ret_family)
{
	unsigned family = counter_family(event->type);
	bool memory = event->kind == STELE_EVENT_EXPERIMENTAL && event->type >= MEMORY_SPAN &&
		      event->type <= MEMORY_STACK_FREE;
	uint64_t bytes, change, told = counter->family[family].told;
	int r = 0;

	if (memory || event->kind == STELE_EVENT_SYNC)
		r = stele_analysis_add(counter->analysis, reader, event);
	if (!memory || r < 0)
		return r;
	bytes = stele__heapcounter_bytes(counter, family);
	if (bytes > counter->family[family].most)
		counter->family[family].most = bytes;
	change = bytes > told ? bytes - told : told - bytes;
	if (change <= counter->family[family].most / PARTS &&
	    event->time - counter->family[family].time < PAUSE_NS)
		return 0;
	counter->family[family].told = bytes;
	counter->family[family].time = event->time;
	*ret_family = family;
	return 1;
}
