/* SPDX-License-Identifier: MIT */
/* A user of the installed library, in C and C++ alike: nothing is being recorded here. */
#include <stdio.h>
#include <string.h>

#include "stele/runtime.h"
#include "stele/trace.h"
#include "stele/version.h"

int main(void)
{
	stele_task_id task = stele_task_begin("work", 0);

	stele_log(task, "key", "message");
	stele_task_end(task);
	printf("%s %d %d\n", STELE_VERSION, stele_enabled(), strlen(stele_strerror(-4096)) > 0);
	return task == 0 ? 0 : 1;
}
