/* SPDX-License-Identifier: MIT */
/*
 * Finding the real functions. dlsym takes the dynamic linker's lock and, for a name that nobody
 * has, memory; so all names are looked up at start, in ordinary context, and a wrapper that is
 * called earlier looks up its own.
 */
#include "preload/resolve.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * The versions that every glibc has. They moved from libdl to libc in 2.34 and got a new version
 * there; a reference to the old one is bound in either. dlsym itself cannot be referred to: we
 * interpose it.
 */
#if defined(__x86_64__)
#define OLDEST "GLIBC_2.2.5"
#elif defined(__aarch64__)
#define OLDEST "GLIBC_2.17"
#endif
__asm__(".symver dlerror, dlerror@" OLDEST);
__asm__(".symver dlvsym, dlvsym@" OLDEST);
#if defined(__x86_64__)
__asm__(".symver dladdr, dladdr@" OLDEST);
#endif

typedef void *resolve_dlsym_fn(void *handle, const char *name);
typedef void *resolve_dlopen_fn(const char *path, int mode);

void *stele__reals[STELE__REAL_COUNT];

static int missing_CODE(void)
{
	return ENOSYS;
}

static long missing_ERRNO(void)
{
	errno = ENOSYS;
	return -1;
}

static int missing_NEGATIVE(void)
{
	return -ENOSYS;
}

static void *missing_NOTHING(void)
{
	errno = ENOMEM;
	return NULL;
}

static void *missing_MAP(void)
{
	errno = ENOSYS;
	return (void *)-1; /* MAP_FAILED */
}

static void *missing_SIZE(size_t n)
{
	return STELE_REAL(malloc)(n);
}

static void missing_POINTER(void *p)
{
	STELE_REAL(free)(p);
}

struct resolve_name {
	const char *name;
	const char *version;
	void *missing;
	bool late; /* looked for when it is first called, and not at start */
};

static const struct resolve_name names[STELE__REAL_COUNT] = {
#define CALL(type, name, params, args, number, fd)                                                 \
	[STELE_REAL_##name] = {#name, "", (void *)missing_ERRNO},
#define PLAIN(type, name, params, args, number, argument)                                          \
	[STELE_REAL_##name] = {#name, "", (void *)missing_ERRNO},
#define WAIT(type, name, params, args, why, object)                                                \
	[STELE_REAL_##name] = {#name, "", (void *)missing_ERRNO},
#include "preload/calls.def"
#undef CALL
#undef PLAIN
#undef WAIT
#define REAL(name, version, missing)                                                               \
	[STELE_REAL_##name] = {#name, version, (void *)missing_##missing},
#define OTHER(name, missing) [STELE_REAL_##name] = {#name, "", (void *)missing_##missing, true},
#include "preload/reals.def"
#undef REAL
#undef OTHER
#define ALLOC(name, params, args, bytes, missing)                                                  \
	[STELE_REAL_##name] = {#name, "", (void *)missing_##missing, true},
#define FREE(name, params, args, missing)                                                          \
	[STELE_REAL_##name] = {#name, "", (void *)missing_##missing, true},
#define OTHER(name, missing) [STELE_REAL_##name] = {#name, "", (void *)missing_##missing, true},
#include "preload/heap.def"
#undef ALLOC
#undef FREE
#undef OTHER
};

/*
 * dlvsym does not see another preload's function, which has no version: where the next definition
 * is not in libc itself, it is the one to be called.
 */
static void *resolve_version(void *found, const char *name, const char *version)
{
#if defined(__x86_64__)
	Dl_info next, exact;
	void *versioned = version[0] ? dlvsym(RTLD_NEXT, name, version) : NULL;

	if (versioned && dladdr(found, &next) && dladdr(versioned, &exact) &&
	    next.dli_fbase == exact.dli_fbase)
		return versioned;
#else
	(void)name;
	(void)version;
#endif
	return found;
}

/* libc's dlsym, called from here: RTLD_NEXT is what follows us. */
static void *resolve_by(void *scope, const char *name)
{
	static resolve_dlsym_fn *libc_dlsym;
	resolve_dlsym_fn *find = stele__load_relaxed(&libc_dlsym);

	if (!find) {
		find = (resolve_dlsym_fn *)dlvsym(RTLD_NEXT, "dlsym", OLDEST);
		stele__store_relaxed(&libc_dlsym, find);
	}
	return find ? find(scope, name) : NULL;
}

/*
 * A plugin can bring libpthread (before glibc 2.34) or libstdc++ into a program that was not linked
 * with it, where RTLD_NEXT does not look.
 */
static void *resolve_in_library(const char *name)
{
	resolve_dlopen_fn *libc_dlopen = (resolve_dlopen_fn *)dlvsym(RTLD_NEXT, "dlopen", OLDEST);
	const char *path = strncmp(name, "_Z", 2) == 0 ? "libstdc++.so.6"
			   : strstr(name, "io_uring")  ? "liburing.so.2"
						       : "libpthread.so.0";
	void *library = libc_dlopen ? libc_dlopen(path, RTLD_LAZY | RTLD_NOLOAD) : NULL;

	return library ? resolve_by(library, name) : NULL;
}

/* A miss is not kept: the function may come with a library. */
void *stele__resolve(enum stele_real which)
{
	const struct resolve_name *wanted = &names[which];
	int saved_errno = errno;
	void *found = resolve_by(RTLD_NEXT, wanted->name);

	if (found)
		found = resolve_version(found, wanted->name, wanted->version);
	else
		found = resolve_in_library(wanted->name);
	stele__store_relaxed(&stele__reals[which], found);
	errno = saved_errno;
	return found ? found : wanted->missing;
}

/* A plugin may bring its own, which only it and what it needs can see. */
void *stele__resolve_for(enum stele_real which, const void *caller)
{
	void *found = stele__real(which);
	resolve_dlopen_fn *libc_dlopen;
	int saved_errno = errno;
	void *library, *theirs;
	Dl_info module;

	if (found != names[which].missing)
		return found;
	libc_dlopen = (resolve_dlopen_fn *)dlvsym(RTLD_NEXT, "dlopen", OLDEST);
	library = libc_dlopen && dladdr(caller, &module)
			  ? libc_dlopen(module.dli_fname, RTLD_LAZY | RTLD_NOLOAD)
			  : NULL;
	theirs = library ? resolve_by(library, names[which].name) : NULL;
	if (theirs)
		stele__store_relaxed(&stele__reals[which], theirs);
	errno = saved_errno;
	return theirs ? theirs : found;
}

/* By the default scope: the program may hold libc's variable in a copy of its own. */
const void *stele__resolve_data(const char *name)
{
	return resolve_by(RTLD_DEFAULT, name);
}

bool stele__resolve_is_libc(enum stele_real which)
{
	return stele__real(which) == dlvsym(RTLD_NEXT, names[which].name, OLDEST);
}

void stele__resolve_all(void)
{
	for (unsigned i = 0; i < STELE__REAL_COUNT; i++)
		if (!names[i].late)
			stele__real(i);
	dlerror(); /* our misses are not the program's */
}

stele__find_object_fn *stele__resolve_find_object(void)
{
	return (stele__find_object_fn *)dlvsym(RTLD_DEFAULT, "_dl_find_object", "GLIBC_2.35");
}
