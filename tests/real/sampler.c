/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into any program: at the ticks of a timer, wherever the program happens to be, walks
 *the stack with Stele's unwinder and with libunwind, and compares frame by frame. At the end of the
 * process, appends what it found to the file that UNWIND_SAMPLES names:
 *
 *	frames <equal> <compared> walks <equal> <all>
 *	differ <kind> <module of the innermost frame behind which they part>+<offset>
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>

#include "support/modules.h"
#include "unwind/unwind.h"

#define FRAMES_MAX	128
#define DIFFERENCES_MAX 64
#define INTERVAL_NS	997000
#define SIGNAL		(SIGRTMAX - 1) /* sort and others want SIGPROF for themselves */

enum difference { WE_END, THEY_END, ANOTHER_PC };

static struct {
	enum difference kind;
	uintptr_t pc;
} differences[DIFFERENCES_MAX];
static unsigned difference_count;
static unsigned long frames_equal, frames_compared, walks_equal, walks;
static timer_t timer;
static char path[4096]; /* as it was at the start: nginx clears its environment */
static int busy; /* one sample at a time: libunwind's first walk through a module takes locks */

static __thread struct stele_stack_bounds bounds __attribute__((tls_model("initial-exec")));

static void set_bounds(void)
{
	pthread_attr_t attr;
	size_t bytes;
	void *low;

	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		return;
	pthread_attr_getstack(&attr, &low, &bytes);
	pthread_attr_destroy(&attr);
	bounds = (struct stele_stack_bounds){(uintptr_t)low, (uintptr_t)low + bytes};
}

/* Behind the interrupted frame, as Stele has them: an address inside of each call. */
static uint32_t walk_by_libunwind(ucontext_t *context, uint64_t *pcs)
{
	unw_cursor_t cursor;
	uint32_t count = 0;

	if (unw_init_local2(&cursor, context, UNW_INIT_SIGNAL_FRAME) != 0)
		return 0;
	while (count < FRAMES_MAX && unw_step(&cursor) > 0) {
		unw_word_t pc = 0;

		unw_get_reg(&cursor, UNW_REG_IP, &pc);
		if (!pc)
			break;
		pcs[count++] = pc - (unw_is_signal_frame(&cursor) <= 0);
	}
	return count;
}

/* libgcc's, in none of its headers. */
struct dwarf_eh_bases {
	void *text, *data, *function;
};
const void *_Unwind_Find_FDE(void *pc, struct dwarf_eh_bases *bases);

/* By neither of the two that are compared. */
static bool has_unwind_table(uintptr_t pc)
{
	struct dwarf_eh_bases bases;

	return _Unwind_Find_FDE((void *)pc, &bases) != NULL;
}

/* Where code tells nothing (libgmp's assembly), a walk ends, and libunwind guesses. */
static void compare(const uint64_t *ours, uint32_t our_count, const uint64_t *theirs,
		    uint32_t their_count, uintptr_t pc)
{
	uint32_t most = our_count > their_count ? our_count : their_count;
	uint32_t same = 0;

	while (same < our_count && same < their_count && ours[same] == theirs[same])
		same++;
	if (same == our_count && !has_unwind_table(same ? ours[same - 1] : pc))
		most = same;
	walks++;
	walks_equal += same == most;
	frames_equal += same;
	frames_compared += most;
	if (same == most || difference_count == DIFFERENCES_MAX)
		return;
	differences[difference_count].kind = same == our_count	   ? WE_END
					     : same == their_count ? THEY_END
								   : ANOTHER_PC;
	differences[difference_count++].pc = same ? ours[same - 1] : pc;
}

static void on_tick(int number, siginfo_t *info, void *arg)
{
	ucontext_t *context = arg;
	uint64_t ours[FRAMES_MAX], theirs[FRAMES_MAX];
	struct stele_unwind_start start = {.own = true};
	uint32_t count;

	(void)number;
	(void)info;
	if (!bounds.high || __atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
		return;
	start.pc = (uintptr_t)context->uc_mcontext.gregs[REG_RIP];
	start.sp = (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
	start.fp = (uintptr_t)context->uc_mcontext.gregs[REG_RBP];
	count = stele__unwind(&start, &bounds, ours, FRAMES_MAX, NULL).frames;
	compare(ours, count, theirs, walk_by_libunwind(context, theirs), start.pc);
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

struct routine {
	void *(*run)(void *);
	void *arg;
};

static void *thread_run(void *arg)
{
	struct routine routine = *(struct routine *)arg;

	free(arg);
	set_bounds();
	return routine.run(routine.arg);
}

__attribute__((visibility("default"))) int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
		(__typeof__(real))dlsym(RTLD_NEXT, "pthread_create");
	struct routine *routine = malloc(sizeof(*routine));

	*routine = (struct routine){run, arg};
	return real(thread, attr, thread_run, routine);
}

__attribute__((constructor)) static void sampler_begin(void)
{
	struct sigaction action = {.sa_sigaction = on_tick, .sa_flags = SA_SIGINFO | SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGNAL};
	struct itimerspec rate = {{0, INTERVAL_NS}, {0, INTERVAL_NS}};

	snprintf(path, sizeof(path), "%s",
		 getenv("UNWIND_SAMPLES") ? getenv("UNWIND_SAMPLES") : "");
	modules_add();
	stele__module_ask((stele_find_object_fn *)dlsym(RTLD_DEFAULT, "_dl_find_object"));
	set_bounds();
	sigaction(SIGNAL, &action, NULL);
	if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &timer) == 0)
		timer_settime(timer, 0, &rate, NULL);
}

__attribute__((destructor)) static void sampler_end(void)
{
	static const char *const kinds[] = {"we-end", "they-end", "another-pc"};
	int fd = path[0] ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

	signal(SIGNAL, SIG_IGN);
	dprintf(fd, "frames %lu %lu walks %lu %lu\n", frames_equal, frames_compared, walks_equal,
		walks);
	for (unsigned i = 0; i < difference_count; i++) {
		Dl_info where = {.dli_fname = "?"};
		const char *slash;

		dladdr((void *)differences[i].pc, &where);
		slash = strrchr(where.dli_fname, '/');
		dprintf(fd, "differ %s %s+0x%lx %s\n", kinds[differences[i].kind],
			slash ? slash + 1 : where.dli_fname,
			differences[i].pc - (uintptr_t)where.dli_fbase,
			where.dli_sname ? where.dli_sname : "");
	}
}
