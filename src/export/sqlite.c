/* SPDX-License-Identifier: MIT */
/*
 * A database to ask questions of that nobody has foreseen: docs/schema/sqlite.md. Rows are written
 * when what they tell of ends, indexes at the end. It is made anew each time, so nothing is
 * journalled; whoever interrupts it has a file that is no database.
 */
#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/model.h"
#include "base/error.h"
#include "export/export.h"

static const char sqlite_schema[] =
	"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
	"CREATE TABLE trace (key TEXT PRIMARY KEY, value);"
	"CREATE TABLE goroutine (id INTEGER, name TEXT, entry TEXT, thread INTEGER,"
	" begin_ns INTEGER, end_ns INTEGER);"
	"CREATE TABLE state (goroutine INTEGER, state TEXT, begin_ns INTEGER, end_ns INTEGER,"
	" reason TEXT, stack INTEGER, ended_by INTEGER);"
	"CREATE TABLE region (goroutine INTEGER, task INTEGER, name TEXT, begin_ns INTEGER,"
	" end_ns INTEGER);"
	"CREATE TABLE task (id INTEGER, parent INTEGER, name TEXT, begin_ns INTEGER,"
	" end_ns INTEGER);"
	"CREATE TABLE log (time_ns INTEGER, goroutine INTEGER, task INTEGER, category TEXT,"
	" text TEXT);"
	"CREATE TABLE metric (time_ns INTEGER, name TEXT, value INTEGER);"
	"CREATE TABLE sample (time_ns INTEGER, goroutine INTEGER, thread INTEGER, stack INTEGER);"
	"CREATE TABLE memory (time_ns INTEGER, event TEXT, address INTEGER, bytes INTEGER,"
	" thread INTEGER, goroutine INTEGER, name TEXT, stack INTEGER);"
	"CREATE TABLE frame (stack INTEGER, depth INTEGER, function TEXT, file TEXT, line INTEGER,"
	" pc INTEGER, PRIMARY KEY (stack, depth)) WITHOUT ROWID;"
	"BEGIN;";

static const char sqlite_indexes[] = "CREATE INDEX goroutine_id ON goroutine (id, begin_ns);"
				     "CREATE INDEX state_goroutine ON state (goroutine, begin_ns);"
				     "CREATE INDEX state_time ON state (begin_ns);"
				     "CREATE INDEX region_name ON region (name, begin_ns);"
				     "CREATE INDEX task_id ON task (id);"
				     "CREATE INDEX log_time ON log (time_ns);"
				     "CREATE INDEX memory_address ON memory (address, time_ns);"
				     "COMMIT;";

enum sqlite_table {
	SQLITE_TRACE,
	SQLITE_GOROUTINE,
	SQLITE_STATE,
	SQLITE_REGION,
	SQLITE_TASK,
	SQLITE_LOG,
	SQLITE_METRIC,
	SQLITE_SAMPLE,
	SQLITE_MEMORY,
	SQLITE_FRAME,
	SQLITE_TABLES
};

static const struct {
	const char *name;
	unsigned columns;
} sqlite_tables[SQLITE_TABLES] = {
	{"trace", 2}, {"goroutine", 6}, {"state", 7},  {"region", 5}, {"task", 5},
	{"log", 5},   {"metric", 3},	{"sample", 4}, {"memory", 8}, {"frame", 6},
};

struct sqlite_go {
	uint64_t id;
	int64_t begin, since;
	uint8_t state;
	const struct stele__name *reason;
	uint32_t stack;
};

struct sqlite_open { /* a region (of a goroutine) or a task */
	uint64_t id, task;
	const struct stele__name *name;
	int64_t begin;
};

struct sqlite {
	sqlite3 *db;
	sqlite3_stmt *insert[SQLITE_TABLES];
	struct stele_analysis *analysis;	/* keeps stacks, names, entry functions */
	struct stele__keymap goroutines, tasks; /* by id, owned */
	struct sqlite_open *regions;		/* all that are open, innermost last */
	uint32_t region_count, region_max;
	int error;
};

static int sqlite_code(int code)
{
	if (code == SQLITE_OK || code == SQLITE_DONE || code == SQLITE_ROW)
		return 0;
	return code == SQLITE_NOMEM ? -ENOMEM : code == SQLITE_FULL ? -ENOSPC : -EIO;
}

/* The first one stays. */
static void sqlite_fail(struct sqlite *s, int error)
{
	if (error < 0 && !s->error)
		s->error = error;
}

static void sqlite_run(struct sqlite *s, const char *statements)
{
	if (!s->error)
		sqlite_fail(s, sqlite_code(sqlite3_exec(s->db, statements, NULL, NULL, NULL)));
}

/* Rows: values in the order of the columns, then sqlite_row. ------------------------------------
 */

static void sqlite_number(struct sqlite *s, enum sqlite_table table, int column, int64_t value)
{
	if (!s->error)
		sqlite3_bind_int64(s->insert[table], column, value);
}

/* NULL where there is none. */
static void sqlite_id(struct sqlite *s, enum sqlite_table table, int column, uint64_t id)
{
	if (s->error)
		return;
	if (id == STELE_NO_ID)
		sqlite3_bind_null(s->insert[table], column);
	else
		sqlite3_bind_int64(s->insert[table], column, (int64_t)id);
}

/* NULL for OPEN: it had not ended when the trace did. */
#define OPEN INT64_MAX

static void sqlite_end(struct sqlite *s, enum sqlite_table table, int column, int64_t time)
{
	sqlite_id(s, table, column, time == OPEN ? STELE_NO_ID : (uint64_t)time);
}

/* Stays until the row is written. */
static void sqlite_text(struct sqlite *s, enum sqlite_table table, int column,
			struct stele_string text)
{
	if (!s->error)
		sqlite3_bind_text64(s->insert[table], column, text.data, text.bytes, SQLITE_STATIC,
				    SQLITE_UTF8);
}

static void sqlite_name(struct sqlite *s, enum sqlite_table table, int column,
			const struct stele__name *name)
{
	sqlite_text(s, table, column, name ? name->text : (struct stele_string){"", 0});
}

static int sqlite_row(struct sqlite *s, enum sqlite_table table)
{
	if (!s->error) {
		sqlite_fail(s, sqlite_code(sqlite3_step(s->insert[table])));
		sqlite3_reset(s->insert[table]);
	}
	return s->error;
}

static int sqlite_start(struct stele__export *e)
{
	struct sqlite *s = e->state;

	stele__keymap_init(&s->goroutines);
	stele__keymap_init(&s->tasks);
	sqlite_fail(s, stele_analysis_new(&s->analysis));
	if (s->error)
		return s->error;
	sqlite_fail(s, sqlite_code(sqlite3_open(e->path, &s->db)));
	sqlite_run(s, sqlite_schema);
	for (unsigned table = 0; table < SQLITE_TABLES && !s->error; table++) {
		char text[80];

		sqlite3_snprintf(sizeof(text), text, "INSERT INTO %s VALUES (?%.*s)",
				 sqlite_tables[table].name, 2 * (sqlite_tables[table].columns - 1),
				 ",?,?,?,?,?,?,?");
		sqlite_fail(s, sqlite_code(sqlite3_prepare_v2(s->db, text, -1, &s->insert[table],
							      NULL)));
	}
	return s->error;
}

static uint32_t sqlite_stack(struct sqlite *s, const struct stele_reader *reader, uint32_t handle)
{
	uint32_t stack = 0;

	sqlite_fail(s, stele__stack_exact(s->analysis, reader, handle, &stack));
	return stack;
}

/* NULL for none: a stack's rows are in the table of frames. */
static void sqlite_stack_id(struct sqlite *s, enum sqlite_table table, int column, uint32_t stack)
{
	sqlite_id(s, table, column, stack ? stack : STELE_NO_ID);
}

/* Goroutines ---------------------------------------------------------------------------------- */

/* What it was in until now; OPEN: it is still. */
static void sqlite_leave(struct sqlite *s, const struct sqlite_go *go, int64_t time, uint64_t by)
{
	static const char *const names[STELE__STATE_COUNT] = {
		[STELE_STATE_UNDETERMINED] = "unknown", [STELE_STATE_RUNNABLE] = "ready",
		[STELE_STATE_RUNNING] = "running",	[STELE_STATE_WAITING] = "waiting",
		[STELE_STATE_SYSCALL] = "syscall",
	};
	const char *name = go->state < STELE__STATE_COUNT ? names[go->state] : NULL;

	if (!name)
		return;
	sqlite_number(s, SQLITE_STATE, 1, (int64_t)go->id);
	sqlite_text(s, SQLITE_STATE, 2, (struct stele_string){name, strlen(name)});
	sqlite_number(s, SQLITE_STATE, 3, go->since);
	sqlite_end(s, SQLITE_STATE, 4, time);
	sqlite_name(s, SQLITE_STATE, 5, go->reason);
	sqlite_stack_id(s, SQLITE_STATE, 6, go->stack);
	sqlite_id(s, SQLITE_STATE, 7, by == go->id ? STELE_NO_ID : by);
	sqlite_row(s, SQLITE_STATE);
}

/* Before the analysis forgets it. */
static void sqlite_goroutine(struct sqlite *s, const struct sqlite_go *go, int64_t time)
{
	const struct stele__flow *flow = stele__flow_find(s->analysis, go->id);

	sqlite_number(s, SQLITE_GOROUTINE, 1, (int64_t)go->id);
	sqlite_name(s, SQLITE_GOROUTINE, 2, flow ? flow->name : NULL);
	sqlite_name(s, SQLITE_GOROUTINE, 3, flow ? flow->entry : NULL);
	sqlite_id(s, SQLITE_GOROUTINE, 4, flow ? flow->times.thread : STELE_NO_ID);
	sqlite_number(s, SQLITE_GOROUTINE, 5, go->begin);
	sqlite_end(s, SQLITE_GOROUTINE, 6, time);
	sqlite_row(s, SQLITE_GOROUTINE);
}

static void sqlite_transition(struct sqlite *s, const struct stele_reader *reader,
			      const struct stele_event *event)
{
	struct sqlite_go *go = stele__keymap_get(&s->goroutines, event->resource_id);

	if (event->resource != STELE_RESOURCE_GOROUTINE || (go && go->state == event->to))
		return;
	if (go) {
		sqlite_leave(s, go, event->time, event->goroutine);
	} else if (event->to != STELE_STATE_NOT_EXIST) {
		go = calloc(1, sizeof(*go));
		sqlite_fail(s, go ? stele__keymap_add(&s->goroutines, event->resource_id, go)
				  : -ENOMEM);
		if (s->error) {
			free(go);
			return;
		}
		*go = (struct sqlite_go){.id = event->resource_id, .begin = event->time};
	}
	if (go && event->to == STELE_STATE_NOT_EXIST) {
		sqlite_goroutine(s, go, event->time);
		stele__keymap_drop(&s->goroutines, go->id, go);
		free(go);
		return;
	}
	if (!go)
		return;
	go->state = event->to;
	go->since = event->time;
	go->reason = stele__name_intern(s->analysis, event->name);
	go->stack = sqlite_stack(s, reader, event->stack);
}

/* Annotations --------------------------------------------------------------------------------- */

static void sqlite_region_end(struct sqlite *s, const struct sqlite_open *region, int64_t time)
{
	sqlite_number(s, SQLITE_REGION, 1, (int64_t)region->id);
	sqlite_id(s, SQLITE_REGION, 2, region->task ? region->task : STELE_NO_ID);
	sqlite_name(s, SQLITE_REGION, 3, region->name);
	sqlite_number(s, SQLITE_REGION, 4, region->begin);
	sqlite_end(s, SQLITE_REGION, 5, time);
	sqlite_row(s, SQLITE_REGION);
}

static void sqlite_region(struct sqlite *s, const struct stele_event *event)
{
	if (event->kind == STELE_EVENT_REGION_BEGIN) {
		sqlite_fail(s, stele__list_reserve(&s->regions, s->region_count, &s->region_max,
						   sizeof(*s->regions)));
		if (!s->error)
			s->regions[s->region_count++] = (struct sqlite_open){
				event->goroutine, event->task,
				stele__name_intern(s->analysis, event->name), event->time};
		return;
	}
	for (uint32_t i = s->region_count; i-- > 0;) {
		if (s->regions[i].id != event->goroutine)
			continue;
		sqlite_region_end(s, &s->regions[i], event->time);
		s->region_count--;
		memmove(&s->regions[i], &s->regions[i + 1],
			(s->region_count - i) * sizeof(*s->regions));
		return;
	}
}

static void sqlite_task_end(struct sqlite *s, const struct sqlite_open *task, int64_t time)
{
	sqlite_number(s, SQLITE_TASK, 1, (int64_t)task->id);
	sqlite_id(s, SQLITE_TASK, 2, task->task ? task->task : STELE_NO_ID);
	sqlite_name(s, SQLITE_TASK, 3, task->name);
	sqlite_id(s, SQLITE_TASK, 4, task->begin < 0 ? STELE_NO_ID : (uint64_t)task->begin);
	sqlite_end(s, SQLITE_TASK, 5, time);
	sqlite_row(s, SQLITE_TASK);
}

static void sqlite_task(struct sqlite *s, const struct stele_event *event)
{
	struct sqlite_open *task = stele__keymap_get(&s->tasks, event->task);
	struct sqlite_open unknown = {event->task, 0, stele__name_intern(s->analysis, event->name),
				      -1};

	if (event->kind == STELE_EVENT_TASK_END) {
		sqlite_task_end(s, task ? task : &unknown, event->time);
		if (task)
			stele__keymap_drop(&s->tasks, event->task, task);
		free(task);
		return;
	}
	if (task)
		return;
	task = malloc(sizeof(*task));
	sqlite_fail(s, task ? stele__keymap_add(&s->tasks, event->task, task) : -ENOMEM);
	if (s->error) {
		free(task);
		return;
	}
	*task = (struct sqlite_open){event->task, event->parent_task, unknown.name, event->time};
}

static void sqlite_log(struct sqlite *s, const struct stele_event *event)
{
	sqlite_number(s, SQLITE_LOG, 1, event->time);
	sqlite_id(s, SQLITE_LOG, 2, event->goroutine);
	sqlite_id(s, SQLITE_LOG, 3, event->task ? event->task : STELE_NO_ID);
	sqlite_text(s, SQLITE_LOG, 4, event->name);
	sqlite_text(s, SQLITE_LOG, 5, event->text);
	sqlite_row(s, SQLITE_LOG);
}

/* Numbers ------------------------------------------------------------------------------------- */

static void sqlite_metric(struct sqlite *s, const struct stele_event *event)
{
	sqlite_number(s, SQLITE_METRIC, 1, event->time);
	sqlite_text(s, SQLITE_METRIC, 2, event->name);
	sqlite_number(s, SQLITE_METRIC, 3, (int64_t)event->value[0]);
	sqlite_row(s, SQLITE_METRIC);
}

static void sqlite_sample(struct sqlite *s, const struct stele_reader *reader,
			  const struct stele_event *event)
{
	sqlite_number(s, SQLITE_SAMPLE, 1, event->time);
	sqlite_id(s, SQLITE_SAMPLE, 2, event->goroutine);
	sqlite_id(s, SQLITE_SAMPLE, 3, event->thread);
	sqlite_stack_id(s, SQLITE_SAMPLE, 4, sqlite_stack(s, reader, event->stack));
	sqlite_row(s, SQLITE_SAMPLE);
}

/* Spans, objects and stacks as they are told; bytes of frees are not. */
static void sqlite_memory(struct sqlite *s, const struct stele_reader *reader,
			  const struct stele_event *event)
{
	enum { FIRST = 128, LAST = 136 };
	const struct stele_heap_info *heap = stele_reader_heap(reader);
	unsigned of = event->type - FIRST, family = of / 3;
	uint64_t units[] = {heap->page_bytes, heap->object_align, heap->stack_unit};
	uint64_t unit = heap->known && family < 3 ? units[family] : 1;
	uint64_t bytes = STELE_NO_ID, order = event->value[1];
	struct stele_heap_type type = {.name = {"", 0}};

	if (event->type < FIRST || event->type > LAST)
		return;
	if (family == 0 && of % 3 != 2)
		bytes = order * unit;
	else if (family == 1 && of % 3 != 2 && stele_reader_type(reader, order, &type) == 0)
		bytes = type.size;
	else if (family == 2 && of % 3 != 2)
		bytes = order && order < 64 ? (uint64_t)1 << (order - 1) : 0;
	sqlite_number(s, SQLITE_MEMORY, 1, event->time);
	sqlite_text(s, SQLITE_MEMORY, 2, event->name);
	sqlite_number(s, SQLITE_MEMORY, 3, (int64_t)(heap->base + event->value[0] * unit));
	sqlite_id(s, SQLITE_MEMORY, 4, bytes);
	sqlite_id(s, SQLITE_MEMORY, 5, event->thread);
	sqlite_id(s, SQLITE_MEMORY, 6, event->goroutine);
	sqlite_text(s, SQLITE_MEMORY, 7, type.name);
	sqlite_stack_id(s, SQLITE_MEMORY, 8, sqlite_stack(s, reader, type.stack));
	sqlite_row(s, SQLITE_MEMORY);
}

static int sqlite_take(struct stele__export *e, const struct stele_reader *reader,
		       const struct stele_event *event)
{
	struct sqlite *s = e->state;

	switch (event->kind) {
	case STELE_EVENT_TRANSITION:
		sqlite_transition(s, reader, event);
		break;
	case STELE_EVENT_REGION_BEGIN:
	case STELE_EVENT_REGION_END:
		sqlite_region(s, event);
		break;
	case STELE_EVENT_TASK_BEGIN:
	case STELE_EVENT_TASK_END:
		sqlite_task(s, event);
		break;
	case STELE_EVENT_LOG:
		sqlite_log(s, event);
		break;
	case STELE_EVENT_METRIC:
		sqlite_metric(s, event);
		break;
	case STELE_EVENT_STACK_SAMPLE:
		sqlite_sample(s, reader, event);
		break;
	case STELE_EVENT_EXPERIMENTAL:
		sqlite_memory(s, reader, event);
		break;
	default:
		break;
	}
	sqlite_fail(s, stele_analysis_add(s->analysis, reader, event));
	return s->error;
}

/* What is there at the end --------------------------------------------------------------------- */

static void sqlite_fact(struct sqlite *s, const char *key, struct stele_string text)
{
	sqlite_text(s, SQLITE_TRACE, 1, (struct stele_string){key, strlen(key)});
	sqlite_text(s, SQLITE_TRACE, 2, text);
	sqlite_row(s, SQLITE_TRACE);
}

static void sqlite_figure(struct sqlite *s, const char *key, int64_t value)
{
	sqlite_text(s, SQLITE_TRACE, 1, (struct stele_string){key, strlen(key)});
	sqlite_number(s, SQLITE_TRACE, 2, value);
	sqlite_row(s, SQLITE_TRACE);
}

static void sqlite_trace(struct sqlite *s)
{
	const struct stele_trust *trust = stele_analysis_trust(s->analysis);
	const struct stele_recording *rec = &trust->recording;

	sqlite_figure(s, "schema", 1);
	sqlite_figure(s, "events", (int64_t)trust->events);
	sqlite_figure(s, "first_ns", trust->first);
	sqlite_figure(s, "last_ns", trust->last);
	if (!rec->present)
		return;
	sqlite_fact(s, "program", (struct stele_string){rec->program, strlen(rec->program)});
	sqlite_figure(s, "pid", (int64_t)rec->pid);
	sqlite_figure(s, "lost_events", (int64_t)rec->lost_events);
}

static void sqlite_frames(struct sqlite *s)
{
	for (uint32_t stack = 1; stack < s->analysis->stacks.count && !s->error; stack++) {
		const struct stele__stack *frames = s->analysis->stacks.all[stack];

		for (size_t i = 0; i < frames->count; i++) {
			sqlite_number(s, SQLITE_FRAME, 1, stack);
			sqlite_number(s, SQLITE_FRAME, 2, (int64_t)i);
			sqlite_text(s, SQLITE_FRAME, 3, frames->frames[i].function);
			sqlite_text(s, SQLITE_FRAME, 4, frames->frames[i].file);
			sqlite_number(s, SQLITE_FRAME, 5, (int64_t)frames->frames[i].line);
			sqlite_number(s, SQLITE_FRAME, 6, (int64_t)frames->frames[i].pc);
			sqlite_row(s, SQLITE_FRAME);
		}
	}
}

static int sqlite_finish(struct stele__export *e)
{
	struct sqlite *s = e->state;
	const struct sqlite_open *task;
	struct sqlite_go *go;
	size_t at = 0;

	while ((go = stele__keymap_each(&s->goroutines, &at))) {
		sqlite_leave(s, go, OPEN, STELE_NO_ID);
		sqlite_goroutine(s, go, OPEN);
	}
	at = 0;
	while ((task = stele__keymap_each(&s->tasks, &at)))
		sqlite_task_end(s, task, OPEN);
	for (uint32_t i = 0; i < s->region_count; i++)
		sqlite_region_end(s, &s->regions[i], OPEN);
	sqlite_trace(s);
	sqlite_frames(s);
	sqlite_run(s, sqlite_indexes);
	return s->error;
}

static void sqlite_free(struct stele__export *e)
{
	struct sqlite *s = e->state;

	for (unsigned table = 0; table < SQLITE_TABLES; table++)
		sqlite3_finalize(s->insert[table]);
	sqlite3_close(s->db);
	stele__keymap_free(&s->goroutines);
	stele__keymap_free(&s->tasks);
	free(s->regions);
	stele_analysis_free(s->analysis);
}

const struct stele__format stele__format_sqlite = {
	.name = "sqlite",
	.summary = "a database of states, waits, regions, logs, memory (docs/schema/sqlite.md)",
	.binary = true,
	.file = true,
	.state_bytes = sizeof(struct sqlite),
	.start = sqlite_start,
	.event = sqlite_take,
	.finish = sqlite_finish,
	.free = sqlite_free,
};
