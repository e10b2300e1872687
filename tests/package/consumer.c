/* SPDX-License-Identifier: MIT */
/* A user of the installed library, in C and C++ alike: first nothing is being recorded, then what
 * it records itself. */
#include <stdio.h>
#include <string.h>

#include "stele/runtime.h"
#include "stele/stele.h"
#include "stele/version.h"

static size_t written;

static int count(void *arg, const void *data, size_t bytes)
{
	(void)arg;
	(void)data;
	written += bytes;
	return 0;
}

static int record(void)
{
	struct stele_start_options options;
	struct stele_stopped stopped;
	struct stele_output output;

	memset(&options, 0, sizeof(options));
	memset(&output, 0, sizeof(output));
	output.write = count;
	options.outputs = &output;
	options.output_count = 1;
	if (stele_start(&options) != 0)
		return 1;
	stele_log(0, "key", "message");
	return stele_stop(&stopped) != 0 || stopped.bytes != written || stopped.events < 1;
}

int main(void)
{
	stele_task_id task = stele_task_begin("work", 0);

	stele_log(task, "key", "message");
	stele_task_end(task);
	printf("%s %d %d\n", STELE_VERSION, stele_enabled(), strlen(stele_strerror(-4096)) > 0);
	return task == 0 ? record() : 1;
}
