/* SPDX-License-Identifier: MIT */
#include "arena/layout.h"

const char *const stele__kind_names[STELE__KIND_COUNT] = {
#define X(name, class, flags, a, b, c) #name,
#include "arena/kinds.def"
#undef X
};

const char *const stele__wait_texts[STELE__WAIT_COUNT] = {
#define X(name, text) text,
#include "arena/waits.def"
#undef X
};
