/* SPDX-License-Identifier: MIT */
/*
 * The same claim for what the preload modules put in the place of libc's functions: allocators,
 * mappings, waits and system calls. They are linked into this very program, so that every
 * instruction can be reached, of libc's functions, too.
 */
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "preload/file.h"
#include "preload/heap.h"
#include "preload/preload.h"
#include "stress/inject.h"

#ifndef STEPPED_POSSIBLE

int main(void)
{
	printf("1..0 # SKIP single-stepping needs plain x86-64 code\n");
	return 0;
}

#else

uint64_t __wrap_stele__sys_signals_block(void);

/* The kernel ends a process that traps while it blocks the trap. */
uint64_t __wrap_stele__sys_signals_block(void)
{
	uint64_t most = ~(1ull << (SIGTRAP - 1)), before = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, &most, &before, sizeof(before));
	return before;
}

static void *volatile memory;
static pthread_mutex_t held = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER;
static sem_t empty;
static int zero; /* a descriptor of /dev/zero */
static const struct timespec soon = {0, 1}, past = {1, 0};

OPERATION(malloc, memory = malloc(48); free(memory))
OPERATION(calloc, memory = calloc(3, 16); free(memory))
OPERATION(realloc, memory = malloc(16); memory = realloc(memory, 4096); free(memory))
OPERATION(memalign, memory = aligned_alloc(64, 128); free(memory))
OPERATION(mmap, memory = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	  munmap(memory, 8192))
OPERATION(sleep, nanosleep(&soon, NULL))
OPERATION(lock, pthread_mutex_timedlock(&held, &past))
OPERATION(semaphore, sem_timedwait(&empty, &past))
OPERATION(condition, pthread_cond_timedwait(&never, &held, &past))
OPERATION(read, char byte; stele__file_forget(zero); if (read(zero, &byte, 1) != 1) abort())

static const struct operation operations[] = {
	{"malloc", op_malloc, {STELE_KIND_OBJECT_ALLOC, STELE_KIND_OBJECT_FREE}, false},
	{"calloc", op_calloc, {STELE_KIND_OBJECT_ALLOC, STELE_KIND_OBJECT_FREE}, false},
	{"realloc",
	 op_realloc,
	 {STELE_KIND_OBJECT_ALLOC, STELE_KIND_OBJECT_FREE, STELE_KIND_OBJECT_ALLOC,
	  STELE_KIND_OBJECT_FREE},
	 false},
	{"aligned_alloc", op_memalign, {STELE_KIND_OBJECT_ALLOC, STELE_KIND_OBJECT_FREE}, false},
	{"mmap", op_mmap, {STELE_KIND_SPAN_ALLOC, STELE_KIND_SPAN_FREE}, false},
	{"nanosleep", op_sleep, {STELE_KIND_GO_BLOCK, STELE_KIND_GO_WAKE}, false},
	{"pthread_mutex_timedlock", op_lock, {STELE_KIND_GO_BLOCK, STELE_KIND_GO_WAKE}, false},
	{"sem_timedwait", op_semaphore, {STELE_KIND_GO_BLOCK, STELE_KIND_GO_WAKE}, false},
	/* The mutex has been waited for, or may have been: glibc's word says no more. */
	{"pthread_cond_timedwait",
	 op_condition,
	 {STELE_KIND_RELEASE, STELE_KIND_GO_BLOCK, STELE_KIND_GO_WAKE},
	 false},
	{"read",
	 op_read,
	 {STELE_KIND_FILE, STELE_KIND_SYSCALL_BEGIN, STELE_KIND_SYSCALL_END},
	 false},
};

int main(void)
{
	/* Small pieces that pile up would be gone through one day, in one long call. */
	mallopt(M_MXFAST, 0);
	zero = open("/dev/zero", O_RDONLY);
	sem_init(&empty, 0, 0);
	pthread_mutex_lock(&held);
	inject_arena();
	stele__heap_start();
	return inject_all(operations, STELE_ARRAY_LENGTH(operations), false);
}

#endif
