/* SPDX-License-Identifier: MIT */
/* stele record's options of the flight recorder. */
#ifndef STELE_CLI_FLIGHTOPTIONS_H
#define STELE_CLI_FLIGHTOPTIONS_H

#include "supervise/session.h"

/* What holds where nothing else is said. */
void stele__flight_options_init(struct stele_flight_options *flight);

/* One option with its value. -ENOENT: it is none of these; -EINVAL: said what is wrong. */
int stele__flight_options_set(struct stele_flight_options *flight, const char *name,
			      const char *value);

/* Do they go together, and with the rest? -EINVAL: said why not. */
int stele__flight_options_check(const struct stele_session_options *options);

#endif
