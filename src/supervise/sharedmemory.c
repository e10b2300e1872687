/* SPDX-License-Identifier: MIT */
#include "supervise/sharedmemory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sys/sys.h"

#define AGAIN_NS    100000000 /* at the soonest */
#define AGAIN_TIMES 50	      /* as long as it took to read */
#define MAPPED_MAX  (1u << 20)

struct stele_mapped {
	uint64_t start, end;
	uint64_t offset, inode;
	unsigned major, minor;
	bool shared;
};

void stele__sharedmemory_done(struct stele_sharedmemory *m)
{
	free(m->mapped);
	m->mapped = NULL;
	m->count = m->max = 0;
}

static struct stele_mapped *memory_room(struct stele_sharedmemory *m)
{
	size_t max = m->max ? m->max * 2 : 64;
	struct stele_mapped *grown;

	if (m->count < m->max)
		return &m->mapped[m->count];
	grown = max <= MAPPED_MAX ? realloc(m->mapped, max * sizeof(*grown)) : NULL;
	if (!grown)
		return NULL;
	m->mapped = grown;
	m->max = max;
	return &m->mapped[m->count];
}

/* Lines are in the order of addresses. Neighbours that are private say nothing apart. */
static void memory_line(struct stele_sharedmemory *m, const char *line)
{
	struct stele_mapped *mapped = memory_room(m);
	char rights[8];

	if (!mapped)
		return;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %7s %" SCNx64 " %x:%x %" SCNu64, &mapped->start,
		   &mapped->end, rights, &mapped->offset, &mapped->major, &mapped->minor,
		   &mapped->inode) != 7)
		return;
	mapped->shared = rights[3] == 's';
	if (m->count && !mapped->shared && !mapped[-1].shared && mapped[-1].end == mapped->start)
		mapped[-1].end = mapped->end;
	else
		m->count++;
}

static void memory_read(struct stele_sharedmemory *m)
{
	uint64_t begin = stele__sys_monotonic_ns(), wait;
	char path[64], line[512];
	bool whole = true;
	FILE *maps;

	m->count = 0;
	snprintf(path, sizeof(path), "/proc/%u/maps", m->pid);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps)) {
		size_t bytes = 0;

		if (whole)
			memory_line(m, line);
		while (line[bytes])
			bytes++;
		whole = bytes && line[bytes - 1] == '\n'; /* a path may be longer than a line */
	}
	if (maps)
		fclose(maps);
	wait = (stele__sys_monotonic_ns() - begin) * AGAIN_TIMES;
	m->again_ns = begin + (wait < AGAIN_NS ? AGAIN_NS : wait);
}

static const struct stele_mapped *memory_at(const struct stele_sharedmemory *m, uint64_t address)
{
	size_t from = 0, to = m->count;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (m->mapped[middle].end <= address)
			from = middle + 1;
		else
			to = middle;
	}
	return from < m->count && m->mapped[from].start <= address ? &m->mapped[from] : NULL;
}

const char *stele__sharedmemory_find(struct stele_sharedmemory *m, uint32_t pid, uint32_t images,
				     uint64_t address, uint64_t *ret_offset)
{
	const struct stele_mapped *mapped;

	if (m->pid != pid || m->images != images) {
		m->pid = pid;
		m->images = images;
		m->count = 0;
		m->again_ns = 0;
	}
	mapped = memory_at(m, address);
	if (!mapped && stele__sys_monotonic_ns() >= m->again_ns) {
		memory_read(m);
		mapped = memory_at(m, address);
	}
	if (!mapped || !mapped->shared)
		return NULL;
	*ret_offset = mapped->offset + (address - mapped->start);
	snprintf(m->name, sizeof(m->name), "%x:%x %" PRIu64, mapped->major, mapped->minor,
		 mapped->inode);
	return m->name;
}
