/* SPDX-License-Identifier: MIT */
/*
 * Modules that come and go. A closed one is noted when dlclose returns. An opened one cannot be:
 * dlopen must be reached by a jump (passage.S) and returns past us. So it only leaves word, and the
 * next call that no signal handler may make looks for what has come: dlsym, which follows a dlopen
 * as a rule, another dlopen, a thread's creation or join, a condition wait, and the exit.
 */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>

#include "preload/preload.h"
#include "preload/resolve.h"

/* How often to look after a dlopen: it may still be at work in its own thread when another one
 * looks, and nobody tells when it is done. Looking costs 0.1 µs. */
#define LOOKS 64

uint32_t stele__loader_pending; /* looks left; a lost decrement costs a look */

static uint64_t loader_adds; /* of the linker, at the last look */
static uint64_t loader_subs;

/* passage.S: what to jump to. */
void *stele__loader_dlopen(void);
void *stele__loader_dlmopen(void);
void *stele__loader_dlsym(void);

struct loader_count {
	uint64_t adds;
	uint64_t subs;
};

static int loader_visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct loader_count *count = arg;

	(void)size;
	count->adds = info->dlpi_adds;
	count->subs = info->dlpi_subs;
	return 1;
}

static void loader_look(void)
{
	struct loader_count now = {0};
	bool unloaded;

	dl_iterate_phdr(loader_visit, &now);
	unloaded = now.subs != stele__load_relaxed(&loader_subs);
	if (!unloaded && now.adds == stele__load_relaxed(&loader_adds))
		return;
	stele__store_relaxed(&loader_adds, now.adds);
	stele__store_relaxed(&loader_subs, now.subs);
	stele_modules_changed(unloaded);
}

void stele__loader_catch_up_slow(void)
{
	int saved_errno = errno;
	uint32_t left = stele__load_relaxed(&stele__loader_pending);

	if (left)
		stele__store_relaxed(&stele__loader_pending, left - 1);
	loader_look();
	errno = saved_errno;
}

static void loader_opens(void)
{
	if (!stele__recording())
		return;
	stele__loader_catch_up();
	stele__store_relaxed(&stele__loader_pending, LOOKS);
}

void *stele__loader_dlopen(void)
{
	loader_opens();
	return (void *)STELE_REAL(dlopen);
}

void *stele__loader_dlmopen(void)
{
	loader_opens();
	return (void *)STELE_REAL(dlmopen);
}

void *stele__loader_dlsym(void)
{
	if (stele__recording())
		stele__loader_catch_up();
	return (void *)STELE_REAL(dlsym);
}

STELE_EXPORT int dlclose(void *handle)
{
	bool recording = stele__recording();
	int result;

	if (recording)
		stele_unloading_begin();
	result = STELE_REAL(dlclose)(handle);
	if (recording) {
		stele__loader_catch_up_slow();
		stele_unloading_end();
	}
	return result;
}

__attribute__((destructor)) static void loader_destructor(void)
{
	if (stele__recording())
		stele__loader_catch_up();
}
