/* SPDX-License-Identifier: MIT */
/* One int for every failure: 0 or more is success, -errno or a code of error.def is failure. */
#ifndef STELE_BASE_ERROR_H
#define STELE_BASE_ERROR_H

enum stele_error {
#define X(name, code, text) STELE_E_##name = (code),
#include "base/error.def"
#undef X
};

#endif
