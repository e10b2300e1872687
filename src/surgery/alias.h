/* SPDX-License-Identifier: MIT */
/* Made-up names in place of texts: the same for the same text, numbered as they come. */
#ifndef STELE_SURGERY_ALIAS_H
#define STELE_SURGERY_ALIAS_H

#include "analyze/keymap.h"
#include "stele/read.h"

struct stele__alias {
	struct stele_string text; /* the original */
	struct stele_string name; /* in its place */
	bool counter;		  /* of samples of a counter */
	char name_data[24];
	char data[];
};

struct stele__aliases {
	struct stele__keymap by_text; /* owned */
	uint64_t count;
};

void stele__aliases_init(struct stele__aliases *aliases);
void stele__aliases_done(struct stele__aliases *aliases);

/* Known ones keep their names, else it is named by the letter and a number. NULL: no memory. */
struct stele__alias *stele__alias_make(struct stele__aliases *aliases, struct stele_string text,
				       char letter);
/* NULL: it has none. */
struct stele__alias *stele__alias_find(const struct stele__aliases *aliases,
				       struct stele_string text);

#endif
