/* SPDX-License-Identifier: MIT */
#include "export/export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct stele__format *const stele__formats[] = {
	&stele__format_perfetto,
	&stele__format_chrome,
	&stele__format_flame,
	&stele__format_folded,
	&stele__format_pprof,
	&stele__format_csv,
#ifdef STELE_HAVE_SQLITE
	&stele__format_sqlite,
#endif
	NULL,
};

const struct stele__format *stele__format_find(const char *name)
{
	for (size_t i = 0; stele__formats[i]; i++)
		if (strcmp(stele__formats[i]->name, name) == 0)
			return stele__formats[i];
	return NULL;
}

int stele__export_start(struct stele__export *e)
{
	e->state = calloc(1, e->format->state_bytes);
	return e->state ? e->format->start(e) : -ENOMEM;
}

void stele__export_free(struct stele__export *e)
{
	if (e->state && e->format->free)
		e->format->free(e);
	free(e->state);
	e->state = NULL;
}
