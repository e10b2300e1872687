/* SPDX-License-Identifier: MIT */
/* Places and names at which time was spent. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/model.h"
#include "analyze/sum.h"

struct stele__site *stele__site_find(struct stele_analysis *a, enum stele_site_kind kind,
				     const struct stele__name *name, uint32_t stack)
{
	uint64_t hash =
		stele__keymap_mix(stele__keymap_mix((uint64_t)kind, (uintptr_t)name), stack);
	struct stele__site *site;
	size_t at = 0;

	while ((site = stele__keymap_next(&a->sites, hash, &at)))
		if (site->kind == kind && site->name == name && site->s.stack == stack)
			return site;
	site = calloc(1, sizeof(*site));
	if (!site)
		return NULL;
	site->kind = kind;
	site->name = name;
	site->s.name = name->text;
	site->s.stack = stack;
	if (stele__stack_alike(a, stack, &site->alike) < 0 ||
	    stele__keymap_add(&a->sites, hash, site) < 0) {
		free(site);
		return NULL;
	}
	return site;
}

void stele__site_add_open(struct stele__site *site, int64_t ns, int64_t before)
{
	int64_t whole = ns;

	site->s.open_count++;
	stele__ns_add(&site->s.open_ns, ns);
	stele__ns_add(&whole, before);
	if (site->s.open_longest_ns < whole)
		site->s.open_longest_ns = whole;
}

STELE_EXPORT int64_t stele_site_total(const struct stele_site *site)
{
	int64_t total = site->spread.total;

	stele__ns_add(&total, site->open_ns);
	return total;
}

static int sites_compare(const void *left, const void *right)
{
	const struct stele_site *a = *(const struct stele_site *const *)left;
	const struct stele_site *b = *(const struct stele_site *const *)right;
	int64_t ta = stele_site_total(a), tb = stele_site_total(b);
	int r = (ta < tb) - (ta > tb);

	if (!r)
		r = (a->spread.count < b->spread.count) - (a->spread.count > b->spread.count);
	if (!r)
		r = stele__text_compare(a->name, b->name);
	/* Numbers of stacks are in the order in which they were seen. */
	return r ? r : (a->stack > b->stack) - (a->stack < b->stack);
}

static int sites_collect(struct stele_analysis *a)
{
	struct stele__site *site;
	size_t at = 0;

	for (unsigned kind = 0; kind < STELE__SITES_COUNT; kind++) {
		a->by_address[kind].list =
			calloc(a->sites.used + 1, sizeof(*a->by_address[kind].list));
		if (!a->by_address[kind].list)
			return -ENOMEM;
	}
	while ((site = stele__keymap_each(&a->sites, &at))) {
		struct stele__sorted_sites *of = &a->by_address[site->kind];

		of->list[of->count++] = &site->s;
	}
	return 0;
}

static const struct stele__site *site_of(const struct stele_site *face)
{
	return (const struct stele__site *)face;
}

/* Those that look the same are neighbours, the one that was seen first in front. */
static int sites_compare_lines(const void *left, const void *right)
{
	const struct stele__site *a = site_of(*(const struct stele_site *const *)left);
	const struct stele__site *b = site_of(*(const struct stele_site *const *)right);
	int r = (a->alike > b->alike) - (a->alike < b->alike);

	if (!r)
		r = stele__text_compare(a->s.name, b->s.name);
	return r ? r : (a->s.stack > b->s.stack) - (a->s.stack < b->s.stack);
}

static bool sites_look_same(const struct stele_site *a, const struct stele_site *b)
{
	return site_of(a)->alike == site_of(b)->alike && site_of(a)->name == site_of(b)->name;
}

/* All of them together, as the first one; NULL: no memory. */
static const struct stele_site *sites_sum(struct stele_analysis *a,
					  const struct stele_site *const *list, size_t count)
{
	struct stele__site *sum = malloc(sizeof(*sum));

	if (!sum || stele__keymap_add(&a->site_sums, (uintptr_t)sum, sum) < 0) {
		free(sum);
		return NULL;
	}
	*sum = *site_of(list[0]);
	for (size_t i = 1; i < count; i++) {
		sum->s.open_count += list[i]->open_count;
		stele__ns_add(&sum->s.open_ns, list[i]->open_ns);
		if (sum->s.open_longest_ns < list[i]->open_longest_ns)
			sum->s.open_longest_ns = list[i]->open_longest_ns;
		stele__spread_merge(&sum->s.spread, &list[i]->spread);
		sum->s.early_count += list[i]->early_count;
		stele__ns_add(&sum->s.early_ns, list[i]->early_ns);
		sum->s.bytes += list[i]->bytes;
		sum->s.errors += list[i]->errors;
	}
	return &sum->s;
}

static int sites_merge(struct stele_analysis *a, const struct stele__sorted_sites *from,
		       struct stele__sorted_sites *to)
{
	size_t end;

	to->list = calloc(from->count + 1, sizeof(*to->list));
	if (!to->list)
		return -ENOMEM;
	memcpy(to->list, from->list, from->count * sizeof(*to->list));
	qsort(to->list, from->count, sizeof(*to->list), sites_compare_lines);
	for (size_t i = 0; i < from->count; i = end) {
		const struct stele_site *site = to->list[i];

		for (end = i + 1; end < from->count && sites_look_same(site, to->list[end]);)
			end++;
		if (end > i + 1)
			site = sites_sum(a, to->list + i, end - i);
		if (!site)
			return -ENOMEM;
		to->list[to->count++] = site;
	}
	return 0;
}

static void sites_sort(struct stele__sorted_sites *sites)
{
	qsort(sites->list, sites->count, sizeof(*sites->list), sites_compare);
}

int stele__sites_finish(struct stele_analysis *a)
{
	int r = sites_collect(a);

	for (unsigned kind = 0; kind < STELE__SITES_COUNT && r == 0; kind++) {
		r = sites_merge(a, &a->by_address[kind], &a->by_lines[kind]);
		sites_sort(&a->by_address[kind]);
		sites_sort(&a->by_lines[kind]);
	}
	return r;
}

void stele__sites_free(struct stele_analysis *a)
{
	for (unsigned kind = 0; kind < STELE__SITES_COUNT; kind++) {
		free(a->by_address[kind].list);
		free(a->by_lines[kind].list);
	}
	stele__keymap_free(&a->site_sums);
	stele__keymap_free(&a->sites);
}

STELE_EXPORT const struct stele_site *const *
stele_analysis_sites(const struct stele_analysis *analysis, enum stele_site_kind kind,
		     size_t *ret_count)
{
	*ret_count = analysis->by_lines[kind].count;
	return analysis->by_lines[kind].list;
}

STELE_EXPORT const struct stele_site *const *
stele_analysis_sites_by_address(const struct stele_analysis *analysis, enum stele_site_kind kind,
				size_t *ret_count)
{
	*ret_count = analysis->by_address[kind].count;
	return analysis->by_address[kind].list;
}
