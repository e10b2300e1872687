/* SPDX-License-Identifier: MIT */
#include "format/archive.h"

#include <errno.h>
#include <string.h>

static bool archive_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Is this line (without its end) a marker, and if so of which name? */
static bool archive_marker(const char *line, const char *end, const char **ret_name,
			   size_t *ret_length)
{
	while (line < end && archive_is_space(end[-1]))
		end--;
	if (end - line < 7 || memcmp(line, "-- ", 3) != 0 || memcmp(end - 3, " --", 3) != 0)
		return false;
	for (line += 3, end -= 3; line < end && archive_is_space(*line); line++)
		;
	while (line < end && archive_is_space(end[-1]))
		end--;
	*ret_name = line;
	*ret_length = (size_t)(end - line);
	return line < end;
}

int stele__archive_find(const char *text, size_t bytes, const char *name,
			struct stele_section *ret_section)
{
	const char *at = text, *end = text + bytes, *begin = NULL;
	uint64_t line = 0, begin_line = 0;
	int result = 0;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline ? newline : end, *found;
		const char *next = newline ? newline + 1 : end;
		size_t length;

		line++;
		if (archive_marker(at, line_end, &found, &length)) {
			if (begin)
				break;
			result = -ENOENT;
			if (length == strlen(name) && memcmp(found, name, length) == 0) {
				begin = next;
				begin_line = line + 1;
			}
		}
		at = next;
	}
	if (!begin)
		return result;
	*ret_section = (struct stele_section){begin, (size_t)(at - begin), begin_line};
	return 1;
}
