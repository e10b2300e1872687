/* SPDX-License-Identifier: MIT */
/* Asking a recorder that runs: snapshot, start, stop, status. */
#ifndef STELE_CLI_TALK_H
#define STELE_CLI_TALK_H

#include "base/compiler.h"

/* A process id as it is typed. 0: it is none. */
int stele__talk_pid(const char *text);

/*
 * Asks the recorder of this process. STELE_EXIT_OK with its answer, or another exit code: then it
 * was said why.
 */
int stele__talk(int pid, const char *request, char *answer, size_t bytes);

#endif
