/* SPDX-License-Identifier: MIT */
#ifndef STELE_SURGERY_VOCABULARY_H
#define STELE_SURGERY_VOCABULARY_H

#include "stele/read.h"

/*
 * A word that says nothing of the program that was traced: why a thread waits or the world stops,
 * where threads of the C library begin, main.
 */
bool stele__vocabulary_has(struct stele_string text);

#endif
