/* SPDX-License-Identifier: MIT */
#include "supervise/summary.h"

#include <signal.h>
#include <stdlib.h>

#include "support/tap.h"

static struct stele_session_result result_new(void)
{
	struct stele_session_result result = {
		.recorded = true,
		.path = "xz.7.trace",
		.file_bytes = 3000,
		.wall_ns = 1234000000,
		.clock = "TSC",
		.images = 1,
		.drain = {.events = 1000, .threads = 3, .stacks = 10, .frames = 40},
	};

	return result;
}

/* What is printed; to be freed. */
static char *print(const struct stele_session_result *result, bool color, bool verbose)
{
	const struct stele_summary_style style = {color, verbose};
	char *text = NULL;
	size_t bytes;
	FILE *out = open_memstream(&text, &bytes);

	stele__summary_print(out, result, &style);
	fclose(out);
	return text;
}

static void summary_formats_numbers(void)
{
	char text[64];

	CHECK_STR(stele__summary_count(0, text, sizeof(text)), "0");
	CHECK_STR(stele__summary_count(999, text, sizeof(text)), "999");
	CHECK_STR(stele__summary_count(1000, text, sizeof(text)), "1,000");
	CHECK_STR(stele__summary_count(UINT64_MAX, text, sizeof(text)),
		  "18,446,744,073,709,551,615");
	CHECK_STR(stele__summary_bytes(1023, text, sizeof(text)), "1023 bytes");
	CHECK_STR(stele__summary_bytes(1024, text, sizeof(text)), "1.0 KiB");
	CHECK_STR(stele__summary_bytes(1024 * 1024 - 1, text, sizeof(text)), "1.0 MiB");
	CHECK_STR(stele__summary_bytes(5ull << 40, text, sizeof(text)), "5.0 TiB");
	CHECK_STR(stele__summary_bytes(UINT64_MAX, text, sizeof(text)), "16384.0 PiB");
}

static void summary_of_a_good_run(void)
{
	struct stele_session_result result = result_new();
	char *text = print(&result, false, false);

	CHECK_STR(text, "trace     xz.7.trace, 2.9 KiB, 1.23 s\n"
			"events    1,000 from 3 threads, 3.0 bytes each\n"
			"lost      nothing\n"
			"stacks    0.0 % truncated, 0.0 % of the code addresses without a name\n"
			"next      go tool trace xz.7.trace\n"
			"          stele report xz.7.trace\n");
	free(text);
}

static void summary_names_losses_by_cause(void)
{
	struct stele_session_result result = result_new();
	char *text;

	result.drain.dropped[STELE_LOSS_RING_FULL][STELE_CLASS_STATE] = 1000;
	result.drain.dropped[STELE_LOSS_RING_FULL][STELE_CLASS_USER] = 234;
	result.drain.no_slot = 5;
	result.drain.dictionary_full = 6;
	text = print(&result, false, false);
	CHECK(strstr(text, "lost      1,234 because the buffer was full"));
	CHECK(strstr(text, "\n          5 because of threads beyond"));
	CHECK(strstr(text, "\n          6 stacks and texts"));
	CHECK(!strstr(text, "nothing"));
	free(text);
}

static void summary_tells_how_it_ended(void)
{
	struct stele_session_result result = result_new();
	char *text;

	result.ending.signal = SIGKILL;
	result.drain.children = 1;
	result.cut_short = true;
	text = print(&result, false, false);
	CHECK(strstr(text, "killed by signal 9 (SIGKILL)"));
	CHECK(strstr(text, "1 child not recorded"));
	CHECK(strstr(text, ", cut short\n"));
	CHECK(strstr(text, "everything after writing failed"));
	free(text);
	result.drain.children = 2000;
	text = print(&result, false, false);
	CHECK(strstr(text, "2,000 children not recorded"));
	free(text);
}

static void summary_names_the_module_without_symbols(void)
{
	struct stele_session_result result = result_new();
	char *text;

	result.drain.frames_unsymbolized = 10;
	memcpy(result.worst_module, "libfoo.so", sizeof("libfoo.so"));
	text = print(&result, false, false);
	CHECK(strstr(text, "25.0 % of the code addresses without a name, mostly in libfoo.so"));
	free(text);
}

static void summary_quotes_odd_names(void)
{
	struct stele_session_result result = result_new();
	char *text;

	memcpy(result.path, "it's a", sizeof("it's a"));
	text = print(&result, false, false);
	CHECK(strstr(text, "go tool trace 'it'\\''s a'\n"));
	free(text);
	memcpy(result.path, "-x", sizeof("-x"));
	text = print(&result, false, false);
	CHECK(strstr(text, "go tool trace ./'-x'\n"));
	free(text);
}

static void summary_colors_only_when_asked(void)
{
	struct stele_session_result result = result_new();
	char *text = print(&result, true, true);

	CHECK(strchr(text, '\033'));
	CHECK(strstr(text, "clock TSC"));
	free(text);
	text = print(&result, false, true);
	CHECK(!strchr(text, '\033'));
	free(text);
	result.recorded = false;
	text = print(&result, true, true);
	CHECK_STR(text, "");
	free(text);
}

TAP_MAIN(TEST(summary_formats_numbers), TEST(summary_of_a_good_run),
	 TEST(summary_names_losses_by_cause), TEST(summary_tells_how_it_ended),
	 TEST(summary_names_the_module_without_symbols), TEST(summary_quotes_odd_names),
	 TEST(summary_colors_only_when_asked))
