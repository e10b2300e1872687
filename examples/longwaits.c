/* SPDX-License-Identifier: MIT */
/*
 * Where the threads of a trace waited most: what a program of one's own gets out of a trace in a
 * page.
 *
 * usage: longwaits TRACE [COUNT]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <stele/analyze.h>
#include <stele/read.h>
#include <stele/version.h>

static void print_text(struct stele_string text)
{
	fwrite(text.data, 1, text.bytes, stdout);
}

static void print_site(const struct stele_analysis *analysis, const struct stele_site *site)
{
	const struct stele_stack_frame *frames;
	size_t count;

	printf("%" PRId64 " ns in %" PRIu64 " waits, the longest %" PRId64 " ns: ",
	       stele_site_total(site), site->spread.count + site->open_count, site->spread.max);
	print_text(site->name);
	putchar('\n');
	frames = stele_analysis_stack(analysis, site->stack, &count);
	for (size_t i = 0; i < count; i++) {
		fputs("\t", stdout);
		print_text(frames[i].function);
		fputs(" ", stdout);
		print_text(frames[i].file);
		printf(":%" PRIu64 "\n", frames[i].line);
	}
}

static void print_waits(const struct stele_analysis *analysis, size_t most)
{
	const struct stele_site *const *sites;
	size_t count;

	sites = stele_analysis_sites(analysis, STELE_SITES_WAIT, &count);
	for (size_t i = 0; i < count && i < most; i++)
		print_site(analysis, sites[i]);
}

/* What can be read of a damaged trace is analysed, too. */
static int analyse(struct stele_reader *reader, struct stele_analysis *analysis)
{
	const struct stele_event *event;
	int got, r = 0;

	while (r >= 0 && (got = stele_reader_next(reader, &event)) > 0)
		r = stele_analysis_add(analysis, reader, event);
	if (r >= 0 && got < 0)
		fprintf(stderr, "longwaits: %s\n", stele_reader_diag(reader)->text);
	return r < 0 ? r : stele_analysis_finish(analysis);
}

int main(int argc, char **argv)
{
	struct stele_analysis *analysis = NULL;
	struct stele_reader *reader = NULL;
	int r;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: longwaits TRACE [COUNT]\n");
		return 2;
	}
	r = stele_reader_open(argv[1], NULL, &reader);
	if (r >= 0)
		r = stele_analysis_new(&analysis);
	if (r >= 0)
		r = analyse(reader, analysis);
	if (r >= 0)
		print_waits(analysis, argc > 2 ? strtoul(argv[2], NULL, 10) : 5);
	else
		fprintf(stderr, "longwaits: %s: %s\n", argv[1], stele_strerror(r));
	stele_analysis_free(analysis);
	stele_reader_close(reader);
	return r < 0;
}
