/* SPDX-License-Identifier: MIT */
/* The walk, frame by frame against libgcc's. Built without frame pointers (meson.build). */
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>
#include <unwind.h>

#include "support/tap.h"
#include "unwind/module.h"
#include "unwind/unwind.h"

#define FRAMES_MAX 128

struct reference {
	uint64_t pcs[FRAMES_MAX];
	uint32_t frames;
};

static uint64_t compared, differing;
static struct stele_stack_bounds bounds;

/* The modules of the process, as the recorder learns them. */
static int add_module(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct stele_code_range range = {.code = STELE_CODE_PROGRAM};

	(void)size;
	(void)arg;
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			range.eh_frame_hdr = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && range.eh_frame_hdr - start < p->p_filesz) {
			range.data_start = start;
			range.data_end = start + p->p_filesz;
		}
	}
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type == PT_LOAD && (p->p_flags & PF_X)) {
			range.start = info->dlpi_addr + p->p_vaddr;
			range.end = range.start + p->p_memsz;
			stele__module_add(&range);
		}
	}
	return 0;
}

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

/*
 * Both walks from here. libgcc's begins in this function, at another pc; from the caller on they
 * must be equal. Returns the number of frames.
 */
static __attribute__((noinline)) uint32_t compare_here(void)
{
	struct stele_unwind_start start = stele__unwind_start();
	struct reference want = {.frames = 0};
	uint64_t pcs[FRAMES_MAX];
	struct stele_unwind_result got = stele__unwind(&start, &bounds, pcs, FRAMES_MAX);

	_Unwind_Backtrace(reference_frame, &want);
	if (want.frames - 1 != got.frames || got.broken)
		differing++;
	for (uint32_t i = 0; i < got.frames && i + 1 < want.frames; i++) {
		compared++;
		differing += pcs[i] != want.pcs[i + 1];
	}
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
	printf("# %lu frames compared, %lu differ\n", (unsigned long)compared,
	       (unsigned long)differing);
	compared = differing = 0;
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

	return stele__unwind(&start, within, pcs, max);
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
		struct stele_unwind_start start;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		start.pc = (uintptr_t)&walk_survives_any_registers + seed % 200000 - 100000;
		start.sp = bounds.high - (seed >> 20) % 20000;
		start.fp = seed & 1 ? bounds.high - (seed >> 30) % 20000 : (uintptr_t)seed;
		start.own = seed & 2;
		stele__unwind(&start, &bounds, pcs, 32);
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
		TEST(walk_leaves_the_alternate_stack),
		TEST(walk_ends_where_a_thread_begins),
		TEST(walk_of_an_unknown_stack_has_one_frame),
		TEST(walk_marks_truncation),
		TEST(walk_survives_any_registers),
	};

	dl_iterate_phdr(add_module, NULL);
	set_bounds();
	return tap_run(tests, sizeof(tests) / sizeof(tests[0]), argc > 1 ? argv[1] : NULL);
}
