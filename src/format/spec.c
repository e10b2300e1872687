/* SPDX-License-Identifier: MIT */
#include "format/spec.h"

#include <string.h>

#include "base/error.h"

#define NAME_A(kind, text) text
#define KIND_A(kind, text) STELE_ARG_##kind

#define ARGS0()                                                                                    \
	0, {0},                                                                                    \
	{                                                                                          \
		NULL                                                                               \
	}
#define ARGS1(a)                                                                                   \
	1, {KIND_##a},                                                                             \
	{                                                                                          \
		NAME_##a                                                                           \
	}
#define ARGS2(a, b)                                                                                \
	2, {KIND_##a, KIND_##b},                                                                   \
	{                                                                                          \
		NAME_##a, NAME_##b                                                                 \
	}
#define ARGS3(a, b, c)                                                                             \
	3, {KIND_##a, KIND_##b, KIND_##c},                                                         \
	{                                                                                          \
		NAME_##a, NAME_##b, NAME_##c                                                       \
	}
#define ARGS4(a, b, c, d)                                                                          \
	4, {KIND_##a, KIND_##b, KIND_##c, KIND_##d},                                               \
	{                                                                                          \
		NAME_##a, NAME_##b, NAME_##c, NAME_##d                                             \
	}
#define ARGS5(a, b, c, d, e)                                                                       \
	5, {KIND_##a, KIND_##b, KIND_##c, KIND_##d, KIND_##e},                                     \
	{                                                                                          \
		NAME_##a, NAME_##b, NAME_##c, NAME_##d, NAME_##e                                   \
	}

const struct stele_spec stele__specs[256] = {
#define X(number, name, text, since, shape, closes, args)                                          \
	[number] = {text, STELE_SHAPE_##shape, since, STELE_EV_##closes, args},
#include "format/events.def"
#undef X
};

int stele__spec_find(const char *name, size_t length)
{
	for (int i = 0; i < 256; i++) {
		const char *known = stele__specs[i].name;

		if (known && strlen(known) == length && memcmp(known, name, length) == 0)
			return i;
	}
	return -1;
}

void stele__header_put(uint8_t out[STELE_HEADER_BYTES], unsigned version)
{
	memcpy(out, "go 1.00 trace\0\0\0", STELE_HEADER_BYTES);
	out[5] = (uint8_t)('0' + version / 10);
	out[6] = (uint8_t)('0' + version % 10);
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

int stele__header_get(const uint8_t in[STELE_HEADER_BYTES])
{
	int version;

	if (memcmp(in, "go 1.", 5) != 0 || !is_digit(in[5]))
		return STELE_E_NOT_TRACE;
	if (memcmp(in + 6, " trace\0\0\0\0", 10) == 0)
		return STELE_E_UNSUPPORTED; /* Go 1.5 … 1.9 */
	if (!is_digit(in[6]) || memcmp(in + 7, " trace\0\0\0", 9) != 0)
		return STELE_E_NOT_TRACE;
	version = (in[5] - '0') * 10 + (in[6] - '0');
	return stele__header_known((unsigned)version) ? version : STELE_E_UNSUPPORTED;
}
