/* SPDX-License-Identifier: MIT */
#include "supervise/locate.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOCATE_FILE	 "stelepreload.so"
#define LOCATE_HEAP_FILE "stelepreload-heap.so"
#define LOCATE_SEPARATOR " :"

static bool locate_directory(char *directory, size_t bytes)
{
	ssize_t length = readlink("/proc/self/exe", directory, bytes - 1);
	char *slash;

	if (length <= 0)
		return false;
	directory[length] = '\0';
	slash = strrchr(directory, '/');
	if (slash)
		*slash = '\0';
	return slash;
}

/* The first file that matches, made absolute. */
static bool locate_match(const char *directory, const char *rest, char *path)
{
	char pattern[PATH_MAX + 64];
	glob_t found;
	bool ok;

	snprintf(pattern, sizeof(pattern), "%s/%s", directory, rest);
	if (glob(pattern, GLOB_NOSORT, NULL, &found) != 0)
		return false;
	ok = realpath(found.gl_pathv[0], path);
	globfree(&found);
	return ok;
}

/* The other module in the same directory. */
static bool locate_beside(const char *file, char *path)
{
	char *slash = strrchr(path, '/');
	size_t room = PATH_MAX - (size_t)(slash + 1 - path);

	return snprintf(slash + 1, room, "%s", file) < (int)room && access(path, R_OK) == 0;
}

int stele__locate_module(bool heap, char *ret_path, size_t bytes)
{
	static const char *const places[] = {"src/preload/" LOCATE_FILE,
					     "../lib*/stele/" LOCATE_FILE,
					     "../lib/*/stele/" LOCATE_FILE};
	const char *given = getenv("STELE_PRELOAD_MODULE");
	char directory[PATH_MAX], path[PATH_MAX];
	bool found = given && *given && realpath(given, path);

	if (!found && !(given && *given) && locate_directory(directory, sizeof(directory)))
		for (size_t i = 0; !found && i < STELE_ARRAY_LENGTH(places); i++)
			found = locate_match(directory, places[i], path);
	if (found && heap)
		found = locate_beside(LOCATE_HEAP_FILE, path);
	if (!found || strlen(path) >= bytes)
		return -ENOENT;
	if (strpbrk(path, LOCATE_SEPARATOR))
		return -EINVAL;
	memcpy(ret_path, path, strlen(path) + 1);
	return 0;
}

static bool locate_is_sanitizer(const char *item, size_t length)
{
	static const char *const parts[] = {"libasan.so", "libtsan.so", "liblsan.so",
					    "libhwasan.so", "libclang_rt."};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(parts); i++)
		if (memmem(item, length, parts[i], strlen(parts[i])))
			return true;
	return false;
}

/* A text being put together; what does not fit is left out, which the caller's sum excludes. */
struct locate_text {
	char *text;
	size_t at, bytes;
};

static void locate_append(struct locate_text *list, const char *item, size_t length)
{
	if (list->bytes - list->at <= length + 1)
		return;
	memcpy(list->text + list->at, item, length);
	list->at += length;
	list->text[list->at++] = ':';
}

/* Appends the items of a list that are sanitizer runtimes, or those that are not. */
static void locate_append_items(struct locate_text *list, const char *items, bool sanitizers,
				const char *module)
{
	while (*items) {
		size_t length = strcspn(items, LOCATE_SEPARATOR);
		bool is_module = length == strlen(module) && !memcmp(items, module, length);

		if (length && !is_module && locate_is_sanitizer(items, length) == sanitizers)
			locate_append(list, items, length);
		items += length;
		items += *items != '\0';
	}
}

/* "LD_PRELOAD=…" into a buffer that is large enough. */
static void locate_preload_list(struct locate_text *list, const char *existing, const char *module,
				const char *sanitizer)
{
	static const char name[] = "LD_PRELOAD=";

	memcpy(list->text, name, sizeof(name));
	list->at = sizeof(name) - 1;
	locate_append_items(list, existing, true, module);
	if (*sanitizer && !strstr(existing, sanitizer))
		locate_append(list, sanitizer, strlen(sanitizer));
	locate_append(list, module, strlen(module));
	locate_append_items(list, existing, false, module);
	list->text[list->at - 1] = '\0'; /* the last colon */
}

static const char *locate_value(const char *entry, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(entry, name, length) && entry[length] == '=' ? entry + length + 1 : NULL;
}

char **stele__locate_environment(char *const *environment, const char *module,
				 const char *sanitizer, const char *arena)
{
	const char *existing = "";
	size_t count = 0, list_bytes, arena_bytes, at = 0;
	struct locate_text list;
	char **copy, *text;

	for (; environment[count]; count++)
		if (locate_value(environment[count], "LD_PRELOAD"))
			existing = locate_value(environment[count], "LD_PRELOAD");
	list_bytes =
		sizeof("LD_PRELOAD=") + strlen(existing) + strlen(module) + strlen(sanitizer) + 4;
	arena_bytes = sizeof("STELE_ARENA=") + strlen(arena);
	copy = malloc((count + 3) * sizeof(*copy) + list_bytes + arena_bytes);
	if (!copy)
		return NULL;
	text = (char *)(copy + count + 3);
	for (size_t i = 0; i < count; i++)
		if (!locate_value(environment[i], "LD_PRELOAD") &&
		    !locate_value(environment[i], "STELE_ARENA"))
			copy[at++] = environment[i];
	list = (struct locate_text){text, 0, list_bytes};
	locate_preload_list(&list, existing, module, sanitizer);
	copy[at++] = text;
	copy[at++] = text + list_bytes;
	snprintf(text + list_bytes, arena_bytes, "STELE_ARENA=%s", arena);
	copy[at] = NULL;
	return copy;
}
