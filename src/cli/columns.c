/* SPDX-License-Identifier: MIT */
#include "cli/columns.h"

#include <inttypes.h>
#include <string.h>

#include "base/utf.h"

static unsigned columns_decimals(double value)
{
	return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

const char *stele__column_time(int64_t ns, char *text)
{
	static const struct {
		double ns;
		const char *unit;
	} units[] = {{1e3, "µs"}, {1e6, "ms"}, {1e9, "s"}};
	double value = (double)ns;
	size_t unit = 0;

	if (ns < 1000) {
		snprintf(text, STELE__COLUMN_TEXT, "%" PRId64 " ns", ns);
		return text;
	}
	if (value >= 599.5e9) {
		int64_t s = (ns + 500000000) / 1000000000;

		snprintf(text, STELE__COLUMN_TEXT, "%" PRId64 "m%02ds", s / 60, (int)(s % 60));
		return text;
	}
	while (unit < 2 && value >= 999.5 * units[unit].ns)
		unit++;
	value /= units[unit].ns;
	snprintf(text, STELE__COLUMN_TEXT, "%.*f %s", columns_decimals(value), value,
		 units[unit].unit);
	return text;
}

const char *stele__column_count(uint64_t count, char *text)
{
	char digits[24];
	size_t length = (size_t)snprintf(digits, sizeof(digits), "%" PRIu64, count);
	size_t at = 0;

	for (size_t i = 0; i < length; i++) {
		text[at++] = digits[i];
		if (i + 1 < length && (length - 1 - i) % 3 == 0)
			text[at++] = ',';
	}
	text[at] = '\0';
	return text;
}

const char *stele__column_bytes(uint64_t bytes, char *text)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		snprintf(text, STELE__COLUMN_TEXT, "%" PRIu64 " B", bytes);
		return text;
	}
	for (; value >= 1023.5 && unit < 5; unit++)
		value /= 1024;
	snprintf(text, STELE__COLUMN_TEXT, "%.*f %s", columns_decimals(value), value, units[unit]);
	return text;
}

void stele__column_call(FILE *out, struct stele_string name, unsigned width)
{
	const char *blank = name.bytes ? memchr(name.data, ' ', name.bytes) : NULL;
	size_t call = blank ? (size_t)(blank - name.data) + 1 : 0;

	if (name.bytes > width && call + 8 < width) {
		size_t rest = width - call - 3;

		stele__column_name(out, (struct stele_string){name.data, call}, width);
		fputs("...", out);
		name = (struct stele_string){name.data + name.bytes - rest, rest};
	}
	stele__column_name(out, name, width);
}

void stele__column_pad(FILE *out, unsigned columns)
{
	fprintf(out, "%*s", (int)columns, "");
}

void stele__column_right(FILE *out, const char *text, unsigned width)
{
	unsigned columns = 0;

	for (const char *p = text; *p; p++)
		columns += (*p & 0xc0) != 0x80;
	if (columns < width)
		stele__column_pad(out, width - columns);
	fputs(text, out);
}

/* Bytes of the character at p, 0 for one that is not to be printed. */
static size_t columns_character(const uint8_t *p, size_t left)
{
	size_t n = stele__utf_length(p, left);
	bool c1 = n == 2 && p[0] == 0xc2 && p[1] < 0xa0; /* controls of eight bits */

	return p[0] < 0x20 || p[0] == 0x7f || c1 ? 0 : n;
}

static unsigned columns_of(struct stele_string name)
{
	unsigned columns = 0;

	for (size_t i = 0; i < name.bytes; columns++) {
		size_t n = columns_character((const uint8_t *)name.data + i, name.bytes - i);

		i += n ? n : 1;
	}
	return columns;
}

unsigned stele__column_name(FILE *out, struct stele_string name, unsigned width)
{
	unsigned columns = columns_of(name), max = columns > width ? width - 3 : width;
	unsigned done = 0;

	for (size_t i = 0; i < name.bytes && done < max; done++) {
		size_t n = columns_character((const uint8_t *)name.data + i, name.bytes - i);

		if (n)
			fwrite(name.data + i, 1, n, out);
		else
			fputc('?', out);
		i += n ? n : 1;
	}
	if (columns <= width)
		return done;
	fputs("...", out);
	return done + 3;
}
