/* SPDX-License-Identifier: MIT */
/* What is put into the child's environment so that it joins the recording. */
#ifndef STELE_SUPERVISE_LOCATE_H
#define STELE_SUPERVISE_LOCATE_H

#include "base/compiler.h"

/*
 * The preload module: $STELE_PRELOAD_MODULE, else src/preload/ beside the program (a build tree),
 * else ../lib.../stele/ (an installed copy). With `heap` the one that records allocations, which
 * lies beside it. -ENOENT; -EINVAL: its path holds a blank or a colon, which LD_PRELOAD cannot
 * express.
 */
int stele__locate_module(bool heap, char *ret_path, size_t bytes);

/*
 * A copy of `environment` with LD_PRELOAD and STELE_ARENA set; NULL: no memory. `module` comes
 * first in LD_PRELOAD, but behind sanitizer runtimes, which insist on being first: those already
 * there, and `sanitizer` ("": none), which the program itself needs. One block: free() it.
 */
char **stele__locate_environment(char *const *environment, const char *module,
				 const char *sanitizer, const char *arena);

#endif
