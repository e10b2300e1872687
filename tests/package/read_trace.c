/* SPDX-License-Identifier: MIT */
/* A user of the installed reader, in C and C++ alike: counts a trace's events, those that it
 * fetches by the header's inline function and by the library's own in turn, and those analysed. */
#include <stdio.h>

#include "stele/analyze.h"

static int read_all(struct stele_reader *reader, struct stele_analysis *analysis,
		    unsigned long *ret_events)
{
	int (*const volatile own)(struct stele_reader *, const struct stele_event **) =
		stele_reader_next;
	const struct stele_event *event;
	int got;

	*ret_events = 0;
	while ((got = *ret_events % 2 ? own(reader, &event) : stele_reader_next(reader, &event)) >
	       0) {
		if (stele_analysis_add(analysis, reader, event) < 0)
			return -1;
		++*ret_events;
	}
	return got;
}

int main(int argc, char **argv)
{
	struct stele_analysis *analysis;
	struct stele_reader *reader;
	unsigned long events;
	int got;

	if (argc != 2 || stele_reader_open(argv[1], NULL, &reader) < 0 ||
	    stele_analysis_new(&analysis) < 0)
		return 2;
	got = read_all(reader, analysis, &events);
	if (got < 0 && stele_reader_diag(reader))
		fprintf(stderr, "%s\n", stele_reader_diag(reader)->text);
	stele_reader_close(reader);
	if (stele_analysis_finish(analysis) < 0)
		return 1;
	printf("%lu %lu\n", events, (unsigned long)stele_analysis_trust(analysis)->events);
	stele_analysis_free(analysis);
	return got < 0;
}
