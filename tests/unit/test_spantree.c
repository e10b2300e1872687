/* SPDX-License-Identifier: MIT */
/* Against a list that is searched from end to end. */
#include "analyze/spantree.h"

#include <stdlib.h>

#include "support/tap.h"

#define SPANS_MAX 400
#define ADDRESSES 2000

struct model {
	struct stele__heap_span *spans[SPANS_MAX]; /* the innermost of one base last */
	unsigned count;
};

static uint32_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
	random_state = random_state * 1664525 + 1013904223;
	return (random_state >> 8) % limit;
}

static struct stele__heap_span *model_get(const struct model *model, uint64_t base)
{
	for (unsigned i = model->count; i-- > 0;)
		if (model->spans[i]->base == base)
			return model->spans[i];
	return NULL;
}

static struct stele__heap_span *model_around(const struct model *model, uint64_t address)
{
	struct stele__heap_span *found = NULL;

	for (unsigned i = 0; i < model->count; i++) {
		struct stele__heap_span *span = model->spans[i];

		if (span->base <= address && address < span->end &&
		    (!found || span->base >= found->base))
			found = span;
	}
	return found;
}

/* At one base, each is smaller than what it lies in. */
static void model_add(struct model *model, struct stele__spantree *tree)
{
	uint64_t base = random_below(ADDRESSES), bytes = 1 + random_below(300);
	const struct stele__heap_span *outer = model_get(model, base);
	struct stele__heap_span *span;

	if (model->count == SPANS_MAX || (outer && outer->end <= base + bytes))
		return;
	span = calloc(1, sizeof(*span));
	if (!CHECK(span != NULL))
		return;
	span->base = base;
	span->end = base + bytes;
	stele__spantree_add(tree, span);
	model->spans[model->count++] = span;
}

static void model_remove(struct model *model, struct stele__spantree *tree)
{
	struct stele__heap_span *span;
	unsigned at = 0;

	if (!model->count)
		return;
	span = model_get(model, model->spans[random_below(model->count)]->base);
	while (model->spans[at] != span)
		at++;
	memmove(&model->spans[at], &model->spans[at + 1],
		(--model->count - at) * sizeof(struct stele__heap_span *));
	stele__spantree_remove(tree, span);
	free(span);
}

static void spans_are_found_as_in_a_list(void)
{
	struct stele__spantree tree = {0};
	struct model model = {.count = 0};
	struct stele__heap_span *span;

	for (unsigned step = 0; step < 20000; step++) {
		uint64_t address = random_below(ADDRESSES + 400);
		bool fills = step / 1000 % 2 == 0;

		if (random_below(4) < (fills ? 3 : 1))
			model_add(&model, &tree);
		else
			model_remove(&model, &tree);
		if (!CHECK(stele__spantree_get(&tree, address) == model_get(&model, address)) ||
		    !CHECK(stele__spantree_around(&tree, address) ==
			   model_around(&model, address)) ||
		    !CHECK_EQ(tree.count, model.count))
			break;
	}
	while ((span = stele__spantree_pop(&tree)))
		free(span);
	CHECK_EQ(tree.count, 0);
}

static void spans_in_order_do_not_make_a_deep_tree(void)
{
	struct stele__spantree tree = {0};
	struct stele__heap_span *spans = calloc(100000, sizeof(*spans));

	if (!CHECK(spans != NULL))
		return;
	for (uint64_t i = 0; i < 100000; i++) {
		spans[i].base = i * 10;
		spans[i].end = i * 10 + 5;
		stele__spantree_add(&tree, &spans[i]);
	}
	for (uint64_t i = 0; i < 100000; i++) {
		unsigned depth = 0;

		for (struct stele__heap_span *s = tree.root; s && s->base != i * 10; depth++)
			s = i * 10 < s->base ? s->left : s->right;
		if (!CHECK(depth < 120) ||
		    !CHECK(stele__spantree_around(&tree, i * 10 + 4) == &spans[i]) ||
		    !CHECK(stele__spantree_around(&tree, i * 10 + 5) == NULL))
			break;
	}
	free(spans);
}

TAP_MAIN(TEST(spans_are_found_as_in_a_list), TEST(spans_in_order_do_not_make_a_deep_tree))
