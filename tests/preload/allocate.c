/* SPDX-License-Identifier: MIT */
/*
 * Programs at the edges of allocators. Each prints what it found; under stele record --heap it must
 * print the same, and the trace must hold each object's alloc and free once.
 *
 *	allocate NAME [COUNT]
 *
 * `count` prints on stderr how many objects it allocated and freed.
 */
#include <dlfcn.h>
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE	4096u
#define THREADS 4

static unsigned long allocs, frees;

static void *took(void *p)
{
	if (!p)
		abort();
	__atomic_add_fetch(&allocs, 1, __ATOMIC_RELAXED);
	return p;
}

static void give(void *p)
{
	__atomic_add_fetch(&frees, 1, __ATOMIC_RELAXED);
	free(p);
}

/* Every way to get an object, `count` times; a realloc is a free and an alloc. */
static void count_all(long count)
{
	for (long i = 0; i < count; i++) {
		size_t n = 1 + (size_t)i % 3000;
		void *p = took(malloc(n)), *q = NULL;

		for (size_t more = 1; more < 5; more++) {
			frees++;
			p = took(realloc(p, n * more * more));
		}
		frees++;
		p = took(reallocarray(p, n, 2));
		give(p);
		give(took(calloc(n, 3)));
		give(took(aligned_alloc(64, 64 * n)));
		give(took(memalign(128, n)));
		give(took(valloc(n)));
		if (posix_memalign(&q, 4096, n) != 0)
			abort();
		give(took(q));
		give(took(realloc(NULL, n)));
		give(took(malloc(0)));
		free(NULL);
	}
}

static void count_program(long count)
{
	count_all(count);
	fprintf(stderr, "%lu %lu\n", allocs, frees);
}

/* Results and errno of what fails and of what is empty. */
static void edges(long count)
{
	volatile size_t huge = SIZE_MAX / 2 + 10, large = (size_t)1 << 46;
	void *p = malloc(100), *q = NULL, *zero = malloc(0);
	void *volatile kept = p; /* the compiler knows too much of realloc */

	(void)count;
	strcpy(p, "kept");
	errno = 0;
	printf("%d", malloc(huge) == NULL);
	printf(" %d", errno);
	errno = 0;
	printf(" %d", realloc(p, huge) == NULL);
	printf(" %d %s", errno, (char *)p);
	errno = 0;
	q = realloc(kept, large); /* some allocators reserve as much */
	kept = p = q ? q : p;
	printf(" %d", q == NULL);
	printf(" %d %s", errno, (char *)p);
	errno = 0;
	q = reallocarray(kept, huge, 8);
	printf(" %d", q == NULL);
	printf(" %d %s", errno, (char *)p);
	errno = 0;
	printf(" %d", calloc(huge, huge) == NULL);
	printf(" %d", errno);
	errno = 55;
	printf(" %d %d", posix_memalign(&q, 3, 10), q == NULL);
	printf(" %d", errno);
	free(p);
	printf(" %d %d\n", errno, zero != NULL);
	free(zero);
	p = aligned_alloc(4096, 4096);
	printf("%d", (int)((uintptr_t)p % 4096));
	free(p);
	p = pvalloc(1); /* not freed: some allocators leave it to libc's */
	printf(" %d", (int)((uintptr_t)p % 4096));
	p = malloc(10);
	p = realloc(p, 0); /* gone, or an empty object: as this allocator likes */
	printf(" %d\n", p == NULL);
	free(p);
}

struct passing {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	void *objects[64];
	unsigned count;
	long left;
};

static struct passing passing = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, {0}, 0, 0};

static void *passing_make(void *argument)
{
	for (long i = *(long *)argument; i > 0; i--) {
		void *p = malloc(1 + (size_t)i % 500);

		pthread_mutex_lock(&passing.lock);
		while (passing.count == 64)
			pthread_cond_wait(&passing.changed, &passing.lock);
		passing.objects[passing.count++] = p;
		pthread_cond_broadcast(&passing.changed);
		pthread_mutex_unlock(&passing.lock);
	}
	return NULL;
}

static void *passing_free(void *argument)
{
	for (long i = *(long *)argument; i > 0; i--) {
		void *p;

		pthread_mutex_lock(&passing.lock);
		while (passing.count == 0)
			pthread_cond_wait(&passing.changed, &passing.lock);
		p = passing.objects[--passing.count];
		pthread_cond_broadcast(&passing.changed);
		pthread_mutex_unlock(&passing.lock);
		free(p);
	}
	return NULL;
}

/* Objects are freed by other threads than made them. */
static void pass(long count)
{
	pthread_t threads[2 * THREADS];

	for (int i = 0; i < 2 * THREADS; i++)
		pthread_create(&threads[i], NULL, i % 2 ? passing_free : passing_make, &count);
	for (int i = 0; i < 2 * THREADS; i++)
		pthread_join(threads[i], NULL);
	printf("%u\n", passing.count);
}

/* Without any synchronisation but one word: the shortest way from a malloc to a free elsewhere. */
static void *handed;

static void *hand_free(void *argument)
{
	for (long i = *(long *)argument; i > 0; i--) {
		void *p;

		while (!(p = __atomic_exchange_n(&handed, NULL, __ATOMIC_ACQ_REL)))
			sched_yield();
		free(p);
	}
	return NULL;
}

static void hand(long count)
{
	pthread_t thread;

	pthread_create(&thread, NULL, hand_free, &count);
	for (long i = 0; i < count; i++) {
		void *p = malloc(32);

		while (__atomic_load_n(&handed, __ATOMIC_ACQUIRE))
			sched_yield();
		__atomic_store_n(&handed, p, __ATOMIC_RELEASE);
	}
	pthread_join(thread, NULL);
	puts("handed");
}

static pthread_key_t key;

static void key_destructor(void *value)
{
	free(value);
	free(malloc(77));
}

static void *key_thread(void *argument)
{
	pthread_setspecific(key, malloc(33));
	free(malloc(10));
	return argument;
}

static void destructors(long count)
{
	pthread_key_create(&key, key_destructor);
	for (long i = 0; i < count; i++) {
		pthread_t thread;

		pthread_create(&thread, NULL, key_thread, NULL);
		pthread_join(thread, NULL);
	}
	puts("destroyed");
}

/* A handler that allocates, on a stack of its own: legal while the main program does not. */
static void handler(int number)
{
	(void)number;
	free(realloc(malloc(10), 20));
}

static void signals(long count)
{
	static char alternate[64 << 10];
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &action, NULL);
	for (long i = 0; i < count; i++) {
		void *p = malloc(5);

		raise(SIGUSR1);
		free(p);
	}
	puts("handled");
}

/* The child frees its parent's objects and makes its own; nothing of it is in the trace. */
static void forks(long count)
{
	for (long i = 0; i < count; i++) {
		void *p = malloc(100);
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			free(p);
			free(malloc(1000));
			_exit(7);
		}
		waitpid(pid, &status, 0);
		free(p);
		if (WEXITSTATUS(status) != 7)
			abort();
	}
	puts("forked");
}

/* Mappings lose their ends, their middles, are mapped over, moved, and fail to be. */
static void maps(long count)
{
	for (long i = 0; i < count; i++) {
		int flags = MAP_PRIVATE | MAP_ANONYMOUS, access = PROT_READ | PROT_WRITE;
		char *p = mmap(NULL, 16 * PAGE, access, flags, -1, 0), *q;

		munmap(p, PAGE);
		munmap(p + 15 * PAGE, PAGE);
		munmap(p + 7 * PAGE, 2 * PAGE);
		if (mmap(p + 4 * PAGE, PAGE, access, flags | MAP_FIXED, -1, 0) != p + 4 * PAGE)
			abort();
		if (mmap(p + 4 * PAGE, PAGE, access, MAP_PRIVATE | MAP_FIXED, -1, 0) != MAP_FAILED)
			abort();
		q = mremap(p + 10 * PAGE, 2 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
		if (q == MAP_FAILED || munmap(p + 1, PAGE) == 0 || munmap(p, 0) == 0)
			abort();
		munmap(q, 64 * PAGE);
		munmap(p, 16 * PAGE);
		munmap(p, 16 * PAGE);
	}
	puts("mapped");
}

/* What dlerror, dlopen and atexit hold came from malloc in libc and the dynamic linker. */
static void at_exit(void)
{
	free(malloc(123));
}

static void loads(long count)
{
	for (long i = 0; i < count; i++) {
		void *library = dlopen("libm.so.6", RTLD_NOW);

		if (dlopen("does-not-exist.so", RTLD_NOW) || !dlerror() || !library)
			abort();
		dlsym(library, "no such name");
		dlerror();
		dlclose(library);
	}
	atexit(at_exit);
	puts("loaded");
}

static void exec_again(long count)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", count - 1);
	free(malloc(1000));
	mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (count > 0)
		execl("/proc/self/exe", "allocate", "exec", text, NULL);
	puts("executed");
}

static const struct {
	const char *name;
	void (*run)(long);
} programs[] = {
	{"count", count_program},
	{"edges", edges},
	{"pass", pass},
	{"hand", hand},
	{"destructors", destructors},
	{"signals", signals},
	{"fork", forks},
	{"map", maps},
	{"load", loads},
	{"exec", exec_again},
};

/* Allocates before main, and before other constructors. */
static void *before;

__attribute__((constructor(101))) static void early(void)
{
	before = malloc(99);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(programs) / sizeof(programs[0]); i++) {
		if (strcmp(programs[i].name, argv[1]) == 0) {
			programs[i].run(argc > 2 ? atol(argv[2]) : 10);
			free(before);
			return 0;
		}
	}
	return 2;
}
