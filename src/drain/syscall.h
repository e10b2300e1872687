/* SPDX-License-Identifier: MIT */
#ifndef STELE_DRAIN_SYSCALL_H
#define STELE_DRAIN_SYSCALL_H

#include <stdint.h>

/* The name of the system call with this number + 1; NULL: none has it here, or it is 0. */
const char *stele__syscall_name(uint16_t call);

#endif
