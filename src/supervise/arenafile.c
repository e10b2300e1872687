/* SPDX-License-Identifier: MIT */
#include "supervise/arenafile.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/sys.h"

static int arenafile_lock(int fd, int how)
{
	if (flock(fd, how | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK ? -EBUSY : -errno;
}

/* Whose recorder is dead, or what is no arena at all. */
static int arenafile_remove(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int error = fd < 0 ? -errno : arenafile_lock(fd, LOCK_EX);

	if (error == 0 && unlink(path) < 0)
		error = -errno;
	if (fd >= 0)
		close(fd);
	return error;
}

static bool arenafile_is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int arenafile_open_new(const char *path, bool force)
{
	const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(path, flags, 0600), error;

	if (fd < 0 && errno == EEXIST && arenafile_is_directory(path))
		return -EISDIR;
	if (fd < 0 && errno == EEXIST && force) {
		error = arenafile_remove(path);
		if (error < 0)
			return error;
		fd = open(path, flags, 0600);
	}
	return fd < 0 ? -errno : fd;
}

int stele__arenafile_create(const char *path, bool force, uint64_t bytes,
			    struct stele_arenafile *ret_file)
{
	struct stele_arenafile file = {.fd = -1};
	int error;

	file.fd = path ? arenafile_open_new(path, force) : stele__sys_memfd("stele-arena");
	if (file.fd < 0)
		return file.fd;
	error = path ? arenafile_lock(file.fd, LOCK_EX) : 0;
	if (error == 0 && path)
		error = -posix_fallocate(file.fd, 0, (off_t)bytes);
	if (error == 0 && path && !realpath(path, file.path))
		error = -errno;
	if (error < 0) {
		if (path)
			unlink(path);
		close(file.fd);
		return error;
	}
	*ret_file = file;
	return 0;
}

int stele__arenafile_open(const char *path, struct stele_arenafile *ret_file)
{
	struct stele_arenafile file = {.fd = open(path, O_RDONLY | O_CLOEXEC)};
	int error = file.fd < 0 ? -errno : 0;

	if (error == 0 && arenafile_is_directory(path))
		error = -EISDIR;
	if (error == 0)
		error = arenafile_lock(file.fd, LOCK_SH);
	if (error == 0 && !realpath(path, file.path))
		error = -errno;
	if (error < 0) {
		if (file.fd >= 0)
			close(file.fd);
		return error;
	}
	*ret_file = file;
	return 0;
}

bool stele__arenafile_is_mapped(const struct stele_arenafile *file, int pid)
{
	char path[64], line[PATH_MAX + 256];
	bool found = false;
	struct stat st;
	FILE *maps;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return false;
	if (fstat(file->fd, &st) == 0) {
		while (!found && fgets(line, sizeof(line), maps)) {
			uint64_t inode = 0;

			/* Device numbers of some file systems differ from stat's. */
			found = sscanf(line, "%*s %*s %*s %*s %" SCNu64, &inode) == 1 &&
				inode == st.st_ino && strstr(line, file->path);
		}
	}
	fclose(maps);
	return found;
}

bool stele__arenafile_boot(uint64_t ret_boot[2])
{
	char text[64] = "", digits[33] = "";
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	size_t count = 0;

	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	for (const char *p = text; *p && count < 32; p++)
		if (*p != '-' && *p != '\n')
			digits[count++] = *p;
	return sscanf(digits, "%16" SCNx64 "%16" SCNx64, &ret_boot[0], &ret_boot[1]) == 2;
}

void stele__arenafile_name(const struct stele_arenafile *file, char *ret_path, size_t bytes)
{
	if (*file->path)
		snprintf(ret_path, bytes, "%s", file->path);
	else
		snprintf(ret_path, bytes, "/proc/%d/fd/%d", (int)getpid(), file->fd);
}

void stele__arenafile_close(struct stele_arenafile *file, bool remove)
{
	if (file->fd < 0)
		return;
	if (remove && *file->path)
		unlink(file->path);
	close(file->fd);
	file->fd = -1;
}
