/* SPDX-License-Identifier: MIT */
/*
 * Traces in the formats of others. A format is a table of functions; each is fed the events of a
 * reader in order and writes as it goes.
 */
#ifndef STELE_EXPORT_EXPORT_H
#define STELE_EXPORT_EXPORT_H

#include "base/compiler.h"
#include "stele/read.h"

/* Takes bytes: 0 or the first -errno. */
typedef int (*stele__write_fn)(void *arg, const void *data, size_t bytes);

struct stele__export {
	const struct stele__format *format;
	stele__write_fn write;
	void *arg;
	const char *path; /* of formats that are a file: created, and empty */
	const char *kind; /* what a profile is of: profile.h; NULL: the first */
	int64_t min_ns;	  /* of formats that draw: lanes.h */
	void *state;	  /* the format's own, zeroed, state_bytes long */
};

struct stele__format {
	const char *name, *summary;
	bool binary;
	size_t state_bytes;
	bool file;    /* written to `path`, not by `write` */
	bool profile; /* of one of stele__profile_kinds */
	/* Of formats that draw: bytes of one thing, about, and of what their viewers can open. */
	unsigned each_bytes;
	uint64_t max_bytes; /* 0: any number */
	/* All return 0 or a negative code. */
	int (*start)(struct stele__export *e);
	int (*event)(struct stele__export *e, const struct stele_reader *reader,
		     const struct stele_event *event);
	int (*finish)(struct stele__export *e); /* also behind the last event of a broken trace */
	void (*free)(struct stele__export *e);
};

/* NULL-ended. */
extern const struct stele__format *const stele__formats[];
extern const struct stele__format stele__format_perfetto, stele__format_chrome, stele__format_flame,
	stele__format_folded, stele__format_pprof, stele__format_csv, stele__format_sqlite;

const struct stele__format *stele__format_find(const char *name);

/* `e` has format, write, arg and kind set. To be followed by stele__export_free in any case. */
int stele__export_start(struct stele__export *e);
void stele__export_free(struct stele__export *e);

#endif
