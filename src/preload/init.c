/* SPDX-License-Identifier: MIT */
/*
 * Starting, once in a process image: the environment, the real functions, the arena.
 *
 * STELE_ARENA names the arena, STELE_DISABLE=1 keeps us off, STELE_OPTIONS leaves parts out. All
 * are ignored in a program that runs with somebody else's rights (AT_SECURE).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "preload/heap.h"
#include "preload/preload.h"
#include "preload/resolve.h"
#include "stele/version.h"
#include "sys/sys.h"

uint32_t stele__preload_state;
uint32_t stele__preload_skip;

struct init_option {
	const char *key;
	uint32_t part;
};

static const struct init_option options[] = {
	{"locks", STELE_PART_LOCKS},
	{"calls", STELE_PART_CALLS},
	{"waits", STELE_PART_WAITS},
};

/* One sentence on stderr, past stdio, which is the program's. */
static void init_complain(const char *what, size_t bytes, const char *why)
{
	char line[256] = "stele: ";
	size_t at = strlen(line);

	if (bytes > 64)
		bytes = 64;
	memcpy(line + at, what, bytes);
	at += bytes;
	bytes = strlen(why);
	if (bytes > sizeof(line) - at - 1)
		bytes = sizeof(line) - at - 1;
	memcpy(line + at, why, bytes);
	at += bytes;
	line[at++] = '\n';
	stele__sys_write(STDERR_FILENO, line, at);
}

static bool init_is(const char *text, size_t bytes, const char *word)
{
	return strlen(word) == bytes && memcmp(text, word, bytes) == 0;
}

/* One key=value. False: not one of ours. */
static bool init_option(const char *text, size_t bytes)
{
	const char *equals = memchr(text, '=', bytes);
	size_t key_bytes, value_bytes;

	if (!equals)
		return false;
	key_bytes = (size_t)(equals - text);
	value_bytes = bytes - key_bytes - 1;
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(options); i++) {
		if (!init_is(text, key_bytes, options[i].key))
			continue;
		if (init_is(equals + 1, value_bytes, "off"))
			stele__preload_skip |= options[i].part;
		else if (init_is(equals + 1, value_bytes, "on"))
			stele__preload_skip &= ~options[i].part;
		else
			return false;
		return true;
	}
	return false;
}

/* "key=value:key=value". The first thing that is not understood is named, the rest is obeyed. */
static void init_options(const char *text)
{
	bool complained = false;

	while (*text) {
		size_t bytes = strcspn(text, ":");

		if (bytes && !init_option(text, bytes) && !complained) {
			init_complain(text, bytes,
				      ": not understood in STELE_OPTIONS "
				      "(known: locks, calls, waits; each on or off)");
			complained = true;
		}
		text += bytes;
		text += *text == ':';
	}
}

/*
 * -errno is silent: a child of somebody else's recording (-ECHILD), or the supervisor has ended
 * and the arena with it (-ENOENT). What follows is worth a sentence, since recording was wanted.
 */
static void init_attach(const char *path)
{
	int error;

	stele_hide_module((const void *)&stele__preload_start);
	error = stele_attach(path);

	if (error <= STELE_E_TRUNCATED)
		init_complain("not recording this program: ", 28, stele_strerror(error));
}

static void init_run(void)
{
	const char *path = secure_getenv("STELE_ARENA");
	const char *disable = secure_getenv("STELE_DISABLE");
	const char *text = secure_getenv("STELE_OPTIONS");

	stele__lock_start();
	stele__resolve_all();
	if (!path || (disable && strcmp(disable, "1") == 0))
		return;
	if (text)
		init_options(text);
	init_attach(path);
	if (!stele_enabled())
		return;
	stele__spawn_watch();
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
