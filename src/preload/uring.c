/* SPDX-License-Identifier: MIT */
/*
 * io_uring, by liburing's functions. What is handed to the kernel is a task from then on until its
 * completion is seen: when one of these functions is called or returns, for most of what takes
 * completions out of the ring is inlined into the program. Going to the kernel is a system call.
 *
 * Rings of programs that bring liburing in themselves, linked statically, are not seen.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "preload/file.h"
#include "preload/preload.h"
#include "preload/resolve.h"
#include "preload/uring.h"
#include "stele/trace.h"

#define URING_RINGS   32  /* that are followed at once */
#define URING_BUCKETS 256 /* of operations that are under way, by what the program calls them */
#define URING_WAYS    8	  /* in a bucket; those beyond are not told of */
#define URING_NAMES   16  /* of files, remembered */
#define URING_TEXT    200
#define URING_SPINS   1000 /* for another thread that looks at the same ring */

#ifndef SYS_io_uring_enter
#define SYS_io_uring_enter 426
#endif

/* Newer than some headers. */
#define URING_SQE128 (1u << 10)
#define URING_CQE32  (1u << 11)
#define URING_MORE   (1u << 1) /* of a completion: others of the same operation follow */
#define URING_FIXED  (1u << 0) /* of an operation: its descriptor is an index of the ring's */

struct uring_operation {
	uint64_t name;	    /* user_data: the program's */
	stele_task_id task; /* 0: none */
};

struct uring_file {
	int fd;
	char text[URING_TEXT]; /* of an operation on it: "io_uring read /path" */
	uint8_t opcode;
};

struct uring_state {
	const struct stele_uring *ring; /* NULL: free. Taken by CAS */
	int fd;
	uint32_t busy;	    /* one thread at a time */
	unsigned submitted; /* operations before this one were told of */
	unsigned completed; /* completions before this one were seen */
	struct uring_operation operations[URING_BUCKETS][URING_WAYS];
	struct uring_file files[URING_NAMES];
};

static struct uring_state uring_states[URING_RINGS];
static STELE_TLS bool uring_inside; /* one of these functions may call another */

static const char *const uring_opcodes[] = {
	"nop",
	"readv",
	"writev",
	"fsync",
	"read_fixed",
	"write_fixed",
	"poll_add",
	"poll_remove",
	"sync_file_range",
	"sendmsg",
	"recvmsg",
	"timeout",
	"timeout_remove",
	"accept",
	"async_cancel",
	"link_timeout",
	"connect",
	"fallocate",
	"openat",
	"close",
	"files_update",
	"statx",
	"read",
	"write",
	"fadvise",
	"madvise",
	"send",
	"recv",
	"openat2",
	"epoll_ctl",
	"splice",
	"provide_buffers",
	"remove_buffers",
	"tee",
	"shutdown",
	"renameat",
	"unlinkat",
	"mkdirat",
	"symlinkat",
	"linkat",
	"msg_ring",
	"fsetxattr",
	"setxattr",
	"fgetxattr",
	"getxattr",
	"socket",
	"uring_cmd",
	"send_zc",
	"sendmsg_zc",
};

/* Those whose fd is a descriptor that they are of. */
static bool opcode_has_file(uint8_t opcode)
{
	switch (opcode) {
	case IORING_OP_NOP:
	case IORING_OP_POLL_REMOVE:
	case IORING_OP_TIMEOUT:
	case IORING_OP_TIMEOUT_REMOVE:
	case IORING_OP_ASYNC_CANCEL:
	case IORING_OP_LINK_TIMEOUT:
	case IORING_OP_OPENAT:
	case IORING_OP_OPENAT2:
	case IORING_OP_STATX:
	case IORING_OP_MADVISE:
		return false;
	default:
		return opcode < IORING_OP_PROVIDE_BUFFERS;
	}
}

/* ---- what is known of a ring ---- */

static void state_begin(struct uring_state *s, const struct stele_uring *ring)
{
	memset(s->operations, 0, sizeof(s->operations));
	for (size_t i = 0; i < URING_NAMES; i++)
		s->files[i].fd = -1;
	s->fd = ring->ring_fd;
	s->submitted = ring->sq.sqe_head;
	s->completed = __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE);
}

/* Its state, which is the caller's until state_leave(); NULL: not now. */
static struct uring_state *state_enter(const struct stele_uring *ring)
{
	struct uring_state *s = NULL;
	bool fresh = false;

	for (unsigned i = 0; i < URING_RINGS && !s; i++)
		if (stele__load_relaxed(&uring_states[i].ring) == ring)
			s = &uring_states[i];
	for (unsigned i = 0; i < URING_RINGS && !s; i++)
		if (!stele__load_relaxed(&uring_states[i].ring) &&
		    __sync_bool_compare_and_swap(&uring_states[i].ring, NULL, ring)) {
			s = &uring_states[i];
			fresh = true;
		}
	for (unsigned spins = 0; s && !stele__cas_u32(&s->busy, 0, 1); spins++)
		if (spins == URING_SPINS)
			return NULL;
	if (s && (fresh || s->fd != ring->ring_fd))
		state_begin(s, ring);
	return s;
}

static void state_leave(struct uring_state *s)
{
	stele__store_release(&s->busy, 0);
}

void stele__uring_forget_all(void)
{
	memset(uring_states, 0, sizeof(uring_states));
}

static struct uring_operation *state_bucket(struct uring_state *s, uint64_t name)
{
	return s->operations[(name * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
}

_Static_assert(URING_BUCKETS == 256, "a byte of the hash");

/* ---- operations ---- */

static const char *operation_name(uint8_t opcode)
{
	return opcode < STELE_ARRAY_LENGTH(uring_opcodes) ? uring_opcodes[opcode] : "operation";
}

static char *text_append(char *at, const char *end, const char *text)
{
	while (*text && at < end)
		*at++ = *text++;
	*at = '\0';
	return at;
}

/* "io_uring read /path"; the path is asked for again when the descriptor stands for another. */
static const char *operation_text(struct uring_state *s, uint8_t opcode, int fd, char *room)
{
	struct uring_file *f = &s->files[((unsigned)fd * 7 + opcode) % URING_NAMES];
	bool has_file = fd >= 0 && opcode_has_file(opcode);
	char *at, *end;

	if (has_file && f->fd == fd && f->opcode == opcode && stele__file_is_told(fd))
		return f->text;
	at = has_file ? f->text : room;
	end = at + URING_TEXT - 1;
	at = text_append(at, end, "io_uring ");
	at = text_append(at, end, operation_name(opcode));
	if (!has_file)
		return room;
	stele__file_note(fd);
	f->fd = fd;
	f->opcode = opcode;
	if (at < end - 1) {
		*at++ = ' ';
		stele__file_describe(fd, at, (size_t)(end - at));
		if (!*at)
			at[-1] = '\0';
	}
	return f->text;
}

static void operation_begin(struct uring_state *s, const struct io_uring_sqe *sqe)
{
	struct uring_operation *bucket = state_bucket(s, sqe->user_data);
	char room[URING_TEXT];
	int fd = sqe->flags & URING_FIXED ? -1 : sqe->fd;

	for (unsigned i = 0; i < URING_WAYS; i++)
		if (!bucket[i].task) {
			bucket[i].name = sqe->user_data;
			bucket[i].task =
				stele_task_begin(operation_text(s, sqe->opcode, fd, room), 0);
			return;
		}
}

static void operation_error(stele_task_id task, int error)
{
	char text[16], *at = text + sizeof(text) - 1;

	*at = '\0';
	for (; error; error /= 10)
		*--at = (char)('0' + error % 10);
	stele_log(task, "errno", at);
}

/* Of several with one name the oldest: that is how most are completed. */
static void operation_end(struct uring_state *s, const struct io_uring_cqe *cqe)
{
	struct uring_operation *bucket = state_bucket(s, cqe->user_data), *oldest = NULL;

	if (cqe->flags & URING_MORE)
		return;
	for (unsigned i = 0; i < URING_WAYS; i++)
		if (bucket[i].task && bucket[i].name == cqe->user_data &&
		    (!oldest || bucket[i].task < oldest->task))
			oldest = &bucket[i];
	if (!oldest)
		return;
	if (cqe->res < 0 && cqe->res > -4096)
		operation_error(oldest->task, -cqe->res);
	stele_task_end(oldest->task);
	oldest->task = 0;
}

/* ---- looking at the rings ---- */

static void look_completed(struct uring_state *s, const struct stele_uring *ring)
{
	unsigned tail = __atomic_load_n(ring->cq.ktail, __ATOMIC_ACQUIRE);
	unsigned entries = *ring->cq.kring_entries, mask = *ring->cq.kring_mask;
	unsigned shift = ring->flags & URING_CQE32 ? 1 : 0;

	if (tail - s->completed > entries)
		s->completed = tail - entries; /* those before were overwritten */
	for (; s->completed != tail; s->completed++)
		operation_end(s, &ring->cq.cqes[(s->completed & mask) << shift]);
}

static void look_submitted(struct uring_state *s, const struct stele_uring *ring)
{
	unsigned entries = *ring->sq.kring_entries, mask = *ring->sq.kring_mask;
	unsigned shift = ring->flags & URING_SQE128 ? 1 : 0;

	if (ring->sq.sqe_tail - s->submitted > entries)
		s->submitted = ring->sq.sqe_head;
	for (; s->submitted != ring->sq.sqe_tail; s->submitted++)
		operation_begin(s, &ring->sq.sqes[(s->submitted & mask) << shift]);
}

struct uring_call {
	stele_interval call;
	bool told;
};

static struct uring_call call_begin(const struct stele_uring *ring)
{
	struct uring_call c = {0, stele__recording() && !uring_inside};
	struct uring_state *s = c.told ? state_enter(ring) : NULL;

	if (!c.told)
		return c;
	uring_inside = true;
	if (s) {
		look_completed(s, ring);
		look_submitted(s, ring);
		state_leave(s);
	}
	stele__file_note(ring->ring_fd);
	c.call = stele_syscall_begin_file(SYS_io_uring_enter, ring->ring_fd);
	return c;
}

static void call_end(const struct stele_uring *ring, const struct uring_call *c, int result)
{
	struct uring_state *s;
	int saved_errno = errno;

	if (!c->told)
		return;
	stele_syscall_end(c->call, result);
	s = state_enter(ring);
	if (s) {
		look_completed(s, ring);
		state_leave(s);
	}
	uring_inside = false;
	errno = saved_errno;
}

/* Who brings liburing along in a plugin of its own has it where only that looks. */
#define URING_REAL(name)                                                                           \
	((__typeof__(&name))stele__resolve_for(STELE_REAL_##name, __builtin_return_address(0)))

#define URING(type, name, params, args)                                                            \
	type name params;                                                                          \
	STELE_EXPORT type name params                                                              \
	{                                                                                          \
		struct uring_call call = call_begin(ring);                                         \
		type result = URING_REAL(name) args;                                               \
                                                                                                   \
		call_end(ring, &call, (int)result);                                                \
		return result;                                                                     \
	}

URING(int, io_uring_submit, (struct stele_uring * ring), (ring))
URING(int, io_uring_submit_and_wait, (struct stele_uring * ring, unsigned count), (ring, count))
URING(int, io_uring_submit_and_wait_timeout,
      (struct stele_uring * ring, struct io_uring_cqe **cqe, unsigned count,
       struct __kernel_timespec *time, sigset_t *mask),
      (ring, cqe, count, time, mask))
URING(int, io_uring_submit_and_get_events, (struct stele_uring * ring), (ring))
URING(int, io_uring_get_events, (struct stele_uring * ring), (ring))
URING(int, io_uring_wait_cqes,
      (struct stele_uring * ring, struct io_uring_cqe **cqe, unsigned count,
       struct __kernel_timespec *time, sigset_t *mask),
      (ring, cqe, count, time, mask))
URING(int, io_uring_wait_cqe_timeout,
      (struct stele_uring * ring, struct io_uring_cqe **cqe, struct __kernel_timespec *time),
      (ring, cqe, time))
URING(int, __io_uring_get_cqe,
      (struct stele_uring * ring, struct io_uring_cqe **cqe, unsigned submit, unsigned count,
       sigset_t *mask),
      (ring, cqe, submit, count, mask))

void io_uring_queue_exit(struct stele_uring *ring);

STELE_EXPORT void io_uring_queue_exit(struct stele_uring *ring)
{
	struct uring_state *s = stele__recording() ? state_enter(ring) : NULL;

	if (s) {
		look_completed(s, ring);
		stele__store_release(&s->ring, NULL);
		state_leave(s);
	}
	URING_REAL(io_uring_queue_exit)(ring);
}
