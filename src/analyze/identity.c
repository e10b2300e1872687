/* SPDX-License-Identifier: MIT */
/* Names and stacks: one copy of each, whatever number the generations give them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/model.h"
#include "base/error.h"

int stele__list_reserve(void *list, uint32_t count, uint32_t *max, size_t size)
{
	uint32_t grown = *max ? 2 * *max : 16;
	void **array = list;
	void *moved;

	if (count < *max)
		return 0;
	if (*max > UINT32_MAX / 2)
		return STELE_E_LIMIT;
	moved = realloc(*array, (size_t)grown * size);
	if (!moved)
		return -ENOMEM;
	*array = moved;
	*max = grown;
	return 0;
}

static uint64_t identity_hash(uint64_t seed, struct stele_string text)
{
	uint64_t hash = seed ^ text.bytes, word;
	size_t i = 0;

	for (; i + 8 <= text.bytes; i += 8) {
		memcpy(&word, text.data + i, 8);
		hash = stele__keymap_mix(hash, word);
	}
	word = 0;
	if (i < text.bytes)
		memcpy(&word, text.data + i, text.bytes - i);
	return stele__keymap_mix(hash, word);
}

const struct stele__name *stele__name_intern(struct stele_analysis *a, struct stele_string text)
{
	uint64_t hash = identity_hash(a->names.multiplier, text);
	struct stele__name *name;
	size_t at = 0;

	while ((name = stele__keymap_next(&a->names, hash, &at)))
		if (name->text.bytes == text.bytes &&
		    (!text.bytes || memcmp(name->data, text.data, text.bytes) == 0))
			return name;
	name = malloc(sizeof(*name) + text.bytes + 1);
	if (!name)
		return NULL;
	if (text.bytes)
		memcpy(name->data, text.data, text.bytes);
	name->data[text.bytes] = '\0';
	name->text = (struct stele_string){name->data, text.bytes};
	if (stele__keymap_add(&a->names, hash, name) < 0) {
		free(name);
		return NULL;
	}
	return name;
}

/* ---- stacks ---- */

int stele__stacks_init(struct stele__stacks *stacks)
{
	stele__keymap_init(&stacks->by_hash);
	stele__keymap_init(&stacks->by_lines);
	stacks->count = 1;
	stacks->scratch = calloc(STELE__FRAMES_MAX, sizeof(*stacks->scratch));
	return stacks->scratch ? stele__list_reserve(&stacks->all, 0, &stacks->max, sizeof(void *))
			       : -ENOMEM;
}

void stele__stacks_done(struct stele__stacks *stacks)
{
	for (uint32_t i = 1; i < stacks->count && stacks->all; i++)
		free(stacks->all[i]);
	free(stacks->all);
	free(stacks->cache);
	free(stacks->scratch);
	stele__keymap_done(&stacks->by_hash);
	stele__keymap_done(&stacks->by_lines);
}

void stele__stacks_forget(struct stele__stacks *stacks)
{
	free(stacks->cache);
	stacks->cache = NULL;
	stacks->cache_max = 0;
}

static bool identity_same(const struct stele__stack *s, const struct stele_stack_frame *frames,
			  size_t count)
{
	if (s->count != count)
		return false;
	for (size_t i = 0; i < count; i++)
		if (s->frames[i].pc != frames[i].pc || s->frames[i].line != frames[i].line ||
		    s->frames[i].function.data != frames[i].function.data)
			return false;
	return true;
}

/* "module+0xOFFSET", or nothing at all. */
static bool identity_is_unnamed(struct stele_string function)
{
	size_t i = function.bytes;

	while (i && strchr("0123456789abcdef", function.data[i - 1]))
		i--;
	return !function.bytes || (i >= 3 && i < function.bytes && function.data[i - 1] == 'x' &&
				   function.data[i - 2] == '0' && function.data[i - 3] == '+');
}

static int identity_add(struct stele_analysis *a, uint64_t hash, size_t count)
{
	struct stele__stacks *stacks = &a->stacks;
	struct stele__stack *s;
	int r = stele__list_reserve(&stacks->all, stacks->count, &stacks->max, sizeof(void *));

	if (r < 0)
		return r;
	s = malloc(sizeof(*s) + count * sizeof(s->frames[0]));
	if (!s)
		return -ENOMEM;
	s->hash = hash;
	s->count = count;
	s->first_alike = 0;
	memcpy(s->frames, stacks->scratch, count * sizeof(s->frames[0]));
	/* The index fits a pointer: the map's values are indices. */
	r = stele__keymap_add(&stacks->by_hash, hash, (void *)(uintptr_t)stacks->count);
	if (r < 0) {
		free(s);
		return r;
	}
	stacks->all[stacks->count++] = s;
	a->trust.stacks++;
	a->trust.frames += count;
	for (size_t i = 0; i < count; i++)
		a->trust.frames_unnamed += identity_is_unnamed(s->frames[i].function);
	return 0;
}

/* Frames with our own copies of their names, and the hash over them; 0 or -ENOMEM. */
static int identity_frames(struct stele_analysis *a, size_t count, uint64_t *ret_hash)
{
	struct stele_stack_frame *f = a->stacks.scratch;
	uint64_t hash = a->names.multiplier;

	for (size_t i = 0; i < count; i++) {
		const struct stele__name *function = stele__name_intern(a, f[i].function);
		const struct stele__name *file = stele__name_intern(a, f[i].file);

		if (!function || !file)
			return -ENOMEM;
		f[i].function = function->text;
		f[i].file = file->text;
		hash = stele__keymap_mix(hash, f[i].pc);
		hash = stele__keymap_mix(hash, f[i].line);
		hash = stele__keymap_mix(hash, (uintptr_t)function);
	}
	*ret_hash = hash;
	return 0;
}

/* The table has no stacks without frames: a frame of nothing stands for one. */
static bool identity_is_empty(const struct stele_stack_frame *frames, size_t count)
{
	return count == 1 && !frames->pc && !frames->function.bytes;
}

static int identity_cache(struct stele__stacks *stacks, uint32_t handle)
{
	size_t grown = stacks->cache_max ? stacks->cache_max : 256;
	uint32_t *moved;

	if (handle < stacks->cache_max)
		return 0;
	while (grown <= handle)
		grown *= 2;
	moved = realloc(stacks->cache, grown * sizeof(*moved));
	if (!moved)
		return -ENOMEM;
	memset(moved + stacks->cache_max, 0, (grown - stacks->cache_max) * sizeof(*moved));
	stacks->cache = moved;
	stacks->cache_max = grown;
	return 0;
}

int stele__stack_exact(struct stele_analysis *a, const struct stele_reader *reader, uint32_t handle,
		       uint32_t *ret_stack)
{
	struct stele__stacks *stacks = &a->stacks;
	uintptr_t index;
	uint64_t hash;
	size_t count, at = 0;
	int r;

	if (handle < stacks->cache_max && stacks->cache[handle]) {
		*ret_stack = stacks->cache[handle];
		return 0;
	}
	count = handle ? stele_reader_stack(reader, handle, stacks->scratch, STELE__FRAMES_MAX) : 0;
	if (count > STELE__FRAMES_MAX)
		count = STELE__FRAMES_MAX;
	if (!count || identity_is_empty(stacks->scratch, count)) {
		*ret_stack = 0;
		return 0;
	}
	r = identity_cache(stacks, handle);
	if (r == 0)
		r = identity_frames(a, count, &hash);
	if (r < 0)
		return r;
	while ((index = (uintptr_t)stele__keymap_next(&stacks->by_hash, hash, &at)))
		if (identity_same(stacks->all[index], stacks->scratch, count))
			break;
	if (!index) {
		index = stacks->count;
		r = identity_add(a, hash, count);
	}
	if (r == 0)
		*ret_stack = stacks->cache[handle] = (uint32_t)index;
	return r;
}

/* Where in its function a frame is, for one who sees no addresses but of what has no name. */
static uint64_t identity_line(const struct stele_stack_frame *frame)
{
	return frame->function.bytes ? frame->line : frame->pc;
}

static bool identity_alike(const struct stele__stack *x, const struct stele__stack *y)
{
	if (x->count != y->count)
		return false;
	for (size_t i = 0; i < x->count; i++)
		if (identity_line(&x->frames[i]) != identity_line(&y->frames[i]) ||
		    x->frames[i].function.data != y->frames[i].function.data ||
		    x->frames[i].file.data != y->frames[i].file.data)
			return false;
	return true;
}

static uint64_t identity_lines(const struct stele_analysis *a, const struct stele__stack *s)
{
	uint64_t hash = a->names.multiplier;

	for (size_t i = 0; i < s->count; i++) {
		hash = stele__keymap_mix(hash, identity_line(&s->frames[i]));
		hash = stele__keymap_mix(hash, (uintptr_t)s->frames[i].function.data);
	}
	return hash;
}

int stele__stack_alike(struct stele_analysis *a, uint32_t stack, uint32_t *ret_stack)
{
	struct stele__stacks *stacks = &a->stacks;
	struct stele__stack *s = stack ? stacks->all[stack] : NULL;
	uint64_t hash;
	size_t at = 0;
	uintptr_t index;

	if (s && !s->first_alike) {
		hash = identity_lines(a, s);
		while ((index = (uintptr_t)stele__keymap_next(&stacks->by_lines, hash, &at)))
			if (identity_alike(stacks->all[index], s))
				break;
		if (!index &&
		    stele__keymap_add(&stacks->by_lines, hash, (void *)(uintptr_t)stack) < 0)
			return -ENOMEM;
		s->first_alike = index ? (uint32_t)index : stack;
	}
	*ret_stack = s ? s->first_alike : 0;
	return 0;
}

int stele__stack_find(struct stele_analysis *a, const struct stele_reader *reader, uint32_t handle,
		      uint32_t *ret_stack)
{
	int r = stele__stack_exact(a, reader, handle, ret_stack);

	return r < 0 ? r : stele__stack_alike(a, *ret_stack, ret_stack);
}
