/* SPDX-License-Identifier: MIT */
#include "format/cursor.h"

uint64_t stele__cursor_varint_long(struct stele_cursor *c)
{
	const uint8_t *p = c->at;
	uint64_t v = 0;

	if (c->error)
		return 0;
	for (unsigned shift = 0; p < c->end; shift += 7) {
		uint8_t byte = *p++;

		if (shift == 63 && byte > 1) {
			c->error = STELE_E_CORRUPT;
			return 0;
		}
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			c->at = p;
			return v;
		}
	}
	c->error = STELE_E_TRUNCATED;
	return 0;
}
