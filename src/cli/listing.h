/* SPDX-License-Identifier: MIT */
/* One line an event, in one of three shapes. */
#ifndef STELE_CLI_LISTING_H
#define STELE_CLI_LISTING_H

#include "cli/printer.h"

enum stele__listing_format {
	STELE__LISTING_PLAIN,
	STELE__LISTING_REFERENCE, /* comparable with other readers: docs/design/reader.md */
	STELE__LISTING_JSON,
};

struct stele__listing {
	enum stele__listing_format format;
	uint32_t frames_max; /* frames shown of a stack */
	int64_t origin;	     /* time of the trace's first event */
	const struct stele_reader *reader;
	struct stele__printer *printer;
	const struct stele__aside *aside; /* of the event; NULL: not asked for */
};

void stele__listing_event(const struct stele__listing *listing, const struct stele_event *event);

#endif
