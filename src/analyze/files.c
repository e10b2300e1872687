/* SPDX-License-Identifier: MIT */
/*
 * What system calls were for: the descriptor is known when one begins, and what that stands for
 * when it ends, since connecting tells it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/model.h"

#define FILES_SLACK_NS 1000 /* a reader moves events of one tick apart */
#define FILES_NAME_MAX 1024

struct files_entry {
	uint64_t fd;
	const struct stele__name *name;
	int64_t since;
	bool client; /* it was connected from here */
};

/* What is told of a thread's calls just before they begin, and before they end. */
struct files_pending {
	uint64_t thread, fd; /* of the one that begins; STELE_NO_ID: taken */
	int64_t time;
	bool ended; /* the one that ends: with this result, at this time */
	int64_t result, end;
};

/* A call and a file, and where their time goes. */
struct files_pair {
	const struct stele__name *call, *file;
	struct stele__site *site;
	bool moves_bytes;
};

struct stele__files {
	struct stele__keymap entries; /* by descriptor */
	struct stele__keymap pending; /* by thread */
	struct stele__keymap pairs;
};

struct stele__files *stele__files_new(void)
{
	struct stele__files *files = calloc(1, sizeof(*files));

	if (!files)
		return NULL;
	stele__keymap_init(&files->entries);
	stele__keymap_init(&files->pending);
	stele__keymap_init(&files->pairs);
	return files;
}

void stele__files_free(struct stele__files *files)
{
	if (!files)
		return;
	stele__keymap_free(&files->entries);
	stele__keymap_free(&files->pending);
	stele__keymap_free(&files->pairs);
	free(files);
}

static void files_pend(struct files_pending *pending, const struct stele_detail *detail)
{
	pending->thread = detail->thread;
	if (detail->kind == STELE_DETAIL_CALL) {
		pending->fd = detail->object;
		pending->time = detail->time;
	} else {
		pending->ended = true;
		pending->result = detail->result;
		pending->end = detail->time;
	}
}

/* Of this very event? Times of the file may be any. */
static bool files_is_of(const struct stele_event *event, int64_t time)
{
	return (uint64_t)event->time - (uint64_t)time <= FILES_SLACK_NS;
}

int stele__files_detail(struct stele_analysis *a, const struct stele_detail *detail)
{
	struct files_pending *pending;
	struct files_entry *entry;

	if (detail->kind == STELE_DETAIL_CALL || detail->kind == STELE_DETAIL_RESULT) {
		pending = stele__keymap_make(&a->files->pending, detail->thread, sizeof(*pending));
		if (!pending)
			return -ENOMEM;
		files_pend(pending, detail);
	} else if (detail->kind == STELE_DETAIL_FILE) {
		const struct stele__name *name = stele__name_intern(a, detail->name);

		entry = name ? stele__keymap_make(&a->files->entries, detail->object,
						  sizeof(*entry))
			     : NULL;
		if (!entry)
			return -ENOMEM;
		*entry = (struct files_entry){detail->object, name, detail->time, false};
	}
	return 0;
}

void stele__files_call(const struct stele_analysis *a, struct stele__flow *go,
		       const struct stele_event *event)
{
	struct files_pending *pending = stele__keymap_get(&a->files->pending, event->thread);

	if (!pending || pending->fd == STELE_NO_ID || !files_is_of(event, pending->time))
		return;
	go->fd = pending->fd;
	pending->fd = STELE_NO_ID;
}

/* "read /etc/passwd" */
static int pair_name(struct stele_analysis *a, struct files_pair *pair)
{
	struct stele_string call = pair->call->text, file = pair->file->text;
	const struct stele__name *name;
	char text[FILES_NAME_MAX];

	if (call.bytes > sizeof(text) / 2)
		call.bytes = sizeof(text) / 2;
	if (file.bytes > sizeof(text) - call.bytes - 1)
		file.bytes = sizeof(text) - call.bytes - 1;
	memcpy(text, call.data, call.bytes);
	text[call.bytes] = ' ';
	memcpy(text + call.bytes + 1, file.data, file.bytes);
	name = stele__name_intern(a, (struct stele_string){text, call.bytes + 1 + file.bytes});
	pair->site = name ? stele__site_find(a, STELE_SITES_FILE, name, 0) : NULL;
	return pair->site ? 0 : -ENOMEM;
}

/* Is the result of such a call a number of bytes? */
static bool call_moves_bytes(struct stele_string call)
{
	static const char *const beginnings[] = {"read", "write",  "pread", "pwrite",	"recv",
						 "send", "splice", "tee",   "vmsplice", "copy_"};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(beginnings); i++)
		if (stele__text_begins(call, beginnings[i]))
			return true;
	return false;
}

static struct files_pair *files_pair(struct stele_analysis *a, const struct stele__name *call,
				     const struct stele__name *file)
{
	uint64_t hash = stele__keymap_mix((uintptr_t)call, (uintptr_t)file);
	struct files_pair *pair;
	size_t at = 0;

	while ((pair = stele__keymap_next(&a->files->pairs, hash, &at)))
		if (pair->call == call && pair->file == file)
			return pair;
	pair = calloc(1, sizeof(*pair));
	if (!pair)
		return NULL;
	*pair = (struct files_pair){call, file, NULL, call_moves_bytes(call->text)};
	if (pair_name(a, pair) < 0 || stele__keymap_add(&a->files->pairs, hash, pair) < 0) {
		free(pair);
		return NULL;
	}
	return pair;
}

static void pair_result(const struct files_pair *pair, int64_t result)
{
	if (result < 0)
		pair->site->s.errors++;
	else if (pair->moves_bytes)
		pair->site->s.bytes += (uint64_t)result;
}

int stele__files_called(struct stele_analysis *a, struct stele__flow *go,
			const struct stele_event *event)
{
	struct files_pending *pending =
		event ? stele__keymap_get(&a->files->pending, event->thread) : NULL;
	const struct files_pair *pair;
	struct files_entry *entry;

	if (go->fd == STELE_NO_ID)
		return 0;
	entry = stele__keymap_get(&a->files->entries, go->fd);
	go->called.fd = go->fd;
	go->fd = STELE_NO_ID;
	if (!entry || !entry->name->text.bytes || !go->call)
		return 0;
	pair = files_pair(a, go->call->name, entry->name);
	if (!pair)
		return -ENOMEM;
	go->file = pair->site;
	go->called.call = pair->call;
	go->called.file = pair->file;
	entry->client |= stele__text_is(pair->call->text, "connect");
	go->called.since = entry->since;
	go->called.client = entry->client;
	go->called.result = 0;
	if (pending && pending->ended && files_is_of(event, pending->end)) {
		go->called.result = pending->result;
		pair_result(pair, pending->result);
	}
	if (pending)
		pending->ended = false;
	return 0;
}
