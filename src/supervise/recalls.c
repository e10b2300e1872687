/* SPDX-License-Identifier: MIT */
#include "supervise/recalls.h"

#include <errno.h>
#include <stdlib.h>

#include "stele/read.h"
#include "surgery/merge.h"

int stele__recalls_take(struct stele_flight *const *flights, size_t count,
			struct stele_recalls *ret_recalls)
{
	struct stele_recalls recalls = {calloc(count, sizeof(*recalls.all)), 0};
	int error = recalls.all ? 0 : -ENOMEM;

	for (size_t i = 0; error == 0 && i < count; i++) {
		error = stele__flight_recall(flights[i], &recalls.all[recalls.count]);
		recalls.count += error == 0;
		error = error == -ENODATA ? 0 : error;
	}
	if (error == 0 && !recalls.count)
		error = -ENODATA;
	if (error < 0)
		stele__recalls_free(&recalls);
	*ret_recalls = recalls;
	return error;
}

void stele__recalls_label(struct stele_recalls *recalls, const char *reason)
{
	stele__recall_label(recalls->all[0], reason);
}

/* Merging ------------------------------------------------------------------------------------ */

struct recalls_merge {
	size_t count;
	struct stele_recall_cursor *cursors;
	struct stele_reader **readers;
	struct stele__merge_input *inputs;
};

static int recalls_next(void *reader, const struct stele_event **ret_event)
{
	return stele_reader_next(reader, ret_event);
}

static int recalls_open(const struct stele_recalls *recalls, struct recalls_merge *m)
{
	m->cursors = calloc(recalls->count, sizeof(*m->cursors));
	m->readers = calloc(recalls->count, sizeof(struct stele_reader *));
	m->inputs = calloc(recalls->count, sizeof(*m->inputs));
	if (!m->cursors || !m->readers || !m->inputs)
		return -ENOMEM;
	for (; m->count < recalls->count; m->count++) {
		size_t i = m->count;
		int error;

		m->cursors[i].recall = recalls->all[i];
		error = stele_reader_open_stream(stele__recall_read, &m->cursors[i], NULL,
						 &m->readers[i]);
		if (error < 0)
			return error;
		m->inputs[i] =
			(struct stele__merge_input){m->readers[i], recalls_next, m->readers[i]};
	}
	return 0;
}

static void recalls_close(struct recalls_merge *m)
{
	for (size_t i = 0; i < m->count; i++)
		stele_reader_close(m->readers[i]);
	free(m->cursors);
	free(m->readers);
	free(m->inputs);
}

static int recalls_merge(const struct stele_recalls *recalls, const struct stele_sink *sink)
{
	struct recalls_merge m = {0};
	struct stele__merge_result result;
	struct stele__merge *merge = NULL;
	int error = recalls_open(recalls, &m);
	const struct stele__merge_job job = {m.inputs, recalls->count, sink->write, sink->arg};

	if (error == 0)
		error = stele__merge_open(&job, &result, &merge);
	if (error == 0)
		error = stele__merge_run(merge);
	stele__merge_free(merge);
	recalls_close(&m);
	return error;
}

int stele__recalls_write(const struct stele_recalls *recalls, const struct stele_sink *sink)
{
	return recalls->count == 1 ? stele__recall_write(recalls->all[0], sink)
				   : recalls_merge(recalls, sink);
}

/* -------------------------------------------------------------------------------------------- */

uint64_t stele__recalls_ns(const struct stele_recalls *recalls)
{
	uint64_t longest = 0;

	for (size_t i = 0; i < recalls->count; i++) {
		uint64_t ns = stele__recall_ns(recalls->all[i]);

		longest = ns > longest ? ns : longest;
	}
	return longest;
}

void stele__recalls_free(struct stele_recalls *recalls)
{
	for (size_t i = 0; i < recalls->count; i++)
		stele__recall_free(recalls->all[i]);
	free(recalls->all);
	*recalls = (struct stele_recalls){0};
}
