/* SPDX-License-Identifier: MIT */
#include "export/textsink.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf.h"

void stele__text_bytes(struct stele__textsink *t, const char *data, size_t bytes)
{
	if (!t->error && bytes)
		t->error = t->e->write(t->e->arg, data, bytes);
}

void stele__text_format(struct stele__textsink *t, const char *format, ...)
{
	char text[512];
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	STELE_ASSERT(length >= 0 && (size_t)length < sizeof(text));
	stele__text_bytes(t, text, (size_t)length);
}

void stele__text_json(struct stele__textsink *t, struct stele_string text)
{
	const uint8_t *p = (const uint8_t *)text.data;

	stele__text_bytes(t, "\"", 1);
	for (size_t i = 0; i < text.bytes;) {
		size_t n = stele__utf_length(p + i, text.bytes - i);

		if (n == 0)
			stele__text_bytes(t, "\\ufffd", 6);
		else if (p[i] < 0x20)
			stele__text_format(t, "\\u%04x", p[i]);
		else if (p[i] == '"' || p[i] == '\\')
			stele__text_format(t, "\\%c", p[i]);
		else
			stele__text_bytes(t, text.data + i, n);
		i += n ? n : 1;
	}
	stele__text_bytes(t, "\"", 1);
}

void stele__text_xml(struct stele__textsink *t, struct stele_string text)
{
	const uint8_t *p = (const uint8_t *)text.data;

	for (size_t i = 0; i < text.bytes;) {
		size_t n = stele__utf_length(p + i, text.bytes - i);
		/* U+FFFE and U+FFFF are UTF-8, and no characters. */
		bool none = n == 3 && p[i] == 0xef && p[i + 1] == 0xbf && p[i + 2] >= 0xbe;

		if (n == 0 || none || (p[i] < 0x20 && p[i] != '\t'))
			stele__text_bytes(t, "\xef\xbf\xbd", 3);
		else if (p[i] == '<')
			stele__text_bytes(t, "&lt;", 4);
		else if (p[i] == '>')
			stele__text_bytes(t, "&gt;", 4);
		else if (p[i] == '&')
			stele__text_bytes(t, "&amp;", 5);
		else
			stele__text_bytes(t, text.data + i, n);
		i += n ? n : 1;
	}
}

void stele__text_csv(struct stele__textsink *t, struct stele_string text)
{
	bool quote = false;

	for (size_t i = 0; i < text.bytes; i++)
		quote = quote || strchr("\",\r\n", text.data[i]);
	if (!quote) {
		stele__text_bytes(t, text.data, text.bytes);
		return;
	}
	stele__text_bytes(t, "\"", 1);
	for (size_t i = 0; i < text.bytes; i++) {
		if (text.data[i] == '"')
			stele__text_bytes(t, "\"", 1);
		stele__text_bytes(t, text.data + i, 1);
	}
	stele__text_bytes(t, "\"", 1);
}
