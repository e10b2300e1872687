/* SPDX-License-Identifier: MIT */
/* Numbers with units, as they are typed on a command line. */
#ifndef STELE_CLI_NUMBER_H
#define STELE_CLI_NUMBER_H

#include <stdint.h>

/* "65536", "64K", "64M", "1G", also "64MiB": bytes, in powers of 1024. -EINVAL: not a size;
 * -ERANGE: does not fit. */
int stele__number_bytes(const char *text, uint64_t *ret_bytes);

#endif
