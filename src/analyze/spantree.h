/* SPDX-License-Identifier: MIT */
/*
 * The spans that are alive, by address: a treap of intervals. Spans may lie in each other, also at
 * one beginning: then the inner one hides the outer until it is freed.
 */
#ifndef STELE_ANALYZE_SPANTREE_H
#define STELE_ANALYZE_SPANTREE_H

#include "base/compiler.h"

struct stele__span_kind;

struct stele__heap_span {
	uint64_t base, end;
	struct stele__heap_span *outer; /* begins at the same address, and is larger */
	struct stele__heap_span *left, *right;
	uint64_t reach;	   /* greatest end in this subtree */
	uint32_t priority; /* random; no less than the children's */
	bool existed;	   /* before the trace */
	struct stele__span_kind *kind;
	uint64_t objects, object_bytes; /* alive in it, at the end */
};

struct stele__spantree {
	struct stele__heap_span *root;
	uint64_t random;
	uint64_t count;
};

/* The span that begins at `base`, the innermost; NULL: none. */
struct stele__heap_span *stele__spantree_get(const struct stele__spantree *tree, uint64_t base);
/* The span around the address that begins last; NULL: none. */
struct stele__heap_span *stele__spantree_around(const struct stele__spantree *tree,
						uint64_t address);
/* The tree's now; where one with this base is, that becomes its outer one. */
void stele__spantree_add(struct stele__spantree *tree, struct stele__heap_span *span);
/* The caller's again. It is the innermost at its base. */
void stele__spantree_remove(struct stele__spantree *tree, struct stele__heap_span *span);
/* Takes any span out of the tree; NULL: it is empty. */
struct stele__heap_span *stele__spantree_pop(struct stele__spantree *tree);

#endif
