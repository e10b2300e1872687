/* SPDX-License-Identifier: MIT */
/*
 * Where a running recorder can be met: a socket in a directory that is this user's alone,
 * $XDG_RUNTIME_DIR/stele or, without one, /tmp/stele-UID. Its name is PROGRAM-RECORDER, two
 * process ids.
 *
 * One request and one answer each, as packets: "WORD ARGUMENT" and "ok TEXT" or "error TEXT".
 */
#ifndef STELE_SUPERVISE_RENDEZVOUS_H
#define STELE_SUPERVISE_RENDEZVOUS_H

#include <limits.h>

#include "base/compiler.h"

#define STELE_RENDEZVOUS_BYTES_MAX 8192 /* of a request or an answer */

/* Two numbers and a path. */
struct stele_rendezvous {
	int program, recorder; /* process ids */
	char path[PATH_MAX];
};

/* The socket of the recorder that calls, listening. -errno; -EPERM: the directory is somebody
 * else's, or open to others. */
int stele__rendezvous_open(int program, struct stele_rendezvous *ret_place);
void stele__rendezvous_close(int fd, const struct stele_rendezvous *place);

/* Is whoever connected to this socket the same user, or root? */
bool stele__rendezvous_is_trusted(int fd);

/*
 * All recorders of this user, at most max of them, stale places removed. Returns their number or
 * -errno.
 */
int stele__rendezvous_list(struct stele_rendezvous *places, size_t max);

/* A connection to the recorder of this program, or with this process id itself. -ESRCH: none. */
int stele__rendezvous_connect(int pid, struct stele_rendezvous *ret_place);

/*
 * Sends a request and waits for its answer, whose text is put into answer, terminated. 0;
 * -EREMOTEIO: the recorder refused, the text says why; -EPIPE: it ended meanwhile; -errno.
 */
int stele__rendezvous_ask(int fd, const char *request, char *answer, size_t bytes);

#endif
