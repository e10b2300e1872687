/* SPDX-License-Identifier: MIT */
#include "arena/layout.h"

#define ORDERED 1

const struct stele_kind_info stele__kinds[STELE__KIND_COUNT] = {
#define X(name, class, flags, a, b, c)                                                             \
	[STELE_KIND_##name] = {#name, STELE_CLASS_##class, ((flags)&ORDERED) != 0},
#include "arena/kinds.def"
#undef X
};

const char *const stele__wait_texts[STELE__WAIT_COUNT] = {
#define X(name, text) text,
#include "arena/waits.def"
#undef X
};
