/* SPDX-License-Identifier: MIT */
#include "cli/printer.h"

#include <errno.h>
#include <unistd.h>

#include "base/utf.h"

static const char printer_digits[] = "0123456789abcdef";

int stele__printer_flush(struct stele__printer *printer)
{
	size_t at = 0;

	while (at < printer->used && !printer->error) {
		ssize_t n = write(STDOUT_FILENO, printer->buffer + at, printer->used - at);

		if (n >= 0)
			at += (size_t)n;
		else if (errno != EINTR)
			printer->error = -errno;
	}
	printer->used = 0;
	return printer->error;
}

void stele__print_bytes(struct stele__printer *printer, const char *data, size_t bytes)
{
	while (bytes) {
		size_t n = bytes < STELE__PRINTER_BYTES ? bytes : STELE__PRINTER_BYTES;

		stele__printer_room(printer, n);
		memcpy(printer->buffer + printer->used, data, n);
		printer->used += n;
		data += n;
		bytes -= n;
	}
}

void stele__print_u64(struct stele__printer *printer, uint64_t v)
{
	char digits[20];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	stele__print_bytes(printer, digits + n, sizeof(digits) - n);
}

void stele__print_i64(struct stele__printer *printer, int64_t v)
{
	if (v < 0)
		stele__print_char(printer, '-');
	stele__print_u64(printer, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void stele__print_hex(struct stele__printer *printer, uint64_t v)
{
	char digits[16];
	size_t n = sizeof(digits);

	do {
		digits[--n] = printer_digits[v & 15];
		v >>= 4;
	} while (v);
	stele__print_bytes(printer, digits + n, sizeof(digits) - n);
}

void stele__print_escaped(struct stele__printer *printer, struct stele_string text)
{
	if (!text.bytes)
		stele__print_bytes(printer, "\"\"", 2);
	for (size_t i = 0; i < text.bytes; i++) {
		uint8_t c = (uint8_t)text.data[i];

		stele__printer_room(printer, 3);
		if (c > ' ' && c <= '~' && c != '%' && c != ',') {
			printer->buffer[printer->used++] = (char)c;
		} else {
			static const char upper[] = "0123456789ABCDEF";

			printer->buffer[printer->used++] = '%';
			printer->buffer[printer->used++] = upper[c >> 4];
			printer->buffer[printer->used++] = upper[c & 15];
		}
	}
}

static void printer_code(struct stele__printer *printer, const char *prefix, uint8_t c)
{
	stele__print(printer, prefix);
	stele__print_char(printer, printer_digits[c >> 4]);
	stele__print_char(printer, printer_digits[c & 15]);
}

void stele__print_quoted(struct stele__printer *printer, struct stele_string text)
{
	const uint8_t *p = (const uint8_t *)text.data;

	stele__print_char(printer, '"');
	for (size_t i = 0; i < text.bytes;) {
		size_t n = stele__utf_length(p + i, text.bytes - i);

		if (n == 0 || p[i] < 0x20 || p[i] == 0x7f) {
			printer_code(printer, "\\x", p[i]);
			n = 1;
		} else {
			if (p[i] == '"' || p[i] == '\\')
				stele__print_char(printer, '\\');
			stele__print_bytes(printer, text.data + i, n);
		}
		i += n;
	}
	stele__print_char(printer, '"');
}

void stele__print_json(struct stele__printer *printer, struct stele_string text)
{
	const uint8_t *p = (const uint8_t *)text.data;

	stele__print_char(printer, '"');
	for (size_t i = 0; i < text.bytes;) {
		size_t n = stele__utf_length(p + i, text.bytes - i);

		if (n == 0) {
			stele__print(printer, "\\ufffd");
			n = 1;
		} else if (p[i] < 0x20) {
			printer_code(printer, "\\u00", p[i]);
		} else {
			if (p[i] == '"' || p[i] == '\\')
				stele__print_char(printer, '\\');
			stele__print_bytes(printer, text.data + i, n);
		}
		i += n;
	}
	stele__print_char(printer, '"');
}
