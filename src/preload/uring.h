/* SPDX-License-Identifier: MIT */
/* What liburing 2 keeps of a ring, as its header lays it out (64 bit, from 2.0 on), so that it need
 * not be there. Beginnings only: what follows differs between its versions. */
#ifndef STELE_PRELOAD_URING_H
#define STELE_PRELOAD_URING_H

#include "base/compiler.h"

struct io_uring_sqe;
struct io_uring_cqe;

struct stele_uring_sq {
	unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *kdropped, *array;
	struct io_uring_sqe *sqes;
	unsigned sqe_head, sqe_tail; /* prepared and not yet handed over */
	size_t ring_bytes;
	void *ring_memory;
	unsigned later[4];
};

struct stele_uring_cq {
	unsigned *khead, *ktail, *kring_mask, *kring_entries, *kflags, *koverflow;
	struct io_uring_cqe *cqes;
	size_t ring_bytes;
	void *ring_memory;
	unsigned later[4];
};

struct stele_uring {
	struct stele_uring_sq sq;
	struct stele_uring_cq cq;
	unsigned flags;
	int ring_fd;
};

/* A child of a fork has a recording of its own. */
void stele__uring_forget_all(void) STELE_HIDDEN;

#endif
