/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target over files and folders of files, one TAP case a file: what was found once is
 * tried in every build, with any compiler. A finding kills the process, as in the fuzzer.
 */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replay_count;

static int replay_file(const char *path, const struct stat *st, int type, struct FTW *where)
{
	size_t bytes = (size_t)st->st_size;
	uint8_t *data; /* of the exact size: a sanitizer sees one byte too many */
	FILE *f;

	(void)where;
	if (type != FTW_F)
		return 0;
	f = fopen(path, "rb");
	data = malloc(bytes ? bytes : 1);
	if (!f || !data || fread(data, 1, bytes, f) != bytes) {
		printf("not ok %u - cannot read %s\n", ++replay_count, path);
		return 1;
	}
	fclose(f);
	printf("# %s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, bytes);
	printf("ok %u - %s\n", ++replay_count, path);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int failed = argc < 2;

	for (int i = 1; i < argc && !failed; i++)
		failed = nftw(argv[i], replay_file, 16, FTW_PHYS);
	printf("1..%u\n", replay_count);
	return failed || !replay_count;
}
