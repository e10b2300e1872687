/* SPDX-License-Identifier: MIT */
#include "supervise/perfswitch.h"

#include <dirent.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic.h"

#ifndef PERF_RECORD_MISC_SWITCH_OUT_PREEMPT
#define PERF_RECORD_MISC_SWITCH_OUT_PREEMPT (1 << 14)
#endif

#define PERF_PAGES_ALL 512 /* of one process: memory that is locked */
#define PERF_PAGES_MAX 32  /* of each buffer; fewer if the user may not lock so many */
#define PERF_PAGES_MIN 4
#define PERF_BYTES_MAX 256 /* of a record that is looked at */

struct perf_buffer {
	int fd; /* the first event that is of this processor; -1: none */
	struct perf_event_mmap_page *page;
	size_t bytes; /* of the records; a power of two */
};

struct stele_perfswitch {
	struct perf_buffer *buffers; /* one for each processor */
	size_t buffer_count;
	int *events; /* descriptors of all, of each thread on each processor */
	size_t event_count, event_max;
	struct stele_switch *switches;
	size_t count, max;
	uint64_t lost; /* since the last take */
};

/* What the kernel puts behind a record: the fields of sample_type, in its order. */
struct perf_trailer {
	uint32_t pid, tid;
	uint64_t time;
};

static int perf_open(int pid, int cpu, bool threads_only)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
		.sample_type = PERF_SAMPLE_TID | PERF_SAMPLE_TIME,
		.inherit = 1,
		.exclude_kernel = 1,
		.exclude_hv = 1,
		.sample_id_all = 1,
		.context_switch = 1,
		.use_clockid = 1,
		.clockid = CLOCK_MONOTONIC,
	};

#ifdef PERF_ATTR_SIZE_VER7
	attr.inherit_thread = threads_only;
#else
	if (threads_only)
		return -EINVAL;
#endif
	int fd = (int)syscall(SYS_perf_event_open, &attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The more processors there are, the fewer switches of one process each of them sees. */
static size_t buffer_pages(size_t processors)
{
	size_t pages = PERF_PAGES_MAX;

	while (pages > PERF_PAGES_MIN && pages * processors > PERF_PAGES_ALL)
		pages /= 2;
	return pages;
}

static int buffer_map(struct perf_buffer *b, size_t processors)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	for (size_t pages = buffer_pages(processors); pages; pages /= 2) {
		void *map = mmap(NULL, (1 + pages) * page, PROT_READ | PROT_WRITE, MAP_SHARED,
				 b->fd, 0);

		if (map == MAP_FAILED)
			continue;
		b->page = map;
		b->bytes = pages * page;
		return 0;
	}
	return -errno;
}

static int event_keep(struct stele_perfswitch *s, int fd)
{
	size_t max = s->event_max ? s->event_max * 2 : 16;
	int *grown;

	if (s->event_count == s->event_max) {
		grown = realloc(s->events, max * sizeof(*grown));
		if (!grown) {
			close(fd);
			return -ENOMEM;
		}
		s->events = grown;
		s->event_max = max;
	}
	s->events[s->event_count++] = fd;
	return 0;
}

/* A thread on a processor. One that is not there now has no events. */
static int event_open(struct stele_perfswitch *s, int tid, size_t cpu)
{
	struct perf_buffer *b = &s->buffers[cpu];
	int fd = perf_open(tid, (int)cpu, true), r;

	if (fd == -EINVAL) /* before Linux 5.13: children are told of in vain */
		fd = perf_open(tid, (int)cpu, false);
	if (fd == -ENODEV)
		return 0;
	if (fd < 0)
		return fd;
	r = event_keep(s, fd);
	if (r < 0)
		return r;
	if (b->fd >= 0)
		return ioctl(fd, PERF_EVENT_IOC_SET_OUTPUT, b->fd) < 0 ? -errno : 0;
	b->fd = fd;
	return buffer_map(b, s->buffer_count);
}

/* One that has ended meanwhile is none. */
static int thread_open(struct stele_perfswitch *s, int tid)
{
	int r = 0;

	for (size_t cpu = 0; cpu < s->buffer_count && r == 0; cpu++)
		r = event_open(s, tid, cpu);
	return r == -ESRCH ? 0 : r;
}

/* Those that the threads make from now on inherit it. A process that is about to begin has one. */
static int process_open(struct stele_perfswitch *s, int pid)
{
	struct dirent *entry;
	char path[64];
	DIR *tasks;
	int r = 0;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return -errno;
	while (r == 0 && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			r = thread_open(s, (int)strtol(entry->d_name, NULL, 10));
	closedir(tasks);
	return r;
}

static struct stele_perfswitch *perfswitch_new(void)
{
	long processors = sysconf(_SC_NPROCESSORS_CONF);
	struct stele_perfswitch *s = calloc(1, sizeof(*s));

	if (s)
		s->buffers = calloc((size_t)processors, sizeof(*s->buffers));
	if (!s || !s->buffers) {
		free(s);
		return NULL;
	}
	s->buffer_count = (size_t)processors;
	for (size_t i = 0; i < s->buffer_count; i++)
		s->buffers[i].fd = -1;
	return s;
}

int stele__perfswitch_open(int pid, struct stele_perfswitch **ret_switches)
{
	struct stele_perfswitch *s = perfswitch_new();
	int r = s ? process_open(s, pid) : -ENOMEM;

	if (r < 0) {
		stele__perfswitch_close(s);
		return r;
	}
	*ret_switches = s;
	return 0;
}

void stele__perfswitch_close(struct stele_perfswitch *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->buffer_count; i++)
		if (s->buffers[i].page)
			munmap(s->buffers[i].page,
			       (size_t)sysconf(_SC_PAGESIZE) + s->buffers[i].bytes);
	for (size_t i = 0; i < s->event_count; i++)
		close(s->events[i]);
	free(s->events);
	free(s->buffers);
	free(s->switches);
	free(s);
}

/* Without memory it counts as lost. */
static void switch_add(struct stele_perfswitch *s, const struct perf_event_header *header,
		       const struct perf_trailer *trailer)
{
	struct stele_switch *grown;
	size_t max = s->max ? s->max * 2 : 1024;

	if (s->count == s->max) {
		grown = realloc(s->switches, max * sizeof(*grown));
		if (!grown) {
			s->lost++;
			return;
		}
		s->switches = grown;
		s->max = max;
	}
	s->switches[s->count++] = (struct stele_switch){
		.ns = trailer->time,
		.tid = trailer->tid,
		.kind = !(header->misc & PERF_RECORD_MISC_SWITCH_OUT) ? STELE_SWITCH_IN
			: header->misc & PERF_RECORD_MISC_SWITCH_OUT_PREEMPT
				? STELE_SWITCH_PREEMPTED
				: STELE_SWITCH_BLOCKED,
	};
}

static void record_look(struct stele_perfswitch *s, const uint8_t *record,
			const struct perf_event_header *header)
{
	struct perf_trailer trailer;
	uint64_t lost[2]; /* id, count */

	if (header->type == PERF_RECORD_SWITCH &&
	    header->size >= sizeof(*header) + sizeof(trailer)) {
		memcpy(&trailer, record + header->size - sizeof(trailer), sizeof(trailer));
		switch_add(s, header, &trailer);
	} else if (header->type == PERF_RECORD_LOST &&
		   header->size >= sizeof(*header) + sizeof(lost)) {
		memcpy(lost, record + sizeof(*header), sizeof(lost));
		s->lost += lost[1];
	}
}

/* A record may lie around the end of the buffer. */
static void buffer_copy(const struct perf_buffer *b, uint64_t at, void *to, size_t bytes)
{
	const uint8_t *data = (const uint8_t *)b->page + b->page->data_offset;
	size_t first = b->bytes - (size_t)(at & (b->bytes - 1));

	if (first > bytes)
		first = bytes;
	memcpy(to, data + (at & (b->bytes - 1)), first);
	memcpy((uint8_t *)to + first, data, bytes - first);
}

static void buffer_take(struct stele_perfswitch *s, const struct perf_buffer *b)
{
	uint64_t head, at;

	if (!b->page)
		return;
	at = b->page->data_tail;
	head = __atomic_load_n(&b->page->data_head, __ATOMIC_ACQUIRE);
	while (at < head) {
		struct perf_event_header header;
		uint8_t record[PERF_BYTES_MAX];

		buffer_copy(b, at, &header, sizeof(header));
		if (header.size < sizeof(header))
			break;
		if (header.size <= sizeof(record)) {
			buffer_copy(b, at, record, header.size);
			record_look(s, record, &header);
		}
		at += header.size;
	}
	__atomic_store_n(&b->page->data_tail, at, __ATOMIC_RELEASE);
}

static int switch_compare(const void *left, const void *right)
{
	const struct stele_switch *a = left, *b = right;

	return (a->ns > b->ns) - (a->ns < b->ns);
}

static size_t perfswitch_take(void *arg, const struct stele_switch **ret_switches,
			      uint64_t *ret_lost)
{
	struct stele_perfswitch *s = arg;

	s->count = 0;
	s->lost = 0;
	for (size_t i = 0; i < s->buffer_count; i++)
		buffer_take(s, &s->buffers[i]);
	if (s->count)
		qsort(s->switches, s->count, sizeof(*s->switches), switch_compare);
	*ret_switches = s->switches;
	*ret_lost = s->lost;
	return s->count;
}

struct stele_switches stele__perfswitch_source(struct stele_perfswitch *switches)
{
	return (struct stele_switches){perfswitch_take, switches};
}
