/* SPDX-License-Identifier: MIT */
#ifndef STELE_CLI_UTF_H
#define STELE_CLI_UTF_H

#include "base/compiler.h"

/* Length of the well-formed UTF-8 sequence that begins at p (left > 0), 0 if none does. */
size_t stele__utf_length(const uint8_t *p, size_t left);

#endif
