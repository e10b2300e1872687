/* SPDX-License-Identifier: MIT */
#include "cli/listing.h"

#include <string.h>

#include "cli/aside.h"

#define LISTING_FRAMES_MAX 128

/* Ids are shown signed: what no id can be is "-". */
static void listing_id(struct stele__printer *out, const char *key, uint64_t id)
{
	stele__print(out, key);
	if ((int64_t)id < 0)
		stele__print_char(out, '-');
	else
		stele__print_u64(out, id);
}

static void listing_resource(struct stele__printer *out, const struct stele_event *event)
{
	switch (event->resource) {
	case STELE_RESOURCE_GOROUTINE:
		listing_id(out, "G", event->resource_id);
		break;
	case STELE_RESOURCE_PROC:
		listing_id(out, "P", event->resource_id);
		break;
	case STELE_RESOURCE_THREAD:
		listing_id(out, "M", event->resource_id);
		break;
	default:
		stele__print(out, "none");
	}
}

static size_t listing_frames(const struct stele__listing *l, uint32_t stack,
			     struct stele_stack_frame frames[LISTING_FRAMES_MAX])
{
	size_t n = l->frames_max < LISTING_FRAMES_MAX ? l->frames_max : LISTING_FRAMES_MAX;
	size_t have;

	if (!stack || !n)
		return 0;
	have = stele_reader_stack(l->reader, stack, frames, n);
	return have < n ? have : n;
}

/* ---- reference ---- */

static void reference_stack(const struct stele__listing *l, const char *key, uint32_t stack)
{
	struct stele_stack_frame frames[LISTING_FRAMES_MAX];
	size_t n = listing_frames(l, stack, frames);

	for (size_t i = 0; i < n; i++) {
		stele__print(l->printer, i ? "," : key);
		stele__print_escaped(l->printer, frames[i].function);
		stele__print_char(l->printer, ':');
		stele__print_u64(l->printer, frames[i].line);
		stele__print_char(l->printer, '@');
		stele__print_hex(l->printer, frames[i].pc);
	}
}

static void reference_text(struct stele__printer *out, const char *key, struct stele_string text)
{
	stele__print(out, key);
	stele__print_escaped(out, text);
}

static void reference_sync(const struct stele__listing *l)
{
	const struct stele_sync *sync = stele_reader_sync(l->reader);
	struct stele__printer *out = l->printer;
	struct stele_experiment_batch batch;
	uint64_t bytes = 0;

	listing_id(out, " n=", sync->number);
	if (sync->has_clock) {
		stele__print(out, " trace=");
		stele__print_i64(out, sync->time);
		stele__print(out, " mono=");
		stele__print_u64(out, sync->monotonic_ns);
		stele__print(out, " wall=");
		stele__print_i64(out,
				 (int64_t)(sync->wall_s * UINT64_C(1000000000) + sync->wall_ns));
	}
	for (size_t i = 0; i < sync->batch_count; i++)
		if (stele_reader_batch(l->reader, i, &batch) == 0)
			bytes += batch.bytes;
	if (sync->batch_count) {
		stele__print(out, " exp=AllocFree batches=");
		stele__print_u64(out, sync->batch_count);
		stele__print(out, " bytes=");
		stele__print_u64(out, bytes);
	}
}

static void reference_values(struct stele__printer *out, const struct stele_event *event)
{
	for (unsigned i = 0; i < event->value_count; i++) {
		const char *name = stele_event_value_name(event, i);

		stele__print_char(out, ' ');
		stele__print_escaped(out, (struct stele_string){name, strlen(name)});
		stele__print_char(out, '=');
		stele__print_u64(out, event->value[i]);
	}
}

static void reference_task(struct stele__printer *out, const struct stele_event *event)
{
	stele__print(out, " task=");
	stele__print_u64(out, event->task);
	if (event->parent_task == STELE_NO_ID) {
		stele__print(out, " parent=-");
	} else {
		stele__print(out, " parent=");
		stele__print_u64(out, event->parent_task);
	}
	reference_text(out, " type=", event->name);
}

static void reference_transition(struct stele__printer *out, const struct stele_event *event)
{
	stele__print(out, " res=");
	listing_resource(out, event);
	stele__print_char(out, ' ');
	stele__print(out, stele_state_name(event->from));
	stele__print(out, "->");
	stele__print(out, stele_state_name(event->to));
	if (event->name.bytes)
		reference_text(out, " reason=", event->name);
}

/* What is particular to the kind of event. */
static void reference_fields(const struct stele__listing *l, const struct stele_event *event)
{
	struct stele__printer *out = l->printer;

	switch (event->kind) {
	case STELE_EVENT_SYNC:
		reference_sync(l);
		break;
	case STELE_EVENT_METRIC:
		reference_text(out, " name=", event->name);
		reference_values(out, event);
		break;
	case STELE_EVENT_LABEL:
		stele__print(out, " res=");
		listing_resource(out, event);
		reference_text(out, " label=", event->name);
		break;
	case STELE_EVENT_RANGE_BEGIN:
	case STELE_EVENT_RANGE_ACTIVE:
	case STELE_EVENT_RANGE_END:
		stele__print(out, " res=");
		listing_resource(out, event);
		reference_text(out, " name=", event->name);
		reference_values(out, event);
		break;
	case STELE_EVENT_TASK_BEGIN:
	case STELE_EVENT_TASK_END:
		reference_task(out, event);
		break;
	case STELE_EVENT_REGION_BEGIN:
	case STELE_EVENT_REGION_END:
		stele__print(out, " task=");
		stele__print_u64(out, event->task);
		reference_text(out, " type=", event->name);
		break;
	case STELE_EVENT_LOG:
		stele__print(out, " task=");
		stele__print_u64(out, event->task);
		reference_text(out, " category=", event->name);
		reference_text(out, " message=", event->text);
		break;
	case STELE_EVENT_TRANSITION:
		reference_transition(out, event);
		break;
	case STELE_EVENT_EXPERIMENTAL:
		stele__print(out, " exp=AllocFree");
		reference_text(out, " name=", event->name);
		reference_values(out, event);
		break;
	default:
		break;
	}
}

static void reference_event(const struct stele__listing *l, const struct stele_event *event)
{
	struct stele__printer *out = l->printer;

	stele__print(out, stele_event_kind_name(event->kind));
	stele__print(out, " t=");
	stele__print_i64(out, (int64_t)((uint64_t)event->time - (uint64_t)l->origin));
	listing_id(out, " m=", event->thread);
	listing_id(out, " p=", event->proc);
	listing_id(out, " g=", event->goroutine);
	reference_fields(l, event);
	reference_stack(l, " stk=", event->stack);
	if (event->transition_stack != event->stack)
		reference_stack(l, " tstk=", event->transition_stack);
	stele__print_char(out, '\n');
}

/* ---- plain ---- */

static void plain_time(struct stele__printer *out, int64_t ns)
{
	char digits[] = "000000000";
	uint64_t fraction = (uint64_t)ns % 1000000000;

	for (int i = 8; fraction; i--, fraction /= 10)
		digits[i] = (char)('0' + fraction % 10);
	stele__print_u64(out, (uint64_t)ns / 1000000000);
	stele__print_char(out, '.');
	stele__print(out, digits);
}

static void plain_text(struct stele__printer *out, const char *key, struct stele_string text)
{
	stele__print(out, key);
	stele__print_quoted(out, text);
}

static void plain_values(struct stele__printer *out, const struct stele_event *event)
{
	for (unsigned i = 0; i < event->value_count; i++) {
		stele__print_char(out, ' ');
		for (const char *p = stele_event_value_name(event, i); *p; p++)
			stele__print_char(out, *p == ' ' ? '_' : *p);
		stele__print_char(out, '=');
		stele__print_u64(out, event->value[i]);
	}
}

static void plain_fields(const struct stele__listing *l, const struct stele_event *event)
{
	struct stele__printer *out = l->printer;

	if (event->kind == STELE_EVENT_SYNC) {
		reference_sync(l);
		return;
	}
	if (event->resource != STELE_RESOURCE_NONE) {
		stele__print_char(out, ' ');
		listing_resource(out, event);
	}
	if (event->kind == STELE_EVENT_TRANSITION) {
		stele__print_char(out, ' ');
		stele__print(out, stele_state_name(event->from));
		stele__print(out, "->");
		stele__print(out, stele_state_name(event->to));
	}
	if (event->task != STELE_NO_ID)
		listing_id(out, " task=", event->task);
	if (event->parent_task != STELE_NO_ID)
		listing_id(out, " parent=", event->parent_task);
	if (event->kind == STELE_EVENT_EXPERIMENTAL) {
		stele__print_char(out, ' ');
		stele__print_bytes(out, event->name.data, event->name.bytes);
	} else if (event->name.bytes || event->kind == STELE_EVENT_LOG) {
		plain_text(out, " ", event->name);
	}
	if (event->kind == STELE_EVENT_LOG)
		plain_text(out, ": ", event->text);
	plain_values(out, event);
}

static void plain_stack(const struct stele__listing *l, const char *key, uint32_t stack)
{
	struct stele_stack_frame frames[LISTING_FRAMES_MAX];
	struct stele__printer *out = l->printer;
	size_t n = listing_frames(l, stack, frames);

	for (size_t i = 0; i < n; i++) {
		stele__print(out, i ? " < " : key);
		if (frames[i].function.bytes) {
			stele__print_bytes(out, frames[i].function.data, frames[i].function.bytes);
		} else {
			stele__print(out, "0x");
			stele__print_hex(out, frames[i].pc);
		}
		if (frames[i].line) {
			stele__print_char(out, ':');
			stele__print_u64(out, frames[i].line);
		}
	}
}

/* What is told beside the event. */
static void plain_aside(struct stele__printer *out, const struct stele__aside *aside)
{
	const struct stele_detail *detail = &aside->detail;

	switch (detail->kind) {
	case STELE_DETAIL_CALL:
		listing_id(out, " fd=", (uint32_t)detail->object);
		if (aside->file.bytes)
			plain_text(out, " ", aside->file);
		break;
	case STELE_DETAIL_RESULT:
		stele__print(out, " result=");
		stele__print_i64(out, detail->result);
		break;
	default:
		stele__print(out, " for=0x");
		stele__print_hex(out, detail->object);
		if (detail->holder != STELE_NO_ID)
			listing_id(out, " held_by=", detail->holder);
	}
}

static void plain_event(const struct stele__listing *l, const struct stele_event *event)
{
	struct stele__printer *out = l->printer;

	plain_time(out, (int64_t)((uint64_t)event->time - (uint64_t)l->origin));
	listing_id(out, " m=", event->thread);
	listing_id(out, " p=", event->proc);
	listing_id(out, " g=", event->goroutine);
	stele__print_char(out, ' ');
	stele__print(out, stele_event_kind_name(event->kind));
	plain_fields(l, event);
	if (l->aside && l->aside->told)
		plain_aside(out, l->aside);
	plain_stack(l, " at ", event->stack);
	if (event->transition_stack != event->stack)
		plain_stack(l, " in ", event->transition_stack);
	stele__print_char(out, '\n');
}

/* ---- JSON ---- */

static void json_id(struct stele__printer *out, const char *key, uint64_t id)
{
	if (id == STELE_NO_ID)
		return;
	stele__print(out, key);
	stele__print_u64(out, id);
}

static void json_text(struct stele__printer *out, const char *key, struct stele_string text)
{
	stele__print(out, key);
	stele__print_json(out, text);
}

static void json_name(struct stele__printer *out, const char *key, const char *name)
{
	json_text(out, key, (struct stele_string){name, strlen(name)});
}

static void json_stack(const struct stele__listing *l, const char *key, uint32_t stack)
{
	struct stele_stack_frame frames[LISTING_FRAMES_MAX];
	struct stele__printer *out = l->printer;
	size_t n = listing_frames(l, stack, frames);

	for (size_t i = 0; i < n; i++) {
		stele__print(out, i ? ", {\"pc\": " : key);
		stele__print_u64(out, frames[i].pc);
		json_text(out, ", \"function\": ", frames[i].function);
		json_text(out, ", \"file\": ", frames[i].file);
		stele__print(out, ", \"line\": ");
		stele__print_u64(out, frames[i].line);
		stele__print_char(out, '}');
	}
	if (n)
		stele__print_char(out, ']');
}

static void json_sync(const struct stele__listing *l)
{
	const struct stele_sync *sync = stele_reader_sync(l->reader);
	struct stele__printer *out = l->printer;

	json_id(out, ", \"number\": ", sync->number);
	if (sync->generation)
		json_id(out, ", \"generation\": ", sync->generation);
	if (!sync->has_clock)
		return;
	stele__print(out, ", \"clock\": {\"trace_ns\": ");
	stele__print_i64(out, sync->time);
	json_id(out, ", \"monotonic_ns\": ", sync->monotonic_ns);
	json_id(out, ", \"wall_s\": ", sync->wall_s);
	json_id(out, ", \"wall_ns\": ", sync->wall_ns);
	stele__print_char(out, '}');
}

static void json_resource(struct stele__printer *out, const struct stele_event *event)
{
	static const char *const kind[] = {"process", "goroutine", "proc", "thread"};

	json_name(out, ", \"resource\": {\"kind\": ", kind[event->resource]);
	json_id(out, ", \"id\": ", event->resource_id);
	stele__print_char(out, '}');
	if (event->kind != STELE_EVENT_TRANSITION)
		return;
	json_name(out, ", \"from\": ", stele_state_name(event->from));
	json_name(out, ", \"to\": ", stele_state_name(event->to));
}

static void json_values(struct stele__printer *out, const struct stele_event *event)
{
	for (unsigned i = 0; i < event->value_count; i++) {
		const char *name = stele_event_value_name(event, i);

		json_name(out, i ? ", " : ", \"values\": {", name);
		stele__print(out, ": ");
		stele__print_u64(out, event->value[i]);
	}
	if (event->value_count)
		stele__print_char(out, '}');
}

static void json_aside(struct stele__printer *out, const struct stele__aside *aside)
{
	const struct stele_detail *detail = &aside->detail;

	switch (detail->kind) {
	case STELE_DETAIL_CALL:
		json_id(out, ", \"fd\": ", (uint32_t)detail->object);
		if (aside->file.bytes)
			json_text(out, ", \"file\": ", aside->file);
		break;
	case STELE_DETAIL_RESULT:
		stele__print(out, ", \"result\": ");
		stele__print_i64(out, detail->result);
		break;
	default:
		stele__print(out, ", \"for\": \"0x");
		stele__print_hex(out, detail->object);
		stele__print_char(out, '"');
		json_id(out, ", \"held_by\": ", detail->holder);
	}
}

static void json_event(const struct stele__listing *l, const struct stele_event *event)
{
	struct stele__printer *out = l->printer;
	bool range = event->kind >= STELE_EVENT_RANGE_BEGIN && event->kind <= STELE_EVENT_RANGE_END;

	json_name(out, "{\"kind\": ", stele_event_kind_name(event->kind));
	stele__print(out, ", \"time_ns\": ");
	stele__print_i64(out, event->time);
	json_id(out, ", \"thread\": ", event->thread);
	json_id(out, ", \"proc\": ", event->proc);
	json_id(out, ", \"goroutine\": ", event->goroutine);
	if (event->kind == STELE_EVENT_SYNC)
		json_sync(l);
	if (range || event->resource != STELE_RESOURCE_NONE)
		json_resource(out, event);
	json_id(out, ", \"task\": ", event->task);
	json_id(out, ", \"parent_task\": ", event->parent_task);
	if (event->name.bytes)
		json_text(out,
			  event->kind == STELE_EVENT_TRANSITION ? ", \"reason\": " : ", \"name\": ",
			  event->name);
	if (event->kind == STELE_EVENT_LOG)
		json_text(out, ", \"message\": ", event->text);
	json_values(out, event);
	if (l->aside && l->aside->told)
		json_aside(out, l->aside);
	json_stack(l, ", \"stack\": [{\"pc\": ", event->stack);
	if (event->transition_stack != event->stack)
		json_stack(l, ", \"transition_stack\": [{\"pc\": ", event->transition_stack);
	stele__print(out, "}\n");
}

void stele__listing_event(const struct stele__listing *listing, const struct stele_event *event)
{
	switch (listing->format) {
	case STELE__LISTING_REFERENCE:
		reference_event(listing, event);
		break;
	case STELE__LISTING_JSON:
		json_event(listing, event);
		break;
	default:
		plain_event(listing, event);
	}
}
