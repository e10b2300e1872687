/* SPDX-License-Identifier: MIT */
#include "export/proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/utf.h"

#define PROTO_LENGTH_BYTES 4
#define PROTO_LENGTH_MAX   ((size_t)1 << 28)

void stele__proto_done(struct stele__proto *p)
{
	free(p->data);
	*p = (struct stele__proto){0};
}

static bool proto_room(struct stele__proto *p, size_t bytes)
{
	size_t grown = p->max ? p->max : 4096;
	uint8_t *moved;

	if (p->error)
		return false;
	if (p->max - p->used >= bytes)
		return true;
	while (grown - p->used < bytes)
		grown *= 2;
	moved = grown < PROTO_LENGTH_MAX ? realloc(p->data, grown) : NULL;
	if (!moved) {
		p->error = grown < PROTO_LENGTH_MAX ? -ENOMEM : STELE_E_LIMIT;
		return false;
	}
	p->data = moved;
	p->max = grown;
	return true;
}

static void proto_varint(struct stele__proto *p, uint64_t v)
{
	if (!proto_room(p, 10))
		return;
	for (; v >= 0x80; v >>= 7)
		p->data[p->used++] = (uint8_t)(v | 0x80);
	p->data[p->used++] = (uint8_t)v;
}

void stele__proto_u64(struct stele__proto *p, unsigned field, uint64_t value)
{
	proto_varint(p, (uint64_t)field << 3);
	proto_varint(p, value);
}

void stele__proto_fixed64(struct stele__proto *p, unsigned field, uint64_t value)
{
	proto_varint(p, (uint64_t)field << 3 | 1);
	if (!proto_room(p, sizeof(value)))
		return;
	for (unsigned i = 0; i < sizeof(value); i++)
		p->data[p->used++] = (uint8_t)(value >> 8 * i);
}

void stele__proto_number(struct stele__proto *p, uint64_t value)
{
	proto_varint(p, value);
}

void stele__proto_text(struct stele__proto *p, unsigned field, struct stele_string text)
{
	uint8_t *out;

	proto_varint(p, (uint64_t)field << 3 | 2);
	proto_varint(p, text.bytes);
	if (!text.bytes || !proto_room(p, text.bytes))
		return;
	out = p->data + p->used;
	memcpy(out, text.data, text.bytes);
	for (size_t i = 0; i < text.bytes;) {
		size_t n = stele__utf_length(out + i, text.bytes - i);

		if (!n)
			out[i] = '?';
		i += n ? n : 1;
	}
	p->used += text.bytes;
}

size_t stele__proto_open(struct stele__proto *p, unsigned field)
{
	proto_varint(p, (uint64_t)field << 3 | 2);
	if (!proto_room(p, PROTO_LENGTH_BYTES))
		return 0;
	p->used += PROTO_LENGTH_BYTES;
	return p->used;
}

void stele__proto_close(struct stele__proto *p, size_t opened)
{
	size_t length = p->used - opened;

	if (p->error)
		return;
	for (unsigned i = 0; i < PROTO_LENGTH_BYTES; i++) {
		bool last = i + 1 == PROTO_LENGTH_BYTES;

		p->data[opened - PROTO_LENGTH_BYTES + i] =
			(uint8_t)((length >> (7 * i) & 0x7f) | (last ? 0 : 0x80));
	}
}
