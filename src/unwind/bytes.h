/* SPDX-License-Identifier: MIT */
/*
 * Bounded reading of unwind data: every read is inside [at, end), or sets `bad` and yields 0.
 * (The cursor of the trace format belongs to another layer and reports other errors.)
 *
 * Data of a module that may be unloaded at any moment are *guarded*: read by the kernel, which
 * reports what is no longer mapped. That is some 50 system calls a row, once for each pc.
 */
#ifndef STELE_UNWIND_BYTES_H
#define STELE_UNWIND_BYTES_H

#include <errno.h>
#include <string.h>

#include "base/compiler.h"
#include "sys/sys.h"
#include "unwind/module.h"

struct stele_bytes {
	const uint8_t *at;
	const uint8_t *end;
	bool guarded;
	bool bad;
};

STELE_INLINE size_t stele__bytes_left(const struct stele_bytes *b)
{
	return b->bad ? 0 : (size_t)(b->end - b->at);
}

/* Where the kernel does not do it (old emulators, sandboxes), memory of a module that may go is
 * read as it is, unless one is being unloaded right now. */
STELE_INLINE bool stele__bytes_get_guarded(const void *from, void *to, size_t bytes)
{
	int r = stele__sys_read_memory(to, from, bytes);

	if (STELE_LIKELY(r == 0))
		return true;
	if ((r != -ENOSYS && r != -EPERM) || stele__module_is_unloading())
		return false;
	memcpy(to, from, bytes);
	return true;
}

STELE_INLINE void stele__bytes_get(struct stele_bytes *b, void *to, size_t bytes)
{
	if (stele__bytes_left(b) < bytes ||
	    (b->guarded && !stele__bytes_get_guarded(b->at, to, bytes))) {
		b->bad = true;
		memset(to, 0, bytes);
		return;
	}
	if (!b->guarded)
		memcpy(to, b->at, bytes);
	b->at += bytes;
}

STELE_INLINE uint64_t stele__bytes_fixed(struct stele_bytes *b, size_t bytes)
{
	uint64_t v = 0;

	stele__bytes_get(b, &v, bytes); /* little-endian, as both machines are */
	return v;
}

STELE_INLINE uint8_t stele__bytes_u8(struct stele_bytes *b)
{
	return (uint8_t)stele__bytes_fixed(b, 1);
}

STELE_INLINE uint32_t stele__bytes_u32(struct stele_bytes *b)
{
	return (uint32_t)stele__bytes_fixed(b, 4);
}

STELE_INLINE void stele__bytes_skip(struct stele_bytes *b, uint64_t bytes)
{
	if (stele__bytes_left(b) < bytes)
		b->bad = true;
	else
		b->at += bytes;
}

/* At most ten bytes each; what does not fit in 64 bits is bad. */
uint64_t stele__bytes_uleb(struct stele_bytes *b);
int64_t stele__bytes_sleb(struct stele_bytes *b);

#endif
