/* SPDX-License-Identifier: MIT */
/* The functions that CPU samples met, by how often they were what ran. */
#include <errno.h>
#include <stdlib.h>

#include "analyze/model.h"

struct hotspot {
	struct stele_hot_function f;
	size_t met; /* in the site with this number, from 1: a recursion counts once */
};

static int hotspots_of_site(struct stele_analysis *a, struct stele__keymap *spots,
			    const struct stele_site *site, size_t number)
{
	size_t count;
	const struct stele_stack_frame *frames = stele_analysis_stack(a, site->stack, &count);

	for (size_t i = 0; i < count; i++) {
		const struct stele__name *name = stele__name_intern(a, frames[i].function);
		struct hotspot *spot =
			name ? stele__keymap_make(spots, (uintptr_t)name, sizeof(*spot)) : NULL;

		if (!spot)
			return -ENOMEM;
		spot->f.name = name->text;
		spot->f.self += i == 0 ? site->spread.count : 0;
		spot->f.total += spot->met != number ? site->spread.count : 0;
		spot->met = number;
	}
	return 0;
}

static int hotspots_compare(const void *left, const void *right)
{
	const struct stele_hot_function *a = left, *b = right;
	int r = (a->self < b->self) - (a->self > b->self);

	if (!r)
		r = (a->total < b->total) - (a->total > b->total);
	return r ? r : stele__text_compare(a->name, b->name);
}

static int hotspots_list(struct stele_analysis *a, const struct stele__keymap *spots)
{
	const struct hotspot *spot;
	size_t at = 0;

	a->hot_functions = calloc(spots->used ? spots->used : 1, sizeof(*a->hot_functions));
	if (!a->hot_functions)
		return -ENOMEM;
	while ((spot = stele__keymap_each(spots, &at)))
		a->hot_functions[a->hot_function_count++] = spot->f;
	if (a->hot_function_count)
		qsort(a->hot_functions, a->hot_function_count, sizeof(*a->hot_functions),
		      hotspots_compare);
	return 0;
}

int stele__hotspots_finish(struct stele_analysis *a)
{
	struct stele__keymap spots;
	size_t count;
	const struct stele_site *const *sites = stele_analysis_sites(a, STELE_SITES_SAMPLE, &count);
	int r = 0;

	stele__keymap_init(&spots);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = hotspots_of_site(a, &spots, sites[i], i + 1);
	if (r == 0)
		r = hotspots_list(a, &spots);
	stele__keymap_free(&spots);
	return r;
}

STELE_EXPORT const struct stele_hot_function *
stele_analysis_hot_functions(const struct stele_analysis *analysis, size_t *ret_count)
{
	*ret_count = analysis->hot_function_count;
	return analysis->hot_functions;
}
