/* SPDX-License-Identifier: MIT */
/*
 * Recursion goes as deep as the tree is, which is a small multiple of its logarithm whatever the
 * trace says: priorities are random.
 */
#include "analyze/spantree.h"

#include <stddef.h>
#include <sys/random.h>

static void tree_update(struct stele__heap_span *span)
{
	span->reach = span->end;
	for (const struct stele__heap_span *s = span->outer; s; s = s->outer)
		span->reach = s->end;
	if (span->left && span->left->reach > span->reach)
		span->reach = span->left->reach;
	if (span->right && span->right->reach > span->reach)
		span->reach = span->right->reach;
}

static uint32_t tree_random(struct stele__spantree *tree)
{
	while (!tree->random)
		if (getrandom(&tree->random, sizeof(tree->random), GRND_NONBLOCK) < 0)
			tree->random = (uintptr_t)tree;
	tree->random ^= tree->random << 13;
	tree->random ^= tree->random >> 7;
	tree->random ^= tree->random << 17;
	return (uint32_t)(tree->random >> 32);
}

/* Those that begin below `base` to the left, the others to the right. */
static void tree_split(struct stele__heap_span *span, uint64_t base,
		       struct stele__heap_span **ret_left, struct stele__heap_span **ret_right)
{
	if (!span) {
		*ret_left = *ret_right = NULL;
		return;
	}
	if (span->base < base) {
		tree_split(span->right, base, &span->right, ret_right);
		*ret_left = span;
	} else {
		tree_split(span->left, base, ret_left, &span->left);
		*ret_right = span;
	}
	tree_update(span);
}

/* All of `left` begin below all of `right`. */
static struct stele__heap_span *tree_join(struct stele__heap_span *left,
					  struct stele__heap_span *right)
{
	struct stele__heap_span *top;

	if (!left || !right)
		return left ? left : right;
	if (left->priority >= right->priority) {
		top = left;
		top->right = tree_join(left->right, right);
	} else {
		top = right;
		top->left = tree_join(left, right->left);
	}
	tree_update(top);
	return top;
}

/* Puts `span` (or, if it is NULL, nothing) where the one with this base is. */
static void tree_replace(struct stele__heap_span **at, uint64_t base, struct stele__heap_span *span)
{
	struct stele__heap_span *old = *at;

	if (old->base != base) {
		tree_replace(base < old->base ? &old->left : &old->right, base, span);
	} else if (span) {
		span->left = old->left;
		span->right = old->right;
		span->priority = old->priority;
		*at = span;
	} else {
		*at = tree_join(old->left, old->right);
	}
	if (*at)
		tree_update(*at);
}

struct stele__heap_span *stele__spantree_get(const struct stele__spantree *tree, uint64_t base)
{
	struct stele__heap_span *span = tree->root;

	while (span && span->base != base)
		span = base < span->base ? span->left : span->right;
	return span;
}

static struct stele__heap_span *tree_holder(struct stele__heap_span *span, uint64_t address)
{
	while (span && span->end <= address)
		span = span->outer;
	return span;
}

struct stele__heap_span *stele__spantree_around(const struct stele__spantree *tree,
						uint64_t address)
{
	struct stele__heap_span *span = tree->root, *found = NULL, *below = NULL;

	/* All on the left of a span that begins at or below the address do so, too: if one of them
	 * reaches it, one is around it. The deepest such place has the one that begins last. */
	while (span) {
		struct stele__heap_span *holder;

		if (span->base > address) {
			span = span->left;
			continue;
		}
		holder = tree_holder(span, address);
		if (holder || (span->left && span->left->reach > address)) {
			found = holder;
			below = span->left;
		}
		span = span->right;
	}
	while (!found && below) {
		if (below->right && below->right->reach > address) {
			below = below->right;
			continue;
		}
		found = tree_holder(below, address);
		below = below->left;
	}
	return found;
}

void stele__spantree_add(struct stele__spantree *tree, struct stele__heap_span *span)
{
	struct stele__heap_span *old = stele__spantree_get(tree, span->base), *left, *right;

	tree->count++;
	span->outer = old;
	if (old) {
		tree_replace(&tree->root, span->base, span);
		old->left = old->right = NULL;
		return;
	}
	span->left = span->right = NULL;
	span->priority = tree_random(tree);
	tree_update(span);
	tree_split(tree->root, span->base, &left, &right);
	tree->root = tree_join(tree_join(left, span), right);
}

void stele__spantree_remove(struct stele__spantree *tree, struct stele__heap_span *span)
{
	tree->count--;
	tree_replace(&tree->root, span->base, span->outer);
	span->outer = span->left = span->right = NULL;
}

struct stele__heap_span *stele__spantree_pop(struct stele__spantree *tree)
{
	struct stele__heap_span *span = tree->root;

	if (span)
		stele__spantree_remove(tree, span);
	return span;
}
