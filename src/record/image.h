/* SPDX-License-Identifier: MIT */
/* The program image: which modules are mapped where. */
#ifndef STELE_RECORD_IMAGE_H
#define STELE_RECORD_IMAGE_H

#include "base/compiler.h"

/* The module that contains pc belongs to Stele: its frames are left out of stacks. */
void stele__image_hide(uintptr_t pc) STELE_HIDDEN;

#endif
