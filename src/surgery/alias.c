/* SPDX-License-Identifier: MIT */
#include "surgery/alias.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void stele__aliases_init(struct stele__aliases *aliases)
{
	stele__keymap_init(&aliases->by_text);
	aliases->count = 0;
}

void stele__aliases_done(struct stele__aliases *aliases)
{
	stele__keymap_free(&aliases->by_text);
}

static uint64_t alias_hash(const struct stele__aliases *aliases, struct stele_string text)
{
	uint64_t hash = aliases->by_text.multiplier;

	for (size_t i = 0; i < text.bytes; i++)
		hash = stele__keymap_mix(hash, (uint8_t)text.data[i]);
	return hash;
}

struct stele__alias *stele__alias_find(const struct stele__aliases *aliases,
				       struct stele_string text)
{
	uint64_t hash = alias_hash(aliases, text);
	struct stele__alias *alias;
	size_t at = 0;

	while ((alias = stele__keymap_next(&aliases->by_text, hash, &at)))
		if (alias->text.bytes == text.bytes &&
		    (!text.bytes || !memcmp(alias->data, text.data, text.bytes)))
			return alias;
	return NULL;
}

struct stele__alias *stele__alias_make(struct stele__aliases *aliases, struct stele_string text,
				       char letter)
{
	struct stele__alias *alias = stele__alias_find(aliases, text);

	if (alias)
		return alias;
	alias = calloc(1, sizeof(*alias) + text.bytes + 1);
	if (!alias || stele__keymap_add(&aliases->by_text, alias_hash(aliases, text), alias) < 0) {
		free(alias);
		return NULL;
	}
	if (text.bytes)
		memcpy(alias->data, text.data, text.bytes);
	alias->text = (struct stele_string){alias->data, text.bytes};
	alias->name.bytes = (size_t)snprintf(alias->name_data, sizeof(alias->name_data),
					     "%c%" PRIu64, letter, ++aliases->count);
	alias->name.data = alias->name_data;
	return alias;
}
