/* SPDX-License-Identifier: MIT */
/* The classes of events that a user chooses among, by name: "lock,syscall". */
#ifndef STELE_SUPERVISE_EVENTCLASSES_H
#define STELE_SUPERVISE_EVENTCLASSES_H

#include "arena/layout.h"

/* "sched, lock, syscall, cpu or user" */
#define STELE_CLASSES_TEXT "sched, lock, syscall, cpu or user"

/* A list of names; "sched" is in any. False: it holds another word. */
bool stele__classes_parse(const char *list, uint32_t *ret_events);

/* The list of what is on, as text; "nothing". Returns text. */
char *stele__classes_print(uint32_t events, char *text, size_t bytes);

#endif
