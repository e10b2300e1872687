/* SPDX-License-Identifier: MIT */
/*
 * Alternate signal stacks for our own signal: threads may run on stacks that have no room for one.
 * The program sees none, and its handlers run where they would: as soon as one of them wants an
 * alternate stack (SA_ONSTACK), the program takes care itself, and no thread gets any more of ours.
 */
#ifndef STELE_PRELOAD_ALTSTACK_H
#define STELE_PRELOAD_ALTSTACK_H

#include "base/compiler.h"

/* The calling thread gets one, unless it has one; and gives it back, the last that it does. */
void stele__altstack_thread_begin(void) STELE_HIDDEN;
void stele__altstack_thread_end(void) STELE_HIDDEN;

/*
 * A handler wants an alternate stack. The calling thread loses ours; others that have one keep it.
 * Also in signal handlers.
 */
void stele__altstack_leave_to_program(void) STELE_HIDDEN;
#endif
