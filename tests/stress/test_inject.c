/* SPDX-License-Identifier: MIT */
/*
 * The claim "an event emitted at any instruction of another event's emission is in the arena
 * exactly once and in order", by brute force: every public entry point through which events come.
 */
#include "stress/inject.h"

#ifndef STEPPED_POSSIBLE

int main(void)
{
	printf("1..0 # SKIP single-stepping needs plain x86-64 code\n");
	return 0;
}

#else

#define OBJECT_BYTES 48

static char object[OBJECT_BYTES];

OPERATION(counter, stele_counter(filler, 1))
OPERATION(log, stele_log(0, "key", "value"))
OPERATION(log_new, stele_log(0, "key", new_text()))
OPERATION(region, stele_region_begin("region", 0); stele_region_end("region", 0))
OPERATION(task, stele_task_end(stele_task_begin("task", 0)))
OPERATION(wait, stele_wake(stele_block(STELE_WAIT_MUTEX, object)))
OPERATION(call, stele_syscall_end(stele_syscall_begin(0, 1), 0))
OPERATION(object_alloc, stele_object_alloc(object, sizeof(object)))
OPERATION(object_exists, stele_object_exists(object, sizeof(object)))
OPERATION(object_free, stele_object_free(object))
OPERATION(span_alloc, stele_span_alloc((void *)65536, 8192, 1))
OPERATION(span_exists, stele_span_exists((void *)65536, 8192, 1))
OPERATION(span_free, stele_span_free((void *)65536, 8192))
OPERATION(stack_alloc, stele_stack_alloc((void *)65536, 8192))
OPERATION(stack_exists, stele_stack_exists((void *)65536, 8192))
OPERATION(stack_free, stele_stack_free((void *)65536, 8192))
OPERATION(thread_name, stele_thread_set_name(new_text()))
OPERATION(create, stele_goroutine_cancel(stele_goroutine_create((void *)op_counter)))
OPERATION(thread_begin, stele_thread_begin(0, NULL))
OPERATION(thread_end, stele_thread_end())
OPERATION(intern, stele_name_intern(new_text()))

static const struct operation operations[] = {
	{"counter", op_counter, {STELE_KIND_COUNTER}},
	{"log", op_log, {STELE_KIND_LOG}},
	{"log of a new text", op_log_new, {STELE_KIND_LOG}},
	{"region", op_region, {STELE_KIND_REGION_BEGIN, STELE_KIND_REGION_END}},
	{"task", op_task, {STELE_KIND_TASK_BEGIN, STELE_KIND_TASK_END}},
	{"wait", op_wait, {STELE_KIND_GO_BLOCK, STELE_KIND_GO_WAKE}},
	{"system call", op_call, {STELE_KIND_SYSCALL_BEGIN, STELE_KIND_SYSCALL_END}},
	{"object alloc", op_object_alloc, {STELE_KIND_OBJECT_ALLOC}},
	{"object exists", op_object_exists, {STELE_KIND_OBJECT}},
	{"object free", op_object_free, {STELE_KIND_OBJECT_FREE}},
	{"span alloc", op_span_alloc, {STELE_KIND_SPAN_ALLOC}},
	{"span exists", op_span_exists, {STELE_KIND_SPAN}},
	{"span free", op_span_free, {STELE_KIND_SPAN_FREE}},
	{"stack alloc", op_stack_alloc, {STELE_KIND_STACK_ALLOC}},
	{"stack exists", op_stack_exists, {STELE_KIND_STACK}},
	{"stack free", op_stack_free, {STELE_KIND_STACK_FREE}},
	{"thread name", op_thread_name, {STELE_KIND_THREAD_NAME}},
	{"goroutine create", op_create, {STELE_KIND_GO_CREATE, STELE_KIND_GO_CANCEL}},
	{"thread begin", op_thread_begin, {0}},
	{"thread end", op_thread_end, {STELE_KIND_THREAD_END}, true},
	{"name", op_intern, {0}},
};

int main(void)
{
	inject_arena();
	return inject_all(operations, STELE_ARRAY_LENGTH(operations), true);
}

#endif
