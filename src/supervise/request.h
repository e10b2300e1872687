/* SPDX-License-Identifier: MIT */
/* What a client asks of a recorder, taken apart. Nothing in it is trusted. */
#ifndef STELE_SUPERVISE_REQUEST_H
#define STELE_SUPERVISE_REQUEST_H

#include <limits.h>

#include "base/compiler.h"

enum stele_request_kind {
	STELE_REQUEST_STATUS,
	STELE_REQUEST_SNAPSHOT, /* argument: an absolute path; "": by the recorder's own name */
	STELE_REQUEST_START,	/* argument: classes; "": those that were asked for at first */
	STELE_REQUEST_STOP,
};

struct stele_request {
	enum stele_request_kind kind;
	uint32_t events; /* of START with classes; else 0 */
	char argument[PATH_MAX];
};

/* NULL, or what is wrong with it: a sentence of its own. */
const char *stele__request_parse(const char *data, size_t bytes, struct stele_request *ret_request);

#endif
