/* SPDX-License-Identifier: MIT */
#include "format/textform.h"

#include <errno.h>

#include "format/archive.h"
#include "support/convert.h"
#include "support/tap.h"

/* A trace of every kind of entry, in the canonical text. */
static const char every_kind[] =
	"Trace Go1.26\n"
	"EventBatch gen=1 m=18446744073709551615 time=999 size=17\n"
	"Sync\n"
	"Frequency freq=15625000\n"
	"ClockSnapshot dt=1 mono=64000 sec=1700000000 nsec=5\n"
	"EventBatch gen=1 m=77 time=1000 size=17\n"
	"ProcStatus dt=1 p=0 pstatus=1\n"
	"UserLog dt=3 task=18446744073709551615 key_string=1 value_string=2 stack=1\n"
	"ProcStop dt=0\n"
	"SpanAlloc dt=1 id=513 npages_value=1 kindclass=22\n"
	"EventBatch gen=1 m=18446744073709551615 time=1020 size=20\n"
	"Stacks\n"
	"Stack id=1 nframes=2\n"
	"\tpc=4198400 func=4 file=5 line=12\n"
	"\tpc=4198500 func=0 file=0 line=0\n"
	"Stack id=2 nframes=0\n"
	"EventBatch gen=1 m=18446744073709551615 time=1021 size=13\n"
	"Strings\n"
	"String id=4\n"
	"\tdata=\"f\\x00#\\n\"\n"
	"String id=5\n"
	"CPUSamples\n"
	"CPUSample time=1 m=2 p=3 g=4 stack=1\n"
	"ExperimentalBatch exp=1 gen=1 m=18446744073709551615 time=5\n"
	"\tdata=\"S\\x01\"\n"
	"ExperimentalBatch exp=1 gen=1 m=1 time=5\n"
	"EndOfGeneration\n";

/* Assembles text that must be good; the caller frees data. */
static struct converted assemble(const char *text)
{
	struct converted c = convert_to_bytes(text, strlen(text), false);

	if (!CHECK_EQ(c.error, 0))
		printf("# line %" PRIu64 ": %s\n", c.place, c.message);
	return c;
}

static void text_comes_back_as_it_was(void)
{
	struct converted bytes = assemble(every_kind);
	struct converted text = convert_to_text(bytes.data, bytes.bytes, false);
	struct converted exact = convert_to_text(bytes.data, bytes.bytes, true);

	CHECK_EQ(text.error, 0);
	CHECK_BYTES(text.data, text.bytes, every_kind, strlen(every_kind));
	CHECK_BYTES(exact.data, exact.bytes, every_kind, strlen(every_kind));
	free(bytes.data);
	free(text.data);
	free(exact.data);
}

static void text_becomes_the_bytes_of_the_format(void)
{
	static const char text[] = "Trace Go1.23\n"
				   "EventBatch gen=1 m=77 time=1000 size=8\n"
				   "# whole-line comment\n"
				   "ProcStatus dt=1 p=0 pstatus=1\n"
				   "ProcsChange dt=1 procs_value=1 stack=1\n"
				   "Strings\n"
				   "String id=4\n"
				   "\tdata=\"f.c\"\n";
	static const uint8_t expected[] = {'g',	 'o',  ' ',  '1', '.', '2', '3', ' ', 't', 'r',
					   'a',	 'c',  'e',  0,	  0,   0,   1,	 1,   77,  0xe8,
					   0x07, 8,    0x0d, 1,	  0,   1,   9,	 1,   1,   1,
					   0x04, 0x05, 4,    3,	  'f', '.', 'c'};
	struct converted bytes = assemble(text);

	CHECK_BYTES(bytes.data, bytes.bytes, expected, sizeof(expected));
	free(bytes.data);
}

static void text_may_be_spaced_and_commented_freely(void)
{
	struct converted a = assemble("\n# first\n  Trace \t Go1.22 \r\n\n\t#x\n"
				      "  GoStart   dt=1  g=02\tg_seq=3  \r\n"
				      "Stack id=1 nframes=1\n# between\n\n"
				      "pc=1 func=2 file=3 line=4\n"
				      "String id=1\n\n# between\n  data = \"a # b\"  ");
	struct converted b = assemble("Trace Go1.22\nGoStart dt=1 g=2 g_seq=3\n"
				      "Stack id=1 nframes=1\n\tpc=1 func=2 file=3 line=4\n"
				      "String id=1\n\tdata=\"a # b\"\n");

	CHECK_BYTES(a.data, a.bytes, b.data, b.bytes);
	free(a.data);
	free(b.data);
}

static void exact_text_keeps_the_width_of_every_integer(void)
{
	static const char text[] = "Trace Go1.26\n"
				   "EventBatch gen=1/2 m=77 time=1000/3 size=23/10\n"
				   "GoStart dt=0/10 g=300/4 g_seq=127/2\n"
				   "Stack id=1/2 nframes=1/9\n"
				   "\tpc=1 func=2/2 file=3 line=128/10\n"
				   "String id=1\n"
				   "\tdata/10=\"abc\"\n"
				   "String id=2/2\n"
				   "\tdata/2=\"\"\n"
				   "ExperimentalBatch exp=1/2 gen=1 m=1 time=5\n"
				   "\tdata/10=\"S\"\n";
	struct converted bytes = assemble(text);
	struct converted exact = convert_to_text(bytes.data, bytes.bytes, true);
	struct converted plain = convert_to_text(bytes.data, bytes.bytes, false);

	CHECK_BYTES(exact.data, exact.bytes, text, strlen(text));
	CHECK(strstr((char *)plain.data, "EventBatch gen=1 m=77 time=1000 size=23\n") != NULL);
	CHECK(strchr((char *)plain.data, '/') == NULL);
	free(bytes.data);
	free(exact.data);
	free(plain.data);
}

/* A width that is not longer than needed is not shown again. */
static void text_width_may_be_the_least(void)
{
	struct converted bytes = assemble("Trace Go1.22\nFrequency freq=128/2\n");
	struct converted exact = convert_to_text(bytes.data, bytes.bytes, true);

	CHECK_STR((char *)exact.data, "Trace Go1.22\nFrequency freq=128\n");
	free(bytes.data);
	free(exact.data);
}

static const char unsized[] = "Trace Go1.26\n"
			      "EventBatch gen=1 m=1 time=5\n"
			      "ProcStop dt=200\n"
			      "# a comment has no size\n"
			      "Stack id=1 nframes=1\n"
			      "\tpc=128 func=2 file=3 line=4\n"
			      "String id=1\n"
			      "\tdata=\"abc\"\n"
			      "EventBatch gen=1 m=2 time=5 size=99\n"
			      "ProcStop dt=2\n"
			      "EventBatch gen=1 m=3 time=5\n"
			      "ExperimentalBatch exp=1 gen=1 m=1 time=5\n"
			      "\tdata=\"S\"\n"
			      "EventBatch gen=1 m=4 time=5\n"
			      "GoDestroy dt=1\n"
			      "EndOfGeneration\n";

static void batch_without_size_gets_that_of_its_entries(void)
{
	struct converted bytes = assemble(unsized);
	struct converted text = convert_to_text(bytes.data, bytes.bytes, true);

	CHECK(strstr((char *)text.data, "m=1 time=5 size=17\n") != NULL);
	CHECK(strstr((char *)text.data, "m=2 time=5 size=99\n") != NULL);
	CHECK(strstr((char *)text.data, "m=3 time=5 size=0\n") != NULL);
	CHECK(strstr((char *)text.data, "m=4 time=5 size=2\n") != NULL);
	free(bytes.data);
	free(text.data);
}

static void sizes_replace_what_is_given(void)
{
	struct converted bytes = convert_to_bytes(unsized, strlen(unsized), true);
	struct converted text = convert_to_text(bytes.data, bytes.bytes, true);

	CHECK(strstr((char *)text.data, "m=1 time=5 size=17\n") != NULL);
	CHECK(strstr((char *)text.data, "m=2 time=5 size=2\n") != NULL);
	free(bytes.data);
	free(text.data);
}

static void size_of_a_broken_batch_goes_up_to_the_damage(void)
{
	static const char text[] = "Trace Go1.22\nEventBatch gen=1 m=1 time=5\nProcStop dt=2\n"
				   "ProcStop dt=\nProcStop dt=3\n";
	struct converted c = convert_to_bytes(text, strlen(text), false);

	CHECK_EQ(c.error, STELE_E_SYNTAX);
	CHECK_EQ(c.place, 4);
	CHECK_BYTES(c.data + 16, c.bytes - 16, "\1\1\1\5\2\13\2", 7);
	free(c.data);
}

struct bad_text {
	const char *text;
	uint64_t line;
	const char *message; /* a part of it */
};

static const struct bad_text bad_headers[] = {
	{"", 1, "Trace Go1.NN"},
	{"# nothing\n", 1, "Trace Go1.NN"},
	{"EventBatch gen=1\n", 1, "Trace Go1.NN"},
	{"Trace\n", 1, "Trace Go1.NN"},
	{"Trace Go2.1\n", 1, "found 'Go2.1'"},
	{"Trace Go1.\n", 1, "found 'Go1.'"},
	{"Trace Go1.2x\n", 1, "found 'Go1.2x'"},
	{"\nTrace Go1.21\n", 2, "versions"},
	{"Trace Go1.24\n", 1, "versions"},
	{"Trace Go1.4294967319\n", 1, "versions"},
	{"Trace Go1.23 x\n", 1, "found 'x'"},
};

/* After a good header (22) and one good entry, in lines 1 and 2. */
static const struct bad_text bad_entries[] = {
	{"Foo dt=1", 3, "found 'Foo'"},
	{"None", 3, "found 'None'"},
	{"GoSwitch dt=1 g=1 g_seq=1", 3, "found 'GoSwitch'"},
	{"GoStart", 3, "missing argument 'dt'"},
	{"GoStart dt=1 g=1", 3, "missing argument 'g_seq'"},
	{"\n\nGoStart dt=1 g_seq=1 g=1", 5, "expected argument 'g', found 'g_seq=1'"},
	{"GoStart dt=1 g=1 g_seq", 3, "expected argument 'g_seq'"},
	{"GoStart dt=1 g=1 g_seq=", 3, "number"},
	{"GoStart dt=1 g=1 g_seq=-1", 3, "found '-1'"},
	{"GoStart dt=1 g=1 g_seq=+1", 3, "number"},
	{"GoStart dt=1 g=1 g_seq=0x1", 3, "number"},
	{"GoStart dt=1 g=1 g_seq=18446744073709551616", 3, "number"},
	{"GoStart dt=1 g=1 g_seq=1/", 3, "bytes"},
	{"GoStart dt=1 g=1 g_seq=1/0", 3, "bytes"},
	{"GoStart dt=1 g=1 g_seq=128/1", 3, "bytes"},
	{"GoStart dt=1 g=1 g_seq=1/11", 3, "bytes"},
	{"GoStart dt=1 g=1 g_seq=/2", 3, "number"},
	{"GoStart dt=1 g=1 g_seq=1 x=2", 3, "found 'x=2'"},
	{"GoStart dt=1 g=1 g_seq=1 # why", 3, "comment"},
	{"GoStart dt=1 g=1 # why", 3, "missing argument 'g_seq'"},
	{"EventBatch gen=1 m=1 time=1 # why", 3, "missing argument 'size'"},
	{"EventBatch gen=1 m=1", 3, "missing argument 'time'"},
	{"Stack id=1 nframes=2\npc=1 func=1 file=1 line=1", 4, "last frame"},
	{"Stack id=1 nframes=2\npc=1 func=1 file=1 line=1\nGoStop", 5, "found 'GoStop'"},
	{"Stack id=1 nframes=1\npc=1 func=1 line=1", 4, "expected argument 'file'"},
	{"Stack id=1 nframes=18446744073709551615\n", 3, "last frame"},
	{"String id=1\ndata", 4, "data="},
	{"String id=1\ndata=", 4, "quoted"},
	{"String id=1\ndata=abc", 4, "quoted"},
	{"String id=1\ndata=\"abc", 4, "closed"},
	{"String id=1\ndata=\"a\\q\"", 4, "escape"},
	{"String id=1\ndata/x=\"a\"", 4, "bytes"},
	{"data=\"a\"", 3, "found 'data=\"a\"'"},
};

static void header_that_is_bad_is_told_by_line(void)
{
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(bad_headers); i++) {
		const struct bad_text *bad = &bad_headers[i];
		struct converted c = convert_to_bytes(bad->text, strlen(bad->text), false);
		bool held = CHECK(c.error < 0);

		held = CHECK_EQ(c.place, bad->line) && held;
		held = CHECK(strstr(c.message, bad->message) != NULL) && held;
		if (!held)
			printf("# %s -> %s\n", bad->text, c.message);
		CHECK_EQ(c.bytes, 0);
		free(c.data);
	}
}

static void entry_that_is_bad_is_told_by_line_and_those_before_it_kept(void)
{
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(bad_entries); i++) {
		const struct bad_text *bad = &bad_entries[i];
		char *text = NULL;
		struct converted c;
		bool held;

		if (asprintf(&text, "Trace Go1.22\nProcStop dt=7\n%s", bad->text) < 0)
			return;
		c = convert_to_bytes(text, strlen(text), false);
		held = CHECK_EQ(c.error, STELE_E_SYNTAX);
		held = CHECK_EQ(c.place, bad->line) && held;
		held = CHECK(strstr(c.message, bad->message) != NULL) && held;
		if (!held)
			printf("# %s -> line %" PRIu64 ": %s\n", bad->text, c.place, c.message);
		CHECK_BYTES(c.data, c.bytes, "go 1.22 trace\0\0\0\13\7", 18);
		free(c.data);
		free(text);
	}
}

static void message_holds_nothing_that_upsets_a_terminal(void)
{
	char text[200] = "Trace Go1.22\n\033[31m\x9b";
	struct converted c;

	memset(text + strlen(text), 'x', 100);
	c = convert_to_bytes(text, strlen(text), false);
	CHECK(strstr(c.message, "found '?[31m?xxx") != NULL);
	CHECK(strstr(c.message, "xxx...'") != NULL);
	CHECK(strchr(c.message, '\033') == NULL);
	free(c.data);
}

static void bytes_before_the_damage_are_printed(void)
{
	static const uint8_t in[] = "go 1.22 trace\0\0\0\13\7\13\x80";
	struct converted c = convert_to_text(in, 20, false);

	CHECK_EQ(c.error, STELE_E_TRUNCATED);
	CHECK_EQ(c.place, 19);
	CHECK_STR((char *)c.data, "Trace Go1.22\nProcStop dt=7\n");
	free(c.data);
}

static int refuse(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	(void)data;
	return bytes ? -ENOSPC : 0;
}

static void failure_of_the_callback_ends_the_conversion(void)
{
	struct stele_text_out out;
	struct stele_text t;
	int result, rounds = 0;

	stele__text_out_init(&out, refuse, NULL);
	CHECK_EQ(stele__text_begin(&t, every_kind, strlen(every_kind), 1, false), 0);
	while ((result = stele__text_next(&t, &out)) > 0 && rounds++ < 1000)
		if (stele__text_out_flush(&out))
			break;
	CHECK_EQ(out.error, -ENOSPC);
	CHECK_EQ(stele__text_next(&t, &out), -ENOSPC);
}

static const char archive[] = "a note\n-- expect --\nSUCCESS\n--  trace -- \nTrace Go1.22\n"
			      "ProcStop dt=\n-- more --\n--trace--\n-- --\n-- last --";

static void archive_gives_sections_with_their_lines(void)
{
	struct stele_section s;

	CHECK_EQ(stele__archive_find(archive, strlen(archive), "trace", &s), 1);
	CHECK_BYTES(s.text, s.bytes, "Trace Go1.22\nProcStop dt=\n", 26);
	CHECK_EQ(s.line, 5);
	CHECK_EQ(stele__archive_find(archive, strlen(archive), "expect", &s), 1);
	CHECK_BYTES(s.text, s.bytes, "SUCCESS\n", 8);
	CHECK_EQ(stele__archive_find(archive, strlen(archive), "more", &s), 1);
	CHECK_BYTES(s.text, s.bytes, "--trace--\n-- --\n", 16);
	CHECK_EQ(stele__archive_find(archive, strlen(archive), "last", &s), 1);
	CHECK_EQ(s.bytes, 0);
	CHECK_EQ(stele__archive_find(archive, strlen(archive), "first", &s), -ENOENT);
}

static void archive_is_not_seen_in_plain_text(void)
{
	struct stele_section s;

	CHECK_EQ(stele__archive_find(every_kind, strlen(every_kind), "trace", &s), 0);
	CHECK_EQ(stele__archive_find("", 0, "trace", &s), 0);
}

TAP_MAIN(TEST(text_comes_back_as_it_was), TEST(text_becomes_the_bytes_of_the_format),
	 TEST(text_may_be_spaced_and_commented_freely),
	 TEST(exact_text_keeps_the_width_of_every_integer), TEST(text_width_may_be_the_least),
	 TEST(batch_without_size_gets_that_of_its_entries), TEST(sizes_replace_what_is_given),
	 TEST(size_of_a_broken_batch_goes_up_to_the_damage),
	 TEST(header_that_is_bad_is_told_by_line),
	 TEST(entry_that_is_bad_is_told_by_line_and_those_before_it_kept),
	 TEST(message_holds_nothing_that_upsets_a_terminal),
	 TEST(bytes_before_the_damage_are_printed),
	 TEST(failure_of_the_callback_ends_the_conversion),
	 TEST(archive_gives_sections_with_their_lines), TEST(archive_is_not_seen_in_plain_text))
