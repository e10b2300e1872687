/* SPDX-License-Identifier: MIT */
#include "drain/liveness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "sys/sys.h"

/* 0: not a number ("." and ".."). */
static uint32_t liveness_tid(const char *name)
{
	uint32_t tid = 0;

	for (; *name >= '0' && *name <= '9'; name++)
		tid = tid * 10 + (uint32_t)(*name - '0');
	return *name ? 0 : tid;
}

int64_t stele__liveness_threads(int pid, uint32_t *tids, size_t max)
{
	_Alignas(struct dirent64) char buffer[16384];
	char path[64];
	int64_t count = 0;
	int64_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	while ((got = stele__sys_list(fd, buffer, sizeof(buffer))) > 0) {
		for (int64_t at = 0; at < got;) {
			const struct dirent64 *entry = (const void *)(buffer + at);
			uint32_t tid = liveness_tid(entry->d_name);

			if (tid && (size_t)count < max)
				tids[count] = tid;
			count += tid != 0;
			at += entry->d_reclen;
		}
	}
	if (got < 0)
		count = got == -ENOENT || got == -ESRCH ? 0 : got;
	close(fd);
	return count;
}

bool stele__liveness_exists(int pid, uint32_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%u", pid, tid);
	return access(path, F_OK) == 0 || (errno != ENOENT && errno != ESRCH);
}
