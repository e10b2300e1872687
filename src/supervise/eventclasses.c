/* SPDX-License-Identifier: MIT */
#include "supervise/eventclasses.h"

#include <stdio.h>
#include <string.h>

struct class_name {
	const char *word;
	uint32_t events;
};

static const struct class_name class_names[] = {
	{"sched", STELE_EVENTS_WAITS},
	{"lock", STELE_EVENTS_LOCKS},
	{"syscall", STELE_EVENTS_SYSCALLS | STELE_EVENTS_FILES},
	{"cpu", STELE_EVENTS_CPU},
	{"user", STELE_EVENTS_USER},
};

static const struct class_name *class_find(const char *text, size_t length)
{
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(class_names); i++)
		if (strlen(class_names[i].word) == length &&
		    !memcmp(class_names[i].word, text, length))
			return &class_names[i];
	return NULL;
}

bool stele__classes_parse(const char *list, uint32_t *ret_events)
{
	uint32_t events = STELE_EVENTS_WAITS;

	for (const char *p = list;; p++) {
		size_t length = strcspn(p, ",");
		const struct class_name *class = class_find(p, length);

		if (!class)
			return false;
		events |= class->events;
		p += length;
		if (!*p)
			break;
	}
	*ret_events = events;
	return true;
}

static char *class_append(char *text, size_t bytes, const char *word)
{
	size_t at = strlen(text);

	snprintf(text + at, bytes - at, "%s%s", at ? "," : "", word);
	return text;
}

char *stele__classes_print(uint32_t events, char *text, size_t bytes)
{
	text[0] = '\0';
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(class_names); i++)
		if (events & class_names[i].events & ~(uint32_t)STELE_EVENTS_FILES)
			class_append(text, bytes, class_names[i].word);
	if (events & STELE_EVENTS_MEMORY)
		class_append(text, bytes, "heap");
	if (!*text)
		snprintf(text, bytes, "nothing");
	return text;
}
