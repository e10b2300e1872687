/* SPDX-License-Identifier: MIT */
/* The converters on traces and texts that Go's own tests come with. */
#include "format/archive.h"
#include "support/convert.h"
#include "support/shared.h"
#include "support/tap.h"

#define NOT_HERE "Go's test traces are not here (STELE_SHARED)"

/* folder/text/NAME.test -> folder/NAME.trace */
static bool trace_path(const char *test, char *ret_path, size_t room)
{
	const char *text = strstr(test, "/text/");
	size_t length = strlen(test);

	if (!text || length < 5 || length + 2 > room)
		return false;
	snprintf(ret_path, room, "%.*s/%.*s.trace", (int)(text - test), test,
		 (int)(strlen(text + 6) - 5), text + 6);
	return true;
}

static void check_test_file(const char *path, unsigned *compared)
{
	struct shared_file file, trace;
	struct stele_section s;
	struct converted bytes, text;
	char expected[4096];

	if (!CHECK(shared_read(path, &file)))
		return;
	CHECK_EQ(stele__archive_find((char *)file.data, file.bytes, "trace", &s), 1);
	bytes = convert_to_bytes(s.text, s.bytes, false);
	if (!CHECK_EQ(bytes.error, 0))
		printf("# %s:%" PRIu64 ": %s\n", path, bytes.place, bytes.message);
	text = convert_to_text(bytes.data, bytes.bytes, false);
	CHECK_BYTES(text.data, text.bytes, s.text, s.bytes);
	if (trace_path(path, expected, sizeof(expected)) && shared_read(expected, &trace)) {
		if (!CHECK_BYTES(bytes.data, bytes.bytes, trace.data, trace.bytes))
			printf("# %s\n", path);
		free(trace.data);
		(*compared)++;
	}
	free(bytes.data);
	free(text.data);
	free(file.data);
}

static void corpus_texts_give_the_bytes_of_go(void)
{
	unsigned compared = 0;
	glob_t paths;

	if (!shared_glob("gotests/text/*.test", &paths))
		SKIP(NOT_HERE);
	for (size_t i = 0; i < paths.gl_pathc; i++)
		check_test_file(paths.gl_pathv[i], &compared);
	CHECK(compared > 0);
	printf("# %zu texts, %u of them compared with a trace\n", paths.gl_pathc, compared);
	globfree(&paths);
}

/* What can be decoded of a trace, good or bad, survives both kinds of text. */
static void check_trace(const char *path)
{
	struct shared_file file;
	struct converted exact, plain, bytes, again;

	if (!CHECK(shared_read(path, &file)))
		return;
	exact = convert_to_text(file.data, file.bytes, true);
	plain = convert_to_text(file.data, file.bytes, false);
	CHECK_EQ(exact.error, plain.error);
	if (exact.error == STELE_E_UNSUPPORTED && !exact.bytes)
		goto out; /* a trace of Go 1.11 is among them */
	bytes = convert_to_bytes(exact.data, exact.bytes, false);
	CHECK_EQ(bytes.error, 0);
	if (exact.error == 0)
		CHECK_EQ(bytes.bytes, file.bytes);
	CHECK_BYTES(bytes.data, bytes.bytes, file.data,
		    bytes.bytes < file.bytes ? bytes.bytes : file.bytes);
	free(bytes.data);
	bytes = convert_to_bytes(plain.data, plain.bytes, false);
	again = convert_to_text(bytes.data, bytes.bytes, true);
	CHECK_BYTES(again.data, again.bytes, plain.data, plain.bytes);
	free(bytes.data);
	free(again.data);
out:
	free(exact.data);
	free(plain.data);
	free(file.data);
}

static void corpus_traces_survive_the_round_trip(void)
{
	glob_t paths;

	if (!shared_glob("gotests/*.trace", &paths))
		SKIP(NOT_HERE);
	for (size_t i = 0; i < paths.gl_pathc; i++)
		check_trace(paths.gl_pathv[i]);
	printf("# %zu traces\n", paths.gl_pathc);
	globfree(&paths);
}

TAP_MAIN(TEST(corpus_texts_give_the_bytes_of_go), TEST(corpus_traces_survive_the_round_trip))
