/* SPDX-License-Identifier: MIT */
/*
 * The bytes of the input between two offsets: all of it for files and memory, a sliding part for
 * streams. Offsets count from the beginning of the input.
 *
 * Pointers into the window stay valid until the next call of need or drop on a stream.
 */
#ifndef STELE_READ_WINDOW_H
#define STELE_READ_WINDOW_H

#include "base/compiler.h"
#include "stele/read.h"

/* As much as a glance sees. */
#define STELE__GLANCE_BYTES 64

struct stele__window {
	const uint8_t *data; /* of offset `base` */
	uint64_t base;
	uint64_t end;  /* offset behind the last byte that is there */
	bool complete; /* nothing comes after `end` */
	void *map;     /* owned mapping, or NULL */
	size_t map_bytes;
	uint64_t released;	      /* pages of the mapping below this offset were given back */
	uint64_t idle_from, idle_end; /* released, but not given back yet */
	uint8_t *buffer;	      /* owned, of a stream */
	size_t buffer_bytes;
	stele_read_fn read;
	void *read_arg;
	int fd;		      /* of a file; -1: none */
	uint64_t glance_from; /* offset of the last glance */
	bool glance_read;     /* what it saw is in glance[] */
	uint8_t glance[STELE__GLANCE_BYTES];
};

int stele__window_open_file(struct stele__window *window, const char *path);
void stele__window_open_memory(struct stele__window *window, const void *data, size_t bytes);
void stele__window_open_stream(struct stele__window *window, stele_read_fn read, void *arg);
void stele__window_done(struct stele__window *window);

int stele__window_fill(struct stele__window *window, uint64_t end);

/* 1: the bytes up to offset `end` are there; 0: the input ends before; or -errno. */
STELE_INLINE int stele__window_need(struct stele__window *window, uint64_t end)
{
	if (STELE_LIKELY(end <= window->end))
		return 1;
	return window->complete ? 0 : stele__window_fill(window, end);
}

STELE_INLINE const uint8_t *stele__window_at(const struct stele__window *window, uint64_t offset)
{
	return window->data + (offset - window->base);
}

/*
 * A short look at what is at an offset inside the window, far from other places that are looked at:
 * the mapping would bring the fifteen pages around it, too. Until the next glance, need or drop.
 *
 * @param ret_bytes  how many there are: STELE__GLANCE_BYTES, or fewer at the window's end.
 */
const uint8_t *stele__window_glance(struct stele__window *window, uint64_t offset,
				    size_t *ret_bytes);

/* Bytes in front of this offset will not be asked for again. */
void stele__window_drop(struct stele__window *window, uint64_t offset);

/*
 * A mapping's pages inside [offset, end) need not stay in our memory: if they are asked for again,
 * the page cache has them. Keeps the size flat where a generation is large.
 */
void stele__window_release(struct stele__window *window, uint64_t offset, uint64_t end);

#endif
