/* SPDX-License-Identifier: MIT */
#include "cli/number.h"

#include <errno.h>

#include "support/tap.h"

static void number_reads_plain_bytes(void)
{
	uint64_t bytes = 7;

	CHECK_EQ(stele__number_bytes("0", &bytes), 0);
	CHECK_EQ(bytes, 0);
	CHECK_EQ(stele__number_bytes("18446744073709551615", &bytes), 0);
	CHECK_EQ(bytes, UINT64_MAX);
	CHECK_EQ(stele__number_bytes("12B", &bytes), 0);
	CHECK_EQ(bytes, 12);
}

static void number_reads_units(void)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {{"1K", 1024},	  {"1k", 1024},		{"64M", 64u << 20},
		     {"64MB", 64u << 20}, {"64MiB", 64u << 20}, {"3G", 3ull << 30},
		     {"2t", 2ull << 40}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = 0;

		CHECK_EQ(stele__number_bytes(cases[i].text, &bytes), 0);
		CHECK_EQ(bytes, cases[i].bytes);
	}
}

static void number_refuses_what_is_no_size(void)
{
	static const char *const cases[] = {"",	  "M",	 "-1",	" 1",	"1 M",
					    "1X", "1Mi", "1MM", "0x10", "1.5M"};
	uint64_t bytes = 42;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_EQ(stele__number_bytes(cases[i], &bytes), -EINVAL);
	CHECK_EQ(bytes, 42);
}

static void number_refuses_what_does_not_fit(void)
{
	uint64_t bytes = 42;

	CHECK_EQ(stele__number_bytes("18446744073709551616", &bytes), -ERANGE);
	CHECK_EQ(stele__number_bytes("16777216T", &bytes), -ERANGE);
	CHECK_EQ(stele__number_bytes("99999999999999999999999999", &bytes), -ERANGE);
	CHECK_EQ(bytes, 42);
}

TAP_MAIN(TEST(number_reads_plain_bytes), TEST(number_reads_units),
	 TEST(number_refuses_what_is_no_size), TEST(number_refuses_what_does_not_fit))
