/* SPDX-License-Identifier: MIT */
#include "read/kept.h"

#include <string.h>

#include "read/vector.h"

void stele__kept_done(struct stele__kept *kept)
{
	for (uint32_t i = 0; i < kept->count; i++)
		free(kept->texts[i].data);
	free(kept->texts);
	memset(kept, 0, sizeof(*kept));
}

static int kept_take(struct stele__kept *kept, uint32_t *ret_handle)
{
	int r;

	if (kept->free_first) {
		*ret_handle = kept->free_first;
		kept->free_first = kept->texts[kept->free_first].references;
		return 0;
	}
	r = stele__vector_reserve(&kept->texts, &kept->capacity, (uint64_t)kept->count + 2,
				  sizeof(*kept->texts));
	if (r < 0)
		return r;
	if (!kept->count)
		kept->texts[kept->count++] = (struct stele__kept_text){0}; /* the empty text */
	*ret_handle = kept->count;
	kept->texts[kept->count++] = (struct stele__kept_text){0};
	return 0;
}

int stele__kept_add(struct stele__kept *kept, const void *data, uint32_t bytes,
		    uint32_t *ret_handle)
{
	uint32_t handle;
	char *copy;
	int r;

	if (!bytes) {
		*ret_handle = 0;
		return 0;
	}
	copy = malloc(bytes);
	if (!copy)
		return -ENOMEM;
	r = kept_take(kept, &handle);
	if (r < 0) {
		free(copy);
		return r;
	}
	memcpy(copy, data, bytes);
	kept->texts[handle] = (struct stele__kept_text){copy, bytes, 1};
	*ret_handle = handle;
	return 0;
}

void stele__kept_release(struct stele__kept *kept, uint32_t handle)
{
	struct stele__kept_text *text;

	if (!handle)
		return;
	text = &kept->texts[handle];
	if (--text->references)
		return;
	free(text->data);
	*text = (struct stele__kept_text){NULL, 0, kept->free_first};
	kept->free_first = handle;
}

bool stele__kept_equal(const struct stele__kept *kept, uint32_t a, uint32_t b)
{
	struct stele_string x, y;

	if (a == b)
		return true;
	x = stele__kept_text(kept, a);
	y = stele__kept_text(kept, b);
	return x.bytes == y.bytes && memcmp(x.data, y.data, x.bytes) == 0;
}
