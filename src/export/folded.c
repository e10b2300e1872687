/* SPDX-License-Identifier: MIT */
/* Stacks, outermost frame first, each with a weight: what flame graphs are made of. */
#include <inttypes.h>
#include <string.h>

#include "export/export.h"
#include "export/textsink.h"
#include "stele/analyze.h"

struct folded {
	struct stele__textsink t;
	struct stele_analysis *analysis;
};

static int folded_start(struct stele__export *e)
{
	struct folded *f = e->state;

	f->t.e = e;
	return stele_analysis_new(&f->analysis);
}

static int folded_take(struct stele__export *e, const struct stele_reader *reader,
		       const struct stele_event *event)
{
	struct folded *f = e->state;

	return stele_analysis_add(f->analysis, reader, event);
}

/* A frame's name without what separates frames and lines. */
static void folded_name(struct stele__textsink *t, struct stele_string name)
{
	size_t from = 0;

	if (!name.bytes)
		stele__text_bytes(t, "?", 1);
	for (size_t i = 0; i <= name.bytes; i++) {
		uint8_t c = i < name.bytes ? (uint8_t)name.data[i] : 0;

		if (i < name.bytes && c != ';' && c >= 0x20 && c != 0x7f)
			continue;
		stele__text_bytes(t, name.data + from, i - from);
		if (i < name.bytes)
			stele__text_bytes(t, c == ';' ? ":" : "_", 1);
		from = i + 1;
	}
}

static void folded_site(struct folded *f, const struct stele_site *site, uint64_t weight)
{
	size_t count;
	const struct stele_stack_frame *frames =
		stele_analysis_stack(f->analysis, site->stack, &count);

	if (!weight)
		return;
	for (size_t i = count; i > 0; i--) {
		folded_name(&f->t, frames[i - 1].function);
		if (i > 1 || site->name.bytes)
			stele__text_bytes(&f->t, ";", 1);
	}
	if (site->name.bytes)
		folded_name(&f->t, site->name);
	else if (!count)
		stele__text_bytes(&f->t, "[no stack]", 10);
	stele__text_format(&f->t, " %" PRIu64 "\n", weight);
}

static bool folded_wants(const char *kind, struct stele_string reason)
{
	if (!strcmp(kind, "sync"))
		return stele_reason_is_sync(reason);
	if (!strcmp(kind, "net"))
		return reason.bytes == 7 && !memcmp(reason.data, "network", 7);
	return true;
}

static int folded_finish(struct stele__export *e)
{
	struct folded *f = e->state;
	const char *kind = e->kind ? e->kind : e->format->kinds[0];
	enum stele_site_kind sites_kind = !strcmp(kind, "syscall") ? STELE_SITES_SYSCALL
					  : !strcmp(kind, "sched") ? STELE_SITES_READY
					  : !strcmp(kind, "cpu")   ? STELE_SITES_SAMPLE
								   : STELE_SITES_WAIT;
	const struct stele_site *const *sites;
	int r = stele_analysis_finish(f->analysis);
	size_t count;

	if (r < 0)
		return r;
	sites = stele_analysis_sites(f->analysis, sites_kind, &count);
	for (size_t i = 0; i < count; i++)
		if (sites_kind == STELE_SITES_SAMPLE)
			folded_site(f, sites[i], sites[i]->spread.count);
		else if (folded_wants(kind, sites[i]->name))
			folded_site(f, sites[i], (uint64_t)sites[i]->spread.total);
	return f->t.error;
}

static void folded_free(struct stele__export *e)
{
	struct folded *f = e->state;

	stele_analysis_free(f->analysis);
}

/* The first one is the default. */
static const char *const folded_kinds[] = {"sync", "wait", "net", "syscall", "sched", "cpu", NULL};

const struct stele__format stele__format_folded = {
	.name = "folded",
	.summary = "stacks with the ns spent in them, for flamegraph.pl and speedscope",
	.state_bytes = sizeof(struct folded),
	.kinds = folded_kinds,
	.start = folded_start,
	.event = folded_take,
	.finish = folded_finish,
	.free = folded_free,
};
