/* SPDX-License-Identifier: MIT */
/* A library that looks for others by way of its own RUNPATH; see hostile_process.c. */
#include <dlfcn.h>
#include <stddef.h>

int plugin_run(void);

int plugin_run(void)
{
	void *neighbour = dlopen("libhostile_neighbour.so", RTLD_NOW);
	int (*answer)(void) =
		neighbour ? (int (*)(void))dlsym(neighbour, "neighbour_answer") : NULL;
	int result = answer ? answer() : -1;

	/* From here RTLD_NEXT is what was loaded after us: the caller's own name it is not. */
	if (dlsym(RTLD_NEXT, "plugin_run") != NULL)
		result = -2;
	if (neighbour)
		dlclose(neighbour);
	return result;
}
