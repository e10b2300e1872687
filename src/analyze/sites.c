/* SPDX-License-Identifier: MIT */
/* Places and names at which time was spent. */
#include <errno.h>
#include <stdlib.h>

#include "analyze/model.h"

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
	if (stele__keymap_add(&a->sites, hash, site) < 0) {
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

int stele__sites_sort(struct stele_analysis *a)
{
	struct stele__site *site;
	size_t at = 0;

	for (unsigned kind = 0; kind < STELE__SITES_COUNT; kind++) {
		a->sorted[kind] = calloc(a->sites.used + 1, sizeof(*a->sorted[kind]));
		if (!a->sorted[kind])
			return -ENOMEM;
	}
	while ((site = stele__keymap_each(&a->sites, &at)))
		a->sorted[site->kind][a->sorted_count[site->kind]++] = &site->s;
	for (unsigned kind = 0; kind < STELE__SITES_COUNT; kind++)
		qsort(a->sorted[kind], a->sorted_count[kind], sizeof(*a->sorted[kind]),
		      sites_compare);
	return 0;
}

STELE_EXPORT const struct stele_site *const *
stele_analysis_sites(const struct stele_analysis *analysis, enum stele_site_kind kind,
		     size_t *ret_count)
{
	*ret_count = analysis->sorted_count[kind];
	return analysis->sorted[kind];
}
