/* SPDX-License-Identifier: MIT */
#include "format/quote.h"

#include "base/error.h"
#include "support/tap.h"

struct collected {
	uint8_t bytes[8192];
	size_t used;
};

static int collect(void *arg, const void *data, size_t bytes)
{
	struct collected *c = arg;

	if (bytes > sizeof(c->bytes) - c->used)
		return STELE_E_LIMIT;
	memcpy(c->bytes + c->used, data, bytes);
	c->used += bytes;
	return 0;
}

static struct collected quoted(const void *data, size_t bytes)
{
	struct collected c = {.used = 0};
	struct stele_text_out out;

	stele__text_out_init(&out, collect, &c);
	stele__quote_put(&out, data, bytes);
	CHECK_EQ(stele__text_out_flush(&out), 0);
	CHECK_EQ(out.bytes, c.used);
	return c;
}

static int unquoted(const void *text, size_t bytes, struct collected *ret, const char **message)
{
	struct stele_text_out out;
	int error;

	ret->used = 0;
	stele__text_out_init(&out, collect, ret);
	error = stele__quote_get(text, bytes, &out, message);
	CHECK_EQ(stele__text_out_flush(&out), 0);
	return error;
}

struct pair {
	const char *text;
	const char *bytes;
	size_t size;
};

#define PAIR(text, bytes)                                                                          \
	{                                                                                          \
		"\"" text "\"", bytes, sizeof(bytes) - 1                                           \
	}

static const struct pair canonical[] = {
	PAIR("", ""),
	PAIR("main.f", "main.f"),
	PAIR("a\\\"b\\\\c", "a\"b\\c"),
	PAIR("\\a\\b\\t\\n\\v\\f\\r", "\a\b\t\n\v\f\r"),
	PAIR("\\x00\\x01\\x1f\\x7f", "\x00\x01\x1f\x7f"),
	PAIR("'`", "'`"),
	PAIR("Grüße, 世界 😀", "Grüße, 世界 😀"),
	PAIR("\\u00a0\\u200b\\ufeff", "\xc2\xa0\xe2\x80\x8b\xef\xbb\xbf"),
	PAIR("\\U000e0001", "\xf3\xa0\x80\x81"),
	PAIR("\\xff\\xfe", "\xff\xfe"),
	PAIR("\\xc3", "\xc3"),		/* cut short */
	PAIR("\\xc0\\x80", "\xc0\x80"), /* too long for its value */
	PAIR("\\xe0\\x80\\xaf", "\xe0\x80\xaf"),
	PAIR("\\xed\\xa0\\x80", "\xed\xa0\x80"),	  /* a surrogate */
	PAIR("\\xf4\\x90\\x80\\x80", "\xf4\x90\x80\x80"), /* above the last character */
	PAIR("�", "\xef\xbf\xbd"),
};

static void quote_writes_what_go_writes(void)
{
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(canonical); i++) {
		const struct pair *p = &canonical[i];
		struct collected c = quoted(p->bytes, p->size);

		CHECK_BYTES(c.bytes, c.used, p->text, strlen(p->text));
	}
}

static void quote_reads_what_it_writes(void)
{
	struct collected back;
	const char *message;
	uint64_t random = 1;

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(canonical); i++) {
		const struct pair *p = &canonical[i];

		CHECK_EQ(unquoted(p->text, strlen(p->text), &back, &message), 0);
		CHECK_BYTES(back.bytes, back.used, p->bytes, p->size);
	}
	for (int round = 0; round < 20000; round++) {
		uint8_t in[12];
		struct collected c;

		for (size_t i = 0; i < sizeof(in); i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			in[i] = (uint8_t)(random >> 56);
			if (random >> 40 & 1)
				in[i] |= 0x80;
		}
		c = quoted(in, sizeof(in));
		CHECK_EQ(unquoted(c.bytes, c.used, &back, &message), 0);
		CHECK_BYTES(back.bytes, back.used, in, sizeof(in));
	}
}

static void quote_reads_the_other_forms_of_go(void)
{
	static const struct pair others[] = {
		PAIR("\\x41\\101\\u0041\\U00000041", "AAAA"),
		PAIR("\\xFF\\377", "\xff\xff"),
		PAIR("\\u00e9\\u4E16\\U0001F600", "é世😀"),
		{"`a\\n\"b\r`", "a\\n\"b", 5},
		{"``", "", 0},
	};
	struct collected back;
	const char *message;

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(others); i++) {
		const struct pair *p = &others[i];

		CHECK_EQ(unquoted(p->text, strlen(p->text), &back, &message), 0);
		CHECK_BYTES(back.bytes, back.used, p->bytes, p->size);
	}
}

static void quote_refuses_the_rest_with_a_sentence(void)
{
	static const char *const bad[] = {
		"",
		"\"",
		"x",
		"abc",
		"'a'",
		"\"a",
		"\"a`",
		"\"a\\\"",
		"\"\\\"",
		"\"\\q\"",
		"\"\\'\"",
		"\"\\x4\"",
		"\"\\x4g\"",
		"\"\\8\"",
		"\"\\400\"",
		"\"\\12\"",
		"\"\\u12\"",
		"\"\\ud800\"",
		"\"\\U00110000\"",
		"\"\\Uffffffff\"",
		"\"a\"b\"",
		"`a`b`",
		"\"\xff\"",
		"\"\xc3\"",
	};
	struct collected back;

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(bad); i++) {
		const char *message = NULL;

		if (!CHECK_EQ(unquoted(bad[i], strlen(bad[i]), &back, &message), STELE_E_SYNTAX))
			printf("# for %s\n", bad[i]);
		CHECK(message && strlen(message) > 10);
	}
}

static void quote_counts_without_a_callback(void)
{
	struct stele_text_out out;
	const char *message;

	stele__text_out_init(&out, NULL, NULL);
	CHECK_EQ(stele__quote_get("\"a\\u4e16\"", 9, &out, &message), 0);
	CHECK_EQ(out.bytes, 4);
	CHECK_EQ(stele__text_out_flush(&out), 0);
}

static void quote_keeps_the_first_failure_of_the_callback(void)
{
	static uint8_t zeros[4096];
	struct collected c = {.used = 0};
	struct stele_text_out out;

	stele__text_out_init(&out, collect, &c);
	stele__quote_put(&out, zeros, sizeof(zeros)); /* four bytes each: does not fit */
	CHECK_EQ(stele__text_out_flush(&out), STELE_E_LIMIT);
	CHECK(c.used <= sizeof(c.bytes));
}

TAP_MAIN(TEST(quote_writes_what_go_writes), TEST(quote_reads_what_it_writes),
	 TEST(quote_reads_the_other_forms_of_go), TEST(quote_refuses_the_rest_with_a_sentence),
	 TEST(quote_counts_without_a_callback), TEST(quote_keeps_the_first_failure_of_the_callback))
