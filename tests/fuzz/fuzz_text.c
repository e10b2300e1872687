/* SPDX-License-Identifier: MIT */
/* Any text: what could be read of it becomes bytes that decode and come back. */
#include "format/archive.h"
#include "support/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
	if (!held)
		__builtin_trap();
}

static void check(const char *text, size_t size, bool sizes)
{
	struct converted bytes = convert_to_bytes(text, size, sizes), back, again;

	require(bytes.error <= 0 && memchr(bytes.message, 0, sizeof(bytes.message)));
	require((bytes.error < 0) == (bytes.message[0] != 0));
	if (bytes.bytes) {
		back = convert_to_text(bytes.data, bytes.bytes, true);
		again = convert_to_bytes(back.data, back.bytes, false);
		require(!back.error && !again.error);
		require(again.bytes == bytes.bytes && !memcmp(again.data, bytes.data, bytes.bytes));
		free(back.data);
		free(again.data);
	}
	free(bytes.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct stele_section s;

	check(text, size, false);
	check(text, size, true);
	if (stele__archive_find(text, size, "trace", &s) == 1) {
		require(s.text >= text && s.bytes <= size &&
			(size_t)(s.text - text) + s.bytes <= size && s.line > 1);
		check(s.text, s.bytes, false);
	}
	return 0;
}
