/* SPDX-License-Identifier: MIT */
/* A user of the installed reader, in C and C++ alike: counts a trace's events, which it fetches by
 * the header's inline function and by the library's own in turn. */
#include <stdio.h>

#include "stele/read.h"

int main(int argc, char **argv)
{
	int (*const volatile own)(struct stele_reader *, const struct stele_event **) =
		stele_reader_next;
	const struct stele_event *event;
	struct stele_reader *reader;
	unsigned long events = 0;
	int got;

	if (argc != 2 || stele_reader_open(argv[1], NULL, &reader) < 0)
		return 2;
	while ((got = events % 2 ? own(reader, &event) : stele_reader_next(reader, &event)) > 0)
		events++;
	if (got < 0)
		fprintf(stderr, "%s\n", stele_reader_diag(reader)->text);
	stele_reader_close(reader);
	printf("%lu\n", events);
	return got < 0;
}
