/* SPDX-License-Identifier: MIT */
/* The walk, frame by frame against libgcc's. Built without frame pointers (meson.build). */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>
#include <unwind.h>

#include "support/modules.h"
#include "support/tap.h"
#include "sys/sys.h"
#include "unwind/cfi.h"
#include "unwind/module.h"
#include "unwind/trail.h"
#include "unwind/unwind.h"

#define FRAMES_MAX 128

struct reference {
	uint64_t pcs[FRAMES_MAX];
	uint32_t frames;
};

static uint64_t compared, differing, repeated, recalled;
static struct stele_stack_bounds bounds;

/* The trail, and the stacks that its values stand for, as the recorder's dictionary holds them. */
#define STACKS_MAX 4096
static struct stele_trail trail;
static uintptr_t walker; /* along the trail */
static struct kept {
	uint64_t pcs[FRAMES_MAX];
	uint32_t frames;
} stacks[STACKS_MAX];
static uint32_t stack_count;
/* Few, so that they are overwritten all the time. */
#define SITE_BYTES 256
static char sites[64][SITE_BYTES] __attribute__((aligned(64)));

static void set_bounds(void)
{
	pthread_attr_t attr;
	void *low;
	size_t bytes;

	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &low, &bytes);
	pthread_attr_destroy(&attr);
	bounds = (struct stele_stack_bounds){(uintptr_t)low, (uintptr_t)low + bytes};
}

static _Unwind_Reason_Code reference_frame(struct _Unwind_Context *context, void *arg)
{
	struct reference *r = arg;
	int before = 0;
	uint64_t ip = _Unwind_GetIPInfo(context, &before);

	if (r->frames < FRAMES_MAX && ip)
		r->pcs[r->frames++] = before ? ip : ip - 1;
	return _URC_NO_REASON;
}

/* What is remembered of a walk from here must be what the walk gives now. */
static struct stele_trail_site *compare_site(const struct stele_unwind_start *start,
					     const uint64_t *want, uint32_t frames)
{
	struct stele_trail_site *site = (void *)sites[(start->sp / 16 ^ start->pc) % 64];
	const struct kept *found;

	if (!stele__trail_recalls(site, start, bounds.high))
		return site;
	recalled++;
	found = &stacks[site->value - 1];
	differing += found->frames != frames ||
		     memcmp(found->pcs, want, frames * sizeof(want[0])) != 0 ||
		     site->sp + site->frame < start->sp;
	return site;
}

/* The walk along the trail must give what the walk without one does. */
static void compare_trail(const struct stele_unwind_start *start, const uint64_t *want,
			  uint32_t frames)
{
	struct stele_unwind_result got;
	struct stele_trail_site *site;
	struct kept *kept;
	uint64_t pcs[FRAMES_MAX], *found = pcs;

	if (!stele__trail_enter(&walker, start->sp))
		return;
	site = compare_site(start, want, frames);
	got = stele__unwind(start, &bounds, pcs, FRAMES_MAX, &trail);
	if (got.same) {
		repeated++;
		got.frames = stacks[trail.value - 1].frames;
		found = stacks[trail.value - 1].pcs;
	} else if (got.kept) {
		kept = &stacks[stack_count++ % STACKS_MAX];
		kept->frames = got.frames;
		memcpy(kept->pcs, pcs, got.frames * sizeof(pcs[0]));
		trail.value = (uint64_t)(kept - stacks) + 1;
	}
	differing += got.frames != frames || memcmp(found, want, frames * sizeof(pcs[0])) != 0;
	/* Its number is given to another stack when all have had one: then it must be forgotten. */
	if (stack_count >= STACKS_MAX)
		memset(sites, 0, sizeof(sites));
	else if (got.same || got.kept)
		stele__trail_remember(site, SITE_BYTES, &trail);
	stele__trail_leave(&walker);
}

/*
 * Both walks from here. libgcc's begins in this function, at another pc; from the caller on they
 * must be equal. Returns the number of frames.
 */
static __attribute__((noinline)) uint32_t compare_here(void)
{
	struct stele_unwind_start start = stele__unwind_start();
	struct reference want = {.frames = 0};
	uint64_t pcs[FRAMES_MAX];
	struct stele_unwind_result got = stele__unwind(&start, &bounds, pcs, FRAMES_MAX, NULL);

	_Unwind_Backtrace(reference_frame, &want);
	if (want.frames - 1 != got.frames || got.broken)
		differing++;
	for (uint32_t i = 0; i < got.frames && i + 1 < want.frames; i++) {
		compared++;
		differing += pcs[i] != want.pcs[i + 1];
	}
	compare_trail(&start, pcs, got.frames);
	return got.frames;
}

static void check_agreement(void)
{
	CHECK(compared > 0);
	CHECK_EQ(differing, 0);
	compared = differing = 0;
}

static __attribute__((noinline)) uint32_t recurse(uint32_t depth, uint32_t seed)
{
	char spill[64];

	memset(spill, (int)seed, sizeof(spill));
	__asm__ volatile("" ::"r"(spill) : "memory");
	return (depth ? recurse(depth - 1, seed * 3) : compare_here()) + (uint32_t)spill[3] * 0;
}

static void walk_equals_libgcc_without_frame_pointers(void)
{
	CHECK(recurse(20, 1) > 20);
	check_agreement();
}

static __attribute__((noinline)) uint32_t realigned(uint32_t depth)
{
	char wide[128] __attribute__((aligned(64)));

	memset(wide, 1, sizeof(wide));
	__asm__ volatile("" ::"r"(wide) : "memory");
	return (depth ? realigned(depth - 1) : compare_here()) + (uint32_t)wide[5] * 0;
}

static void walk_passes_realigned_frames(void)
{
	realigned(5);
	check_agreement();
}

static __attribute__((noinline)) uint32_t variable(uint32_t n)
{
	char *space = __builtin_alloca(n * 24);

	memset(space, 1, n * 24);
	__asm__ volatile("" ::"r"(space) : "memory");
	return (n ? variable(n - 1) : compare_here()) + (uint32_t)(uintptr_t)space * 0;
}

static void walk_passes_alloca(void)
{
	variable(10);
	check_agreement();
}

static int compare_in_libc(const void *a, const void *b)
{
	compare_here();
	return *(const int *)a - *(const int *)b;
}

static void walk_passes_libc(void)
{
	int numbers[] = {5, 3, 9, 1, 7, 2};

	qsort(numbers, 6, sizeof(int), compare_in_libc);
	check_agreement();
}

static volatile sig_atomic_t signals;

/*
 * qemu-user for AArch64 returns from handlers through code of its own that no module contains (a
 * kernel has it in the vDSO): such frames cannot be passed there.
 */
static bool restorer_is_known;

static void on_probe(int number)
{
	struct stele_code_range range;

	(void)number;
	restorer_is_known = stele__module_find((uintptr_t)__builtin_return_address(0), &range);
}

#define NEED_KNOWN_RESTORER()                                                                      \
	do {                                                                                       \
		signal(SIGUSR1, on_probe);                                                         \
		raise(SIGUSR1);                                                                    \
		if (!restorer_is_known)                                                            \
			SKIP("the signal restorer is in no module here");                          \
	} while (0)

static void on_signal(int number)
{
	(void)number;
	compare_here();
	signals++;
}

static void walk_passes_a_signal_frame(void)
{
	NEED_KNOWN_RESTORER();
	signal(SIGUSR1, on_signal);
	raise(SIGUSR1);
	CHECK_EQ(signals, 1);
	check_agreement();
}

/* Through libc's hand-written code. */
static int compare_numbers(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(int));
}

/* A timer interrupts at arbitrary instructions: prologues, epilogues, PLT entries, libc. */
static void walk_is_right_at_any_instruction(void)
{
	struct itimerval rate = {{0, 50}, {0, 50}};
	struct itimerval off = {{0, 0}, {0, 0}};
	int numbers[64];

	NEED_KNOWN_RESTORER();
	signals = 0;
	signal(SIGALRM, on_signal);
	setitimer(ITIMER_REAL, &rate, NULL);
	for (uint32_t round = 0; signals < 3000; round++) {
		char *copy = strdup("any work at all");

		for (int i = 0; i < 64; i++)
			numbers[i] = (int)((round * 2654435761u) >> (i & 15));
		qsort(numbers, 64, sizeof(int), compare_numbers);
		free(copy);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	CHECK(compared > 10000);
	/* libgcc itself goes astray in a few instructions of libc's hand-written code. */
	CHECK(differing * 1000 <= compared);
	printf("# %lu frames compared, %lu differ; %lu walks like the one before, %lu recalled\n",
	       (unsigned long)compared, (unsigned long)differing, (unsigned long)repeated,
	       (unsigned long)recalled);
	compared = differing = 0;
}

static __attribute__((noinline)) void compare_often(uint32_t times)
{
	for (uint32_t i = 0; i < times; i++) {
		compare_here();
		__asm__ volatile("" : "+r"(i)::"memory");
	}
}

/* The same inner frames, called from two places of a caller in turn. */
static __attribute__((noinline)) void call_from_two_places(uint32_t times)
{
	for (uint32_t i = 0; i < times; i++) {
		compare_often(2);
		__asm__ volatile("" ::: "memory");
		compare_often(3);
		__asm__ volatile("" ::: "memory");
	}
}

/* Only a caller further out differs: the states in between are those of the last walk. */
static __attribute__((noinline)) uint32_t descend_from(uint32_t depth, uint32_t place)
{
	uint32_t n;

	if (depth == 0)
		return recurse(3, 5);
	if (place & 1)
		n = descend_from(depth - 1, place >> 1) + 1;
	else
		n = descend_from(depth - 1, place >> 1) * 2;
	__asm__ volatile("" : "+r"(n));
	return n;
}

/*
 * Frames of changing sizes whose sum stays the same: the stack pointer and all return addresses of
 * the inner ones are as before, and only the frame pointer tells where the outer ones are.
 */
static __attribute__((noinline)) uint32_t shifted(const uint32_t *sizes, uint32_t levels)
{
	char *space = __builtin_alloca(sizes[0]); /* not written: old return addresses stay */
	uint32_t n;

	__asm__ volatile("" ::"r"(space) : "memory");
	n = levels > 1 ? shifted(sizes + 1, levels - 1) : compare_here();
	return n + (uint32_t)(uintptr_t)space * 0;
}

static void trail_sees_frame_pointers_move(void)
{
	static const uint32_t sizes[][4] = {
		{64, 128, 32, 32}, {128, 64, 32, 32}, {128, 32, 32, 64}};

	for (uint32_t i = 0; i < 30; i++) {
		shifted(sizes[i % 3], 4);
		shifted(sizes[i % 3], 3);
		shifted(sizes[i % 3], 2);
	}
	check_agreement();
}

static volatile bool kept_from_handler;

static void on_keep(int number)
{
	struct stele_unwind_start start = stele__unwind_start();
	uint64_t pcs[FRAMES_MAX];

	(void)number;
	kept_from_handler = stele__unwind(&start, &bounds, pcs, FRAMES_MAX, &trail).kept;
}

/* What lies inside a signal's frame cannot be read again: the trail begins further out. */
static void trail_does_not_keep_walks_through_signals(void)
{
	NEED_KNOWN_RESTORER();
	memset(&trail, 0, sizeof(trail));
	kept_from_handler = true;
	signal(SIGUSR1, on_keep);
	raise(SIGUSR1);
	CHECK(!kept_from_handler);
	CHECK(trail.begin < STELE_TRAIL_END);
}

static void trail_gives_what_the_walk_gives(void)
{
	uint64_t before = repeated, recalled_before = recalled;

	memset(&trail, 0, sizeof(trail));
	stack_count = 0;
	call_from_two_places(50);
	for (uint32_t i = 0; i < 64; i++) {
		descend_from(6, i);
		variable(i % 5);
		realigned(i % 3);
		recurse(i % 11, i);
	}
	CHECK(repeated - before >= 100);
	CHECK(recalled - recalled_before >= 100);
	printf("# %lu recalled\n", (unsigned long)(recalled - recalled_before));
	check_agreement();
}

/* Deeper than the trail is long, and then less so. */
static void trail_is_shorter_than_the_stack(void)
{
	recurse(STELE_TRAIL_END + 20, 1);
	compared = differing = 0; /* the reference has room for 128 frames only */
	recurse(10, 1);
	recurse(10, 1);
	check_agreement();
}

/* A register that holds anything is no part of a state unless a frame further out needs it. */
static void trail_ignores_the_frame_pointer_where_it_is_none(void)
{
	struct stele_unwind_start start = stele__unwind_start();
	struct stele_unwind_result r;
	uint64_t pcs[FRAMES_MAX];

	memset(&trail, 0, sizeof(trail));
	r = stele__unwind(&start, &bounds, pcs, FRAMES_MAX, &trail);
	CHECK(r.kept);
	trail.value = 7;
	if (trail.frames[trail.begin].flags & STELE_TRAIL_NEEDS_FP)
		SKIP("the callers of this test use their frame pointers");
	start.fp = 12345;
	CHECK(stele__unwind(&start, &bounds, pcs, FRAMES_MAX, &trail).same);
}

static void trail_is_void_when_a_module_goes(void)
{
	struct stele_trail_site *first = (void *)sites[0];
	struct stele_unwind_start start = stele__unwind_start();
	uint64_t pcs[FRAMES_MAX];

	memset(&trail, 0, sizeof(trail));
	CHECK(stele__unwind(&start, &bounds, pcs, FRAMES_MAX, &trail).kept);
	trail.value = 7;
	CHECK(stele__unwind(&start, &bounds, pcs, FRAMES_MAX, &trail).same);
	memset(&sites[0], 0, sizeof(sites[0]));
	CHECK(!stele__trail_recalls(first, &start, bounds.high));
	stele__trail_remember(first, SITE_BYTES, &trail);
	CHECK(stele__trail_recalls(first, &start, bounds.high));
	CHECK(!stele__trail_recalls(first, &start, bounds.high + 16));
	start.sp += 16;
	CHECK(!stele__trail_recalls(first, &start, bounds.high));
	start.sp -= 16;
	stele__module_remove(1, 2);
	CHECK(!stele__trail_recalls(first, &start, bounds.high));
	CHECK(!stele__unwind(&start, &bounds, pcs, FRAMES_MAX, &trail).same);
}

/* Of so many walks that come in turn to one pair: how many of the last hundred were not there? */
static unsigned pair_misses(unsigned walks)
{
	struct stele_trail_site *pair[2] = {(void *)sites[0], (void *)sites[1]};
	unsigned misses = 0;
	uint32_t chance = 0;

	/* Both hold what nothing comes back to. */
	pair[0]->value = pair[1]->value = 1;
	pair[0]->sp = pair[1]->sp = UINTPTR_MAX;
	for (unsigned turn = 0; turn < 1000; turn++) {
		uintptr_t sp = turn % walks;

		if (pair[0]->sp == sp || pair[1]->sp == sp)
			continue;
		misses += turn >= 900;
		stele__trail_replaced(pair[0], pair[1], &chance)->sp = sp;
	}
	memset(sites, 0, sizeof(sites));
	return misses;
}

/* Two walks replaced each other at every call, beside one that was long gone. */
static void trail_sites_of_a_pair_do_not_replace_each_other_for_ever(void)
{
	CHECK_EQ(pair_misses(1), 0);
	CHECK_EQ(pair_misses(2), 0);
	CHECK(pair_misses(3) < 90);
}

/* Unwind data that are no longer mapped end the walk; they do not end the process. */
static void row_of_a_module_that_has_gone_is_none(void)
{
	size_t bytes = 64 << 10;
	char byte;
	char *gone = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct stele_code_range range = {.start = (uintptr_t)gone,
					 .end = (uintptr_t)gone + bytes,
					 .code = STELE_CODE_PROGRAM,
					 .eh_frame_hdr = (uintptr_t)gone + 16,
					 .data_start = (uintptr_t)gone,
					 .data_end = (uintptr_t)gone + bytes};

	CHECK(gone != MAP_FAILED);
	if (stele__sys_read_memory(&byte, gone, 1) < 0)
		SKIP("the kernel does not read memory for its owner here");
	munmap(gone, bytes);
	stele__module_add(&range);
	CHECK_EQ(stele__row_find((uintptr_t)gone + 100, stele__module_generation()), 0);
	stele__module_remove(range.start, range.end);
}

/* What is read by the kernel's hand is what is read directly. */
static void guarded_rows_equal_direct_ones(void)
{
	uintptr_t begin = (uintptr_t)&compare_here & ~(uintptr_t)4095;
	struct stele_code_range range;
	unsigned rows = 0;

	CHECK(stele__module_find((uintptr_t)&compare_here, &range));
	for (uintptr_t pc = begin; pc < begin + 4096; pc++) {
		struct stele_code_range guarded = range;
		stele_row_bits direct = stele__cfi_row_in(pc, &range);

		guarded.stays = false;
		CHECK_EQ(stele__cfi_row_in(pc, &guarded), direct);
		rows += direct != 0;
	}
	CHECK(rows > 1000);
}

/* The linker's answer of a moment: what it says of a pc changes while the row is computed. */
static unsigned asked;
static struct stele_code_range told;

static int answer_once(void *pc, void *ret_object)
{
	struct {
		unsigned long long flags;
		void *start, *end, *map, *eh_frame;
	} *object = ret_object;

	(void)pc;
	object->start = (void *)told.data_start;
	object->end = (void *)told.data_end;
	object->map = (void *)(uintptr_t)(1 + asked++); /* another module each time */
	object->eh_frame = (void *)told.eh_frame_hdr;
	return 0;
}

static void row_of_a_module_replaced_meanwhile_is_none(void)
{
	uintptr_t pc = (uintptr_t)&compare_here + 8;
	uint32_t generation;

	CHECK(stele__module_find(pc, &told));
	CHECK(stele__cfi_row(pc) != 0);
	stele__module_remove(told.start, told.end);
	stele__module_ask(answer_once);
	CHECK_EQ(stele__cfi_row(pc), 0);
	CHECK(asked >= 2);
	stele__module_ask(NULL);
	CHECK(stele__module_add(&told));

	/* While something is being unloaded, rows are right but not kept. */
	stele__module_unloading_begin();
	generation = stele__module_generation();
	CHECK(stele__row_find(pc, generation) != 0);
	told.eh_frame_hdr = 0; /* the same address, with nothing known of it */
	stele__module_remove(told.start, told.end);
	CHECK(stele__module_add(&told));
	CHECK_EQ(stele__row_find(pc, generation), 0);
	stele__module_unloading_end();
	CHECK(!stele__module_is_settled(generation));
	stele__module_remove(told.start, told.end);
	modules_add();
}

/* A generation's rows must not come back when its number has grown by a power of two. */
static void rows_of_old_generations_stay_old(void)
{
	struct stele_row_set *set = stele__row_sets;
	uintptr_t pc = (uintptr_t)&compare_here + 8;
	uint32_t generation = stele__module_generation();
	stele_row_bits bits = stele__row_find(pc, generation);
	unsigned found = 0;

	for (unsigned shift = 1; shift < 32; shift++) {
		uint64_t key = stele__row_key(pc, generation + (1u << shift));

		for (unsigned i = 0; i < sizeof(stele__row_sets) / sizeof(*set); i++)
			for (unsigned way = 0; way < STELE_ROW_WAYS; way++)
				found += stele__row_read(&set[i].cells[way], key, &bits) && bits;
	}
	CHECK_EQ(found, 0);
}

static void trail_of_an_interrupted_walk_is_kept_from_its_handlers(void)
{
	struct stele_unwind_start start = stele__unwind_start();

	CHECK(stele__trail_enter(&walker, start.sp));
	CHECK(!stele__trail_enter(&walker, start.sp - 4096));
	/* From further out: whoever had it was left by a jump. */
	CHECK(stele__trail_enter(&walker, start.sp + 64));
	stele__trail_leave(&walker);
	CHECK(stele__trail_enter(&walker, start.sp - 4096));
	stele__trail_leave(&walker);
}

static void walk_leaves_the_alternate_stack(void)
{
	static char space[65536];
	stack_t alternate = {.ss_sp = space, .ss_size = sizeof(space)};
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};

	NEED_KNOWN_RESTORER();
	sigaltstack(&alternate, NULL);
	sigaction(SIGUSR2, &action, NULL);
	recurse(3, 1);
	raise(SIGUSR2);
	alternate.ss_flags = SS_DISABLE;
	sigaltstack(&alternate, NULL);
	check_agreement();
}

static void *thread_run(void *arg)
{
	struct stele_stack_bounds saved = bounds;

	set_bounds();
	recurse(5, 2);
	bounds = saved;
	return arg;
}

static void walk_ends_where_a_thread_begins(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, thread_run, NULL);
	pthread_join(thread, NULL);
	check_agreement();
}

static __attribute__((noinline)) struct stele_unwind_result
walk_with(const struct stele_stack_bounds *within, uint64_t *pcs, uint32_t max)
{
	struct stele_unwind_start start = stele__unwind_start();

	return stele__unwind(&start, within, pcs, max, NULL);
}

static void walk_of_an_unknown_stack_has_one_frame(void)
{
	struct stele_stack_bounds none = {0, 0};
	uint64_t pcs[8];
	struct stele_unwind_result r = walk_with(&none, pcs, 8);

	CHECK_EQ(r.frames, 1);
	CHECK(r.broken);
}

static void walk_marks_truncation(void)
{
	uint64_t pcs[2];
	struct stele_unwind_result r = walk_with(&bounds, pcs, 2);

	CHECK_EQ(r.frames, 2);
	CHECK(r.truncated);
	CHECK(!r.broken);
}

static void walk_survives_any_registers(void)
{
	uint64_t pcs[32];
	uint64_t seed = 88172645463325252ull;

	for (int i = 0; i < 200000; i++) {
		struct stele_unwind_start start = {0};

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		start.pc = (uintptr_t)&walk_survives_any_registers + seed % 200000 - 100000;
		start.sp = bounds.high - (seed >> 20) % 20000;
		start.fp = seed & 1 ? bounds.high - (seed >> 30) % 20000 : (uintptr_t)seed;
		start.own = seed & 2;
		start.interrupted = seed & 4;
		start.link = seed & 8 ? (uintptr_t)(seed >> 3) : 0;
		stele__unwind(&start, &bounds, pcs, 32, NULL);
	}
	CHECK(true);
}

int main(int argc, char **argv)
{
	static const struct tap_test tests[] = {
		TEST(walk_equals_libgcc_without_frame_pointers),
		TEST(walk_passes_realigned_frames),
		TEST(walk_passes_alloca),
		TEST(walk_passes_libc),
		TEST(walk_passes_a_signal_frame),
		TEST(walk_is_right_at_any_instruction),
		TEST(trail_gives_what_the_walk_gives),
		TEST(trail_sees_frame_pointers_move),
		TEST(trail_does_not_keep_walks_through_signals),
		TEST(trail_is_shorter_than_the_stack),
		TEST(trail_ignores_the_frame_pointer_where_it_is_none),
		TEST(trail_is_void_when_a_module_goes),
		TEST(trail_sites_of_a_pair_do_not_replace_each_other_for_ever),
		TEST(row_of_a_module_that_has_gone_is_none),
		TEST(guarded_rows_equal_direct_ones),
		TEST(row_of_a_module_replaced_meanwhile_is_none),
		TEST(rows_of_old_generations_stay_old),
		TEST(trail_of_an_interrupted_walk_is_kept_from_its_handlers),
		TEST(walk_leaves_the_alternate_stack),
		TEST(walk_ends_where_a_thread_begins),
		TEST(walk_of_an_unknown_stack_has_one_frame),
		TEST(walk_marks_truncation),
		TEST(walk_survives_any_registers),
	};

	modules_add();
	set_bounds();
	return tap_run(tests, sizeof(tests) / sizeof(tests[0]), argc > 1 ? argv[1] : NULL);
}
