/* SPDX-License-Identifier: MIT */
/*
 * Starting, once in a process image: the environment, the real functions, the arena.
 *
 * STELE_ARENA names the arena, STELE_DISABLE=1 keeps us off. What is recorded stands in the arena.
 * Both are ignored in a program that runs with somebody else's rights (AT_SECURE).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "preload/cpu.h"
#include "preload/heap.h"
#include "preload/preload.h"
#include "preload/resolve.h"
#include "stele/version.h"
#include "sys/sys.h"

uint32_t stele__preload_state;

/* One sentence on stderr, past stdio, which is the program's. */
static void init_complain(const char *why)
{
	static const char begin[] = "stele: not recording this program: ";
	char line[256];
	size_t bytes = strnlen(why, sizeof(line) - sizeof(begin));

	memcpy(line, begin, sizeof(begin) - 1);
	memcpy(line + sizeof(begin) - 1, why, bytes);
	line[sizeof(begin) - 1 + bytes] = '\n';
	stele__sys_write(STDERR_FILENO, line, sizeof(begin) + bytes);
}

/*
 * -errno is silent: a child of somebody else's recording (-ECHILD), or the supervisor has ended
 * and the arena with it (-ENOENT). What follows is worth a sentence, since recording was wanted.
 */
static void init_attach(const char *path)
{
	int error;

	stele_hide_module((const void *)&stele__preload_start);
	/* loader.c: no dlopen came before us. */
	stele_modules_watched(stele__resolve_find_object());
	error = stele_attach(path);
	if (error <= STELE_E_TRUNCATED)
		init_complain(stele_strerror(error));
}

static void init_run(void)
{
	const char *path = secure_getenv("STELE_ARENA");
	const char *disable = secure_getenv("STELE_DISABLE");

	stele__lock_start();
	stele__resolve_all();
	if (!path || (disable && strcmp(disable, "1") == 0))
		return;
	init_attach(path);
	if (!stele_enabled())
		return;
	stele__spawn_watch();
	stele__cpu_start();
	if (stele__heap_start)
		stele__heap_start();
}

void stele__preload_start(void)
{
	int saved_errno = errno;

	/* Some module's constructor runs before libc's own: too early for getenv, try again. */
	if (!environ)
		return;
	if (stele__cas_u32(&stele__preload_state, STELE_PRELOAD_UNUSED, STELE_PRELOAD_STARTING)) {
		init_run();
		stele__store_release(&stele__preload_state, STELE_PRELOAD_STARTED);
	}
	errno = saved_errno;
}

__attribute__((constructor(101))) static void init_constructor(void)
{
	stele__preload_start();
}
