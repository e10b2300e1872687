/* SPDX-License-Identifier: MIT */
#include "cli/duration.h"

#include <stdlib.h>
#include <string.h>

bool stele__duration_parse(const char *text, int64_t *ret_ns)
{
	static const struct {
		const char *name;
		double ns;
	} unit[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}, {"m", 60e9}, {"", 1e9}};
	char *end;
	double v = strtod(text, &end);

	if (end == text || !(v >= 0 && v < 9e9))
		return false;
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(unit); i++) {
		if (strcmp(end, unit[i].name) != 0)
			continue;
		if (v * unit[i].ns > 9e18)
			return false;
		*ret_ns = (int64_t)(v * unit[i].ns + 0.5);
		return true;
	}
	return false;
}
