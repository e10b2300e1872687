/* SPDX-License-Identifier: MIT */
/*
 * Real input that is not part of the source tree: a folder `shared` beside it, or where the
 * environment variable STELE_SHARED points. Tests skip what is not there.
 */
#ifndef STELE_TESTS_SHARED_H
#define STELE_TESTS_SHARED_H

#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct shared_file {
	uint8_t *data; /* of exactly this size, so that sanitizers see one byte too many */
	size_t bytes;
};

/* The paths below the shared folder that match; none if it is missing. Freed with globfree. */
__attribute__((unused)) static size_t shared_glob(const char *pattern, glob_t *ret_paths)
{
	const char *shared = getenv("STELE_SHARED"), *root = getenv("STELE_SOURCE_ROOT");
	char path[4096];

	if (shared)
		snprintf(path, sizeof(path), "%s/%s", shared, pattern);
	else
		snprintf(path, sizeof(path), "%s/../shared/%s", root ? root : ".", pattern);
	if (glob(path, 0, NULL, ret_paths) != 0)
		ret_paths->gl_pathc = 0;
	return ret_paths->gl_pathc;
}

__attribute__((unused)) static bool shared_read(const char *path, struct shared_file *ret_file)
{
	FILE *f = fopen(path, "rb");
	long bytes;

	if (!f)
		return false;
	fseek(f, 0, SEEK_END);
	bytes = ftell(f);
	rewind(f);
	ret_file->bytes = (size_t)bytes;
	ret_file->data = malloc(bytes ? (size_t)bytes : 1);
	if (fread(ret_file->data, 1, ret_file->bytes, f) != ret_file->bytes)
		ret_file->bytes = 0;
	fclose(f);
	return true;
}

#endif
