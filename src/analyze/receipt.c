/* SPDX-License-Identifier: MIT */
#include "analyze/receipt.h"

#include <errno.h>
#include <stdlib.h>

void stele__receipt_done(struct stele__receipt *receipt)
{
	free(receipt->rows);
	free(receipt->ordered);
}

static bool row_means(const struct stele_why_row *a, const struct stele_why_row *b)
{
	return a->kind == b->kind && a->name.data == b->name.data && a->stack == b->stack &&
	       a->lock == b->lock && a->who.data == b->who.data && a->who_thread == b->who_thread &&
	       a->who_goroutine == b->who_goroutine && a->taken == b->taken &&
	       a->released == b->released;
}

static uint32_t receipt_find(const struct stele__receipt *receipt, uint32_t parent,
			     const struct stele_why_row *row)
{
	for (uint32_t i = 0; i < receipt->count; i++)
		if (receipt->rows[i].parent == parent && row_means(&receipt->rows[i].row, row))
			return i + 1;
	return 0;
}

int stele__receipt_add(struct stele__receipt *receipt, uint32_t parent,
		       const struct stele_why_row *row, uint32_t *ret_row)
{
	struct stele_why_row wanted = *row;
	uint32_t at;
	int r;

	if (receipt->collective)
		wanted.who_thread = wanted.who_goroutine = STELE_NO_ID;
	wanted.depth = parent ? receipt->rows[parent - 1].row.depth + 1 : 0;
	at = receipt_find(receipt, parent, &wanted);
	/* The last places are for what is left over, on each depth. */
	if (!at && receipt->count >= STELE__RECEIPT_ROWS_MAX) {
		wanted = (struct stele_why_row){.kind = STELE_WHY_REST,
						.depth = wanted.depth,
						.who_thread = STELE_NO_ID,
						.who_goroutine = STELE_NO_ID,
						.ns = row->ns};
		at = receipt_find(receipt, parent, &wanted);
	}
	if (!at) {
		r = stele__list_reserve(&receipt->rows, receipt->count, &receipt->max,
					sizeof(*receipt->rows));
		if (r < 0)
			return r;
		receipt->rows[receipt->count] = (struct stele__receipt_row){wanted, parent};
		receipt->rows[receipt->count].row.ns = 0;
		at = ++receipt->count;
	}
	receipt->rows[at - 1].row.count++;
	stele__ns_add(&receipt->rows[at - 1].row.ns, row->ns);
	*ret_row = at;
	return 0;
}

static int row_compare(const void *left, const void *right)
{
	const struct stele__receipt_row *const *a = left, *const *b = right;

	if ((*a)->row.ns != (*b)->row.ns)
		return (*a)->row.ns < (*b)->row.ns ? 1 : -1;
	return *a < *b ? -1 : 1; /* the one that was seen first */
}

/* Appends the rows below `parent`, and what is below them. Returns how many there are by then. */
static size_t receipt_append(struct stele__receipt *receipt, uint32_t parent, size_t used,
			     const struct stele__receipt_row **scratch)
{
	size_t count = 0;

	for (uint32_t i = 0; i < receipt->count; i++)
		if (receipt->rows[i].parent == parent)
			scratch[count++] = &receipt->rows[i];
	qsort(scratch, count, sizeof(*scratch), row_compare);
	for (size_t i = 0; i < count; i++) {
		receipt->ordered[used++] = scratch[i]->row;
		used = receipt_append(receipt, (uint32_t)(scratch[i] - receipt->rows) + 1, used,
				      scratch + count);
	}
	return used;
}

int stele__receipt_order(struct stele__receipt *receipt)
{
	/* Each row is on at most one level of the recursion at a time. */
	const struct stele__receipt_row **scratch =
		calloc((size_t)receipt->count + 1, sizeof(*scratch));

	receipt->ordered = calloc((size_t)receipt->count + 1, sizeof(*receipt->ordered));
	if (!scratch || !receipt->ordered) {
		free(scratch);
		return -ENOMEM;
	}
	receipt->instance.row_count = receipt_append(receipt, 0, 0, scratch);
	receipt->instance.rows = receipt->ordered;
	free(scratch);
	return 0;
}
