/* SPDX-License-Identifier: MIT */
/* Any bytes: what can be decoded of them survives the way through text. */
#include "support/convert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
	if (!held)
		__builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct converted exact = convert_to_text(data, size, true);
	struct converted plain = convert_to_text(data, size, false);
	struct converted bytes = convert_to_bytes(exact.data, exact.bytes, false);
	struct converted shorter = convert_to_bytes(plain.data, plain.bytes, false);
	struct converted again = convert_to_text(shorter.data, shorter.bytes, true);

	require(exact.error == plain.error && exact.place == plain.place);
	require(exact.bytes || exact.error < 0);
	if (exact.bytes) {
		require(!bytes.error && !shorter.error && !again.error);
		require(bytes.bytes <= size && !memcmp(bytes.data, data, bytes.bytes));
		require(exact.error < 0 ? exact.place <= size : bytes.bytes == size);
		require(again.bytes == plain.bytes && !memcmp(again.data, plain.data, plain.bytes));
	}
	free(exact.data);
	free(plain.data);
	free(bytes.data);
	free(shorter.data);
	free(again.data);
	return 0;
}
