/* SPDX-License-Identifier: MIT */
/*
 * The four policies on re-entry under one and the same load: objects are allocated and freed, and
 * within the emission of each free, at an instruction that moves on from round to round, another
 * object is allocated and a log written. What is in the trace is compared with what was emitted.
 *
 * With --table: the figures of docs/design/reentrancy.md.
 */
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drain/drain.h"
#include "format/spec.h"
#include "stele/read.h"
#include "support/attached.h"
#include "support/stepped.h"
#include "support/tap.h"

#ifndef STEPPED_POSSIBLE

int main(void)
{
	printf("1..0 # SKIP single-stepping needs plain x86-64 code\n");
	return 0;
}

#else

#define ROUNDS	     4000
#define OUTER_BASE   0x100000000ull
#define INNER_BASE   0x200000000ull
#define OBJECT_BYTES 32

/* What a policy made of the load; shared with the process that ran it. */
struct outcome {
	struct stele_drain_stats stats;
	uint64_t logs, allocs, frees, broken_pairs;
	uint64_t disorders; /* objects freed before they were there */
	int error;
};

struct load {
	uint64_t inject_at;
	uint64_t injected;
	struct stele_drain *drain;
	uint8_t *out;
	size_t bytes, room;
};

static struct load load;
static uint8_t object_is_live[2][ROUNDS];

static void *object(uint64_t base, uint64_t number)
{
	return (void *)(uintptr_t)(base + number * OBJECT_BYTES);
}

static bool on_instruction(uint64_t instruction)
{
	if (instruction != load.inject_at)
		return true;
	stele_object_alloc(object(INNER_BASE, load.injected++), OBJECT_BYTES);
	stele_log(0, "nested", "yes");
	return false;
}

/* inject_at 0: nothing is nested. Returns the number of instructions stepped. */
static uint64_t load_round(uint64_t round, uint64_t inject_at)
{
	uint64_t count;

	load.inject_at = inject_at;
	stele_object_alloc(object(OUTER_BASE, round), OBJECT_BYTES);
	stepped_begin();
	stele_object_free(object(OUTER_BASE, round));
	count = stepped_end();
	if (inject_at)
		stele_object_free(object(INNER_BASE, round));
	return count;
}

static int load_write(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	if (bytes > load.room - load.bytes) {
		load.room = (load.room + bytes) * 2;
		load.out = realloc(load.out, load.room);
		if (!load.out)
			abort();
	}
	memcpy(load.out + load.bytes, data, bytes);
	load.bytes += bytes;
	return 0;
}

static void outcome_object(struct outcome *o, uint64_t address, bool alloc)
{
	bool inner = address >= INNER_BASE;
	uint64_t number = (address - (inner ? INNER_BASE : OUTER_BASE)) / OBJECT_BYTES;
	uint8_t *live = &object_is_live[inner][number < ROUNDS ? number : 0];

	o->allocs += alloc;
	o->frees += !alloc;
	if (alloc && *live)
		o->disorders++;
	if (!alloc && !*live)
		o->broken_pairs++;
	*live = alloc;
}

static uint64_t object_address(const struct stele_heap_info *heap, const struct stele_event *event)
{
	return heap->base + event->value[0] * heap->object_align;
}

static void outcome_read(struct outcome *o)
{
	const struct stele_event *event;
	struct stele_reader *reader;
	int got = stele_reader_open_memory(load.out, load.bytes, NULL, &reader);

	while (got >= 0 && (got = stele_reader_next(reader, &event)) > 0) {
		if (event->kind == STELE_EVENT_LOG)
			o->logs++;
		if (event->kind != STELE_EVENT_EXPERIMENTAL)
			continue;
		if (event->type == STELE_EV_HEAP_OBJECT_ALLOC ||
		    event->type == STELE_EV_HEAP_OBJECT_FREE)
			outcome_object(o, object_address(stele_reader_heap(reader), event),
				       event->type == STELE_EV_HEAP_OBJECT_ALLOC);
	}
	if (got < 0)
		printf("# %s\n", stele_reader_diag(reader)->text);
	stele_reader_close(reader);
	o->error = got;
}

static void run_load(uint32_t policy, struct outcome *o)
{
	const struct stele_drain_options options = {
		.version = 23, .sink = {load_write, NULL}, .generation_ns = 3600000000000ull};
	const struct stele_ending ending = {.known = true};
	struct stele_arena_options arena = attached_options(4u << 20);
	uint64_t instructions;

	arena.reentry = policy;
	o->error = stele__drain_new(attached_arena_with(&arena), &options, &load.drain);
	if (o->error < 0)
		return;
	stepped_install(on_instruction);
	load_round(0, 0); /* caches are cold */
	instructions = load_round(0, 0);
	for (uint64_t round = 0; round < ROUNDS; round++) {
		load_round(round, 1 + round % instructions);
		stele__drain_tick(load.drain);
	}
	o->error = stele__drain_finish(load.drain, &ending);
	stele__drain_stats(load.drain, &o->stats);
	stele__drain_free(load.drain);
	if (o->error == 0)
		outcome_read(o);
	free(load.out);
}

/* A process can be traced once: each policy has its own. Returns its wait status. */
static int run_apart(uint32_t policy, struct outcome *o, int standard_error)
{
	struct outcome *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child == 0) {
		if (standard_error >= 0)
			dup2(standard_error, 2);
		run_load(policy, shared);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, &status, 0);
	*o = *shared;
	munmap(shared, sizeof(*shared));
	return status;
}

static uint64_t lost(const struct outcome *o)
{
	uint64_t sum = o->stats.no_slot;

	for (unsigned i = 0; i < STELE__LOSS_COUNT; i++)
		for (unsigned k = 0; k < STELE__CLASS_COUNT; k++)
			sum += o->stats.dropped[i][k];
	return sum;
}

/* Two rounds before the load had no nested events. */
static void check_nothing_is_missing(const struct outcome *o)
{
	CHECK_EQ(o->error, 0);
	CHECK_EQ(lost(o), 0);
	CHECK_EQ(o->allocs, 2 * ROUNDS + 2);
	CHECK_EQ(o->frees, 2 * ROUNDS + 2);
	CHECK_EQ(o->logs, ROUNDS);
	CHECK_EQ(o->broken_pairs + o->disorders, 0);
	CHECK_EQ(o->stats.late + o->stats.abandoned + o->stats.unexplained, 0);
}

static void nest_keeps_everything_in_few_batches(void)
{
	struct outcome o;

	CHECK_EQ(run_apart(STELE_REENTRY_NEST, &o, -1), 0);
	check_nothing_is_missing(&o);
	CHECK(o.stats.batches < ROUNDS / 10);
}

static void flush_keeps_everything_in_many_batches(void)
{
	struct outcome o;

	CHECK_EQ(run_apart(STELE_REENTRY_FLUSH, &o, -1), 0);
	check_nothing_is_missing(&o);
	CHECK(o.stats.batches > ROUNDS / 10);
}

static void skip_drops_nested_memory_events_and_counts_them(void)
{
	uint64_t skipped;
	struct outcome o;

	CHECK_EQ(run_apart(STELE_REENTRY_SKIP, &o, -1), 0);
	skipped = o.stats.skipped[STELE_KIND_OBJECT_ALLOC];
	CHECK_EQ(o.error, 0);
	CHECK(skipped > 0);
	CHECK_EQ(lost(&o), skipped);
	CHECK_EQ(o.stats.dropped[STELE_LOSS_REENTRY][STELE_CLASS_MEMORY], skipped);
	CHECK_EQ(o.allocs + skipped, 2 * ROUNDS + 2);
	CHECK_EQ(o.frees, 2 * ROUNDS + 2);
	CHECK_EQ(o.broken_pairs, skipped);
	CHECK_EQ(o.logs, ROUNDS);
	CHECK_EQ(o.disorders, 0);
}

static void abort_names_both_events_and_their_stacks(void)
{
	char text[16384];
	struct outcome o;
	ssize_t bytes;
	int pipes[2], status;

	CHECK_EQ(pipe(pipes), 0);
	status = run_apart(STELE_REENTRY_ABORT, &o, pipes[1]);
	close(pipes[1]);
	bytes = read(pipes[0], text, sizeof(text) - 1);
	close(pipes[0]);
	text[bytes > 0 ? bytes : 0] = '\0';
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	CHECK(strstr(text, "emitted an event within the emission of another"));
	CHECK(strstr(text, "the inner one: "));
	CHECK(strstr(text, "the outer one: OBJECT_FREE"));
	CHECK(strstr(text, "test_policies+0x"));
	if (tap_now.reports)
		printf("%s", text);
}

static const struct tap_test tests[] = {
	TEST(nest_keeps_everything_in_few_batches),
	TEST(flush_keeps_everything_in_many_batches),
	TEST(skip_drops_nested_memory_events_and_counts_them),
	TEST(abort_names_both_events_and_their_stacks),
};

static int print_table(void)
{
	static const char *const names[] = {"nest", "flush", "skip"};

	printf("| policy | events emitted | lost | broken pairs | batches | bytes |\n"
	       "|---|---|---|---|---|---|\n");
	for (uint32_t policy = 0; policy < STELE_ARRAY_LENGTH(names); policy++) {
		struct outcome o;

		run_apart(policy, &o, -1);
		printf("| `%s` | %d | %llu | %llu | %llu | %llu |\n", names[policy], 5 * ROUNDS + 4,
		       (unsigned long long)lost(&o), (unsigned long long)o.broken_pairs,
		       (unsigned long long)o.stats.batches, (unsigned long long)o.stats.bytes);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "--table") == 0)
		return print_table();
	return tap_run(tests, STELE_ARRAY_LENGTH(tests), argc > 1 ? argv[1] : NULL);
}

#endif
