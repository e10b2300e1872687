/* SPDX-License-Identifier: MIT */
/*
 * Commands that make a lawful trace, of threads, procs and goroutines that hand things to each
 * other over several generations; then, perhaps, one event of it is broken: another type, argument
 * or time, or left out.
 *
 * What was not broken must be accepted and hold as many events as were made; and whatever it is, a
 * window of what is accepted is accepted.
 *
 * Input: two bytes say which event is broken and how, if at all; each further pair is a command: a
 * thread, and what it tries to do. What it cannot do lawfully is left out.
 */
#include <stdlib.h>
#include <string.h>

#include "format/encode.h"
#include "stele/read.h"
#include "surgery/excerpt.h"

#define THREADS	  4
#define PROCS	  3
#define GOS	  6
#define NOTHING	  (-1)
#define BYTES_MAX (1u << 18)
#define LANE	  4096
#define STACKS	  3
#define STRINGS	  4

enum go_state { GONE, RUNNABLE, RUNNING, CALLING, WAITING };
enum proc_state { IDLE, HELD, IN_CALL };

struct maker {
	uint8_t *data; /* the trace so far */
	size_t bytes;
	struct stele_batch lanes[THREADS];
	uint8_t lane_data[THREADS][LANE];
	uint64_t generation, time;
	struct {
		int proc, go; /* index or NOTHING */
	} thread[THREADS];
	struct {
		enum proc_state state;
		uint64_t seq;
		bool sweeping;
	} proc[PROCS];
	struct {
		enum go_state state;
		uint64_t id, seq;
		unsigned regions;
		bool assisting;
	} go[GOS];
	uint64_t next_go, next_task, gc_seq;
	bool collecting;
	unsigned made, seen; /* events on the wire; and as they are seen */
	unsigned break_at, break_how;
	bool broken;
};

static void put(struct maker *m, struct stele_batch *b)
{
	size_t bytes = stele__batch_end(b);

	if (m->bytes + bytes <= BYTES_MAX)
		memcpy(m->data + m->bytes, b->data, bytes);
	m->bytes += bytes <= BYTES_MAX - m->bytes ? bytes : 0;
}

/* Changes the event, or says (false) that it is to be left out. */
static bool break_event(struct maker *m, uint8_t *type, uint64_t *args)
{
	m->broken = true;
	switch (m->break_how % 8) {
	case 0:
		return false;
	case 1:
		*type = (uint8_t)(m->break_how / 8 + 9);
		return true;
	case 2:
		m->time -= m->time > 5000 ? 5000 : m->time;
		return true;
	default:
		args[m->break_how % 3] ^= (uint64_t)1 << m->break_how / 8 % 8;
		return true;
	}
}

static void event(struct maker *m, int thread, uint8_t type, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t args[STELE_ARGS_MAX] = {a, b, c, type == STELE_EV_USER_LOG ? 1 : b % STACKS};
	struct stele_batch *lane = &m->lanes[thread];
	uint64_t time = m->time += 3;

	m->made++;
	m->seen += type == STELE_EV_GO_SWITCH ? 3 : 1;
	if (m->break_at && m->made == m->break_at) {
		if (!break_event(m, &type, args))
			return;
		time = m->time;
		m->time += 6000;
	}
	if (stele__batch_is_open(lane) && stele__batch_event(lane, type, time, args) == 0)
		return;
	put(m, lane);
	stele__batch_begin(lane, m->generation, (uint64_t)thread + 100, time);
	stele__batch_event(lane, type, time, args);
}

static uint64_t new_go(struct maker *m, enum go_state state)
{
	for (int i = 0; i < GOS; i++) {
		if (m->go[i].state != GONE)
			continue;
		memset(&m->go[i], 0, sizeof(m->go[i]));
		m->go[i].state = state;
		m->go[i].id = m->next_go++;
		return m->go[i].id;
	}
	return 0;
}

static int find_go(const struct maker *m, enum go_state state)
{
	for (int i = 0; i < GOS; i++)
		if (m->go[i].state == state)
			return i;
	return NOTHING;
}

static void leave(struct maker *m, int t, uint8_t type, enum go_state state)
{
	event(m, t, type, 1 + m->time % 2, m->time % STACKS, 0);
	m->go[m->thread[t].go].state = state;
	m->thread[t].go = NOTHING;
}

/* A thread without a goroutine. */
static void idle_command(struct maker *m, int t, unsigned what)
{
	int p = m->thread[t].proc, g = find_go(m, RUNNABLE);

	if (p == NOTHING) {
		p = (int)(what % PROCS);
		if (m->proc[p].state != IDLE)
			return;
		event(m, t, STELE_EV_PROC_START, (uint64_t)p, ++m->proc[p].seq, 0);
		m->proc[p].state = HELD;
		m->thread[t].proc = p;
	} else if (what % 4 == 0) {
		event(m, t, STELE_EV_PROC_STOP, 0, 0, 0);
		m->proc[p].state = IDLE;
		m->thread[t].proc = NOTHING;
	} else if (g != NOTHING) {
		event(m, t, STELE_EV_GO_START, m->go[g].id, ++m->go[g].seq, 0);
		m->go[g].state = RUNNING;
		m->thread[t].go = g;
	} else if (find_go(m, GONE) != NOTHING) {
		event(m, t, STELE_EV_GO_CREATE, new_go(m, RUNNABLE), 1, 2);
	}
}

/* A thread whose goroutine is in a system call. */
static void call_command(struct maker *m, int t)
{
	int p = m->thread[t].proc, g = m->thread[t].go;

	if (p != NOTHING) {
		event(m, t, STELE_EV_GO_SYSCALL_END, 0, 0, 0);
		m->proc[p].state = HELD;
		m->go[g].state = RUNNING;
	} else {
		event(m, t, STELE_EV_GO_SYSCALL_END_BLOCKED, 0, 0, 0);
		m->go[g].state = RUNNABLE;
		m->thread[t].go = NOTHING;
	}
}

static void steal(struct maker *m, int t)
{
	for (int other = 0; other < THREADS; other++) {
		int p = m->thread[other].proc;

		if (p == NOTHING || m->proc[p].state != IN_CALL)
			continue;
		event(m, t, STELE_EV_PROC_STEAL, (uint64_t)p, ++m->proc[p].seq,
		      (uint64_t)other + 100);
		m->proc[p].state = IDLE;
		m->thread[other].proc = NOTHING;
		return;
	}
}

static void collect(struct maker *m, int t)
{
	event(m, t, m->collecting ? STELE_EV_GC_END : STELE_EV_GC_BEGIN, ++m->gc_seq, 0, 0);
	m->collecting = !m->collecting;
}

static void switch_to(struct maker *m, int t, int g)
{
	event(m, t, STELE_EV_GO_SWITCH, m->go[g].id, ++m->go[g].seq, 0);
	m->go[m->thread[t].go].state = WAITING;
	m->go[g].state = RUNNING;
	m->thread[t].go = g;
}

static void wake(struct maker *m, int t, int g)
{
	event(m, t, STELE_EV_GO_UNBLOCK, m->go[g].id, ++m->go[g].seq, m->time % STACKS);
	m->go[g].state = RUNNABLE;
}

/* What changes nobody's state. */
static void tell(struct maker *m, int t, unsigned what)
{
	int p = m->thread[t].proc, g = m->thread[t].go;

	switch (what % 8) {
	case 0:
		event(m, t, STELE_EV_USER_REGION_BEGIN, 0, 3, 1);
		m->go[g].regions++;
		break;
	case 1:
		event(m, t, STELE_EV_USER_REGION_END, 0, 3, 0);
		m->go[g].regions -= m->go[g].regions > 0;
		break;
	case 2:
		event(m, t, STELE_EV_USER_TASK_BEGIN, ++m->next_task, 0, 2);
		break;
	case 3:
		event(m, t, STELE_EV_USER_LOG, 0, 1, 2);
		break;
	case 4:
		event(m, t, STELE_EV_HEAP_OBJECT_ALLOC, m->time, what & 3, 0);
		break;
	case 5:
		event(m, t, m->proc[p].sweeping ? STELE_EV_GC_SWEEP_END : STELE_EV_GC_SWEEP_BEGIN,
		      1, 2, 0);
		m->proc[p].sweeping = !m->proc[p].sweeping;
		break;
	case 6:
		event(m, t,
		      m->go[g].assisting ? STELE_EV_GC_MARK_ASSIST_END
					 : STELE_EV_GC_MARK_ASSIST_BEGIN,
		      1, 0, 0);
		m->go[g].assisting = !m->go[g].assisting;
		break;
	default:
		collect(m, t);
	}
}

/* A thread that runs a goroutine. */
static void run_command(struct maker *m, int t, unsigned what)
{
	int p = m->thread[t].proc, waiting = find_go(m, WAITING);

	switch (what % 9) {
	case 0:
		leave(m, t, STELE_EV_GO_STOP, RUNNABLE);
		break;
	case 1:
		leave(m, t, STELE_EV_GO_BLOCK, WAITING);
		break;
	case 2:
		leave(m, t, STELE_EV_GO_DESTROY, GONE);
		break;
	case 3:
		event(m, t, STELE_EV_GO_SYSCALL_BEGIN, ++m->proc[p].seq, 2, 0);
		m->proc[p].state = IN_CALL;
		m->go[m->thread[t].go].state = CALLING;
		break;
	case 4:
		steal(m, t);
		break;
	case 5:
		if (waiting != NOTHING)
			wake(m, t, waiting);
		break;
	case 6:
		if (waiting != NOTHING)
			switch_to(m, t, waiting);
		break;
	case 7:
		if (find_go(m, GONE) != NOTHING)
			event(m, t, STELE_EV_GO_CREATE_BLOCKED, new_go(m, WAITING), 1, 0);
		break;
	default:
		tell(m, t, what / 9);
	}
}

static void command(struct maker *m, int t, unsigned what)
{
	if (m->thread[t].go == NOTHING)
		idle_command(m, t, what);
	else if (m->go[m->thread[t].go].state == CALLING)
		call_command(m, t);
	else
		run_command(m, t, what);
}

/* A generation's statuses: of all that there is, in front of all else. */
static void statuses(struct maker *m)
{
	static const uint8_t go_status[] = {0, STELE_GO_RUNNABLE, STELE_GO_RUNNING,
					    STELE_GO_SYSCALL, STELE_GO_WAITING};
	static const uint8_t proc_status[] = {STELE_PROC_IDLE, STELE_PROC_RUNNING,
					      STELE_PROC_SYSCALL};
	int holder[PROCS], runner[GOS], running;

	memset(holder, 0, sizeof(holder));
	memset(runner, 0, sizeof(runner));
	for (int t = 0; t < THREADS; t++) {
		if (m->thread[t].proc != NOTHING)
			holder[m->thread[t].proc] = t;
		if (m->thread[t].go != NOTHING)
			runner[m->thread[t].go] = t;
	}
	for (int p = 0; p < PROCS; p++) {
		event(m, holder[p], STELE_EV_PROC_STATUS, (uint64_t)p,
		      proc_status[m->proc[p].state], 0);
		m->proc[p].seq = 0;
		if (m->proc[p].sweeping)
			event(m, holder[p], STELE_EV_GC_SWEEP_ACTIVE, (uint64_t)p, 0, 0);
	}
	for (int g = 0; g < GOS; g++) {
		if (m->go[g].state == GONE)
			continue;
		event(m, runner[g], STELE_EV_GO_STATUS, m->go[g].id, (uint64_t)runner[g] + 100,
		      go_status[m->go[g].state]);
		m->go[g].seq = 0;
		if (m->go[g].assisting)
			event(m, runner[g], STELE_EV_GC_MARK_ASSIST_ACTIVE, m->go[g].id, 0, 0);
	}
	/* Told by whoever runs, or not at all. */
	if (m->collecting && (running = find_go(m, RUNNING)) != NOTHING)
		event(m, runner[running], STELE_EV_GC_ACTIVE, ++m->gc_seq, 0, 0);
}

static void tables(struct maker *m)
{
	static const char *const texts[STRINGS] = {"one", "two", "region", ""};
	const struct stele_wire_frame frame = {0x1000, 1, 2, 7};
	uint8_t data[LANE];
	struct stele_batch b = stele__batch(data, sizeof(data));

	stele__batch_begin(&b, m->generation, STELE_NONE_ID, m->time);
	for (uint64_t i = 0; i < STRINGS; i++)
		stele__batch_string(&b, i + 1, texts[i], strlen(texts[i]));
	put(m, &b);
	stele__batch_begin(&b, m->generation, STELE_NONE_ID, m->time);
	for (uint64_t i = 1; i < STACKS; i++)
		stele__batch_stack(&b, i, &frame, 1);
	put(m, &b);
	stele__batch_begin(&b, m->generation, STELE_NONE_ID, m->time);
	stele__batch_clock(&b, 1000000000, NULL);
	put(m, &b);
}

static void end_generation(struct maker *m)
{
	for (int t = 0; t < THREADS; t++)
		put(m, &m->lanes[t]);
	tables(m);
	m->generation++;
}

static void begin(struct maker *m)
{
	m->generation = 1;
	m->time = 1000;
	m->next_go = 1;
	for (int t = 0; t < THREADS; t++) {
		m->thread[t].proc = m->thread[t].go = NOTHING;
		m->lanes[t] = stele__batch(m->lane_data[t], LANE);
	}
	stele__header_put(m->data, 23);
	m->bytes = STELE_HEADER_BYTES;
	new_go(m, RUNNING);
	m->thread[0].proc = m->thread[0].go = 0;
	m->proc[0].state = HELD;
	statuses(m);
}

/* Reads all; *ret_events: those that are not Sync. */
static bool accepted(const uint8_t *data, size_t bytes, unsigned *ret_events)
{
	const struct stele_event *e;
	struct stele_reader *reader;
	int got;

	*ret_events = 0;
	if (stele_reader_open_memory(data, bytes, NULL, &reader) < 0)
		abort();
	while ((got = stele_reader_next(reader, &e)) > 0)
		*ret_events += e->kind != STELE_EVENT_SYNC;
	stele_reader_close(reader);
	return got == 0;
}

struct window_bytes {
	uint8_t data[BYTES_MAX];
	size_t bytes;
};

static int window_write(void *arg, const void *data, size_t bytes)
{
	struct window_bytes *out = arg;

	if (bytes > BYTES_MAX - out->bytes)
		return -1;
	memcpy(out->data + out->bytes, data, bytes);
	out->bytes += bytes;
	return 0;
}

static void check_window(const struct maker *m, int64_t from, int64_t to)
{
	static struct window_bytes out;
	const struct stele__excerpt_window window = {from, to, window_write, &out};
	struct stele__excerpt_result result;
	struct stele__excerpt *excerpt;
	const struct stele_event *e;
	struct stele_reader *reader;
	unsigned events;
	int r = 0;

	out.bytes = 0;
	if (stele_reader_open_memory(m->data, m->bytes, NULL, &reader) < 0 ||
	    stele__excerpt_new(&window, reader, &excerpt) < 0)
		abort();
	while (r == 0 && stele_reader_next(reader, &e) > 0)
		r = stele__excerpt_add(excerpt, e);
	if (r >= 0)
		r = stele__excerpt_finish(excerpt, &result);
	if (r >= 0 && result.events &&
	    (!accepted(out.data, out.bytes, &events) || events != result.events + result.standing))
		__builtin_trap();
	stele__excerpt_free(excerpt);
	stele_reader_close(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maker *m = calloc(1, sizeof(*m));
	unsigned events;
	bool sound;

	if (!m || size < 2 || !(m->data = malloc(BYTES_MAX))) {
		free(m);
		return 0;
	}
	m->break_at = data[0];
	m->break_how = data[1];
	begin(m);
	for (size_t i = 2; i + 1 < size && m->bytes < BYTES_MAX / 2; i += 2) {
		if (data[i] == 255) {
			end_generation(m);
			statuses(m);
		} else {
			command(m, data[i] % THREADS, data[i + 1]);
		}
	}
	end_generation(m);
	sound = accepted(m->data, m->bytes, &events);
	if (!m->broken && (!sound || events != m->seen))
		__builtin_trap();
	if (sound)
		check_window(m, (int64_t)size * 2, (int64_t)size * 5);
	free(m->data);
	free(m);
	return 0;
}
