/* SPDX-License-Identifier: MIT */
#include "supervise/quota.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char quota_magic[] = "go 1.";

struct quota_file {
	struct timespec written;
	uint64_t bytes;
	char *name;
};

struct quota_files {
	struct quota_file *files;
	size_t count, max;
};

bool stele__quota_fits(const char *pattern, const char *name)
{
	const char *p = pattern, *n = name;

	while (*p) {
		if (p[0] == '%' && (p[1] == 'p' || p[1] == 'n')) {
			size_t digits = strspn(n, "0123456789");

			if (!digits)
				return false;
			n += digits;
			p += 2;
			continue;
		}
		if (p[0] == '%' && p[1] == '%')
			p++;
		if (*p++ != *n++)
			return false;
	}
	return !*n;
}

static bool quota_is_trace(int directory, const char *name)
{
	char begin[sizeof(quota_magic) - 1];
	int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool trace = fd >= 0 && read(fd, begin, sizeof(begin)) == sizeof(begin) &&
		     !memcmp(begin, quota_magic, sizeof(begin));

	if (fd >= 0)
		close(fd);
	return trace;
}

static int quota_add(struct quota_files *all, const struct stat *st, const char *name)
{
	if (all->count == all->max) {
		size_t max = all->max ? all->max * 2 : 64;
		struct quota_file *more = realloc(all->files, max * sizeof(*more));

		if (!more)
			return -ENOMEM;
		all->files = more;
		all->max = max;
	}
	all->files[all->count] =
		(struct quota_file){st->st_mtim, (uint64_t)st->st_size, strdup(name)};
	return all->files[all->count].name ? (int)all->count++ : -ENOMEM;
}

static int quota_list(DIR *directory, const char *pattern, const struct stat *newest,
		      struct quota_files *all)
{
	struct dirent *entry;
	int error = 0;

	while (error >= 0 && (entry = readdir(directory)) != NULL) {
		struct stat st;

		if (!stele__quota_fits(pattern, entry->d_name) ||
		    fstatat(dirfd(directory), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		    !S_ISREG(st.st_mode) || st.st_uid != geteuid() ||
		    (st.st_ino == newest->st_ino && st.st_dev == newest->st_dev) ||
		    !quota_is_trace(dirfd(directory), entry->d_name))
			continue;
		error = quota_add(all, &st, entry->d_name);
	}
	return error < 0 ? error : 0;
}

static int quota_compare(const void *a, const void *b)
{
	const struct quota_file *x = a, *y = b;

	if (x->written.tv_sec != y->written.tv_sec)
		return x->written.tv_sec < y->written.tv_sec ? -1 : 1;
	if (x->written.tv_nsec != y->written.tv_nsec)
		return x->written.tv_nsec < y->written.tv_nsec ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* The oldest first, until the rest and the newest are within the limits. */
static int quota_remove(const struct stele_quota *quota, int directory,
			const struct quota_files *all, uint64_t newest_bytes)
{
	uint64_t bytes = newest_bytes, files = all->count + 1;
	int removed = 0;

	for (size_t i = 0; i < all->count; i++)
		bytes += all->files[i].bytes;
	for (size_t i = 0; i < all->count; i++) {
		if ((!quota->files || files <= quota->files) &&
		    (!quota->bytes || bytes <= quota->bytes))
			break;
		removed += unlinkat(directory, all->files[i].name, 0) == 0;
		bytes -= all->files[i].bytes;
		files--;
	}
	return removed;
}

int stele__quota_apply(const struct stele_quota *quota, const char *pattern, const char *newest)
{
	const char *slash = strrchr(pattern, '/');
	struct quota_files all = {0};
	char path[PATH_MAX] = ".";
	DIR *directory;
	struct stat st;
	int r;

	if (slash)
		snprintf(path, sizeof(path), "%.*s", (int)(slash - pattern) + 1, pattern);
	if (stat(newest, &st) < 0)
		return -errno;
	directory = opendir(path);
	if (!directory)
		return -errno;
	r = quota_list(directory, slash ? slash + 1 : pattern, &st, &all);
	if (r == 0) {
		if (all.count)
			qsort(all.files, all.count, sizeof(*all.files), quota_compare);
		r = quota_remove(quota, dirfd(directory), &all, (uint64_t)st.st_size);
	}
	for (size_t i = 0; i < all.count; i++)
		free(all.files[i].name);
	free(all.files);
	closedir(directory);
	return r;
}
