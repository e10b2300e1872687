/* SPDX-License-Identifier: MIT */
/* Around the beginning of a recording; by the thread that begins it. Signals: not safe. */
#ifndef STELE_RECORD_TELLER_H
#define STELE_RECORD_TELLER_H

#include "base/compiler.h"

/* Nothing is recorded, and something will be: to the recording to come nothing is known. */
void stele__tellers_forget(void) STELE_HIDDEN;
/* Everything is recorded from now on. */
void stele__tellers_tell(void) STELE_HIDDEN;

#endif
