/* SPDX-License-Identifier: MIT */
/*
 * The command is looked up as execvp does it; scripts are followed to their interpreters, as the
 * kernel does it. Nothing here is a security decision: the file may change before it is executed,
 * and then exec itself reports what is wrong.
 */
#include "supervise/target.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "supervise/elffile.h"

#define TARGET_SEARCH_DEFAULT "/bin:/usr/bin"
#define TARGET_SCRIPTS_MAX    5 /* the kernel follows four */

static void STELE_PRINTF(3, 4) target_judge(struct stele_target *target, enum stele_verdict verdict,
					    const char *format, ...)
{
	va_list args;

	target->verdict = verdict;
	va_start(args, format);
	vsnprintf(target->sentence, sizeof(target->sentence), format, args);
	va_end(args);
}

static bool target_is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	       faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;
}

/* The first executable of that name; if there is none, the first that is merely there. */
static bool target_search(const char *command, const char *search, char *path, size_t bytes)
{
	char candidate[PATH_MAX];
	bool found = false;

	for (const char *from = search;; from++) {
		const char *end = strchrnul(from, ':');
		int length = snprintf(candidate, sizeof(candidate), "%.*s%s%s", (int)(end - from),
				      from, end > from ? "/" : "", command);
		bool there = length > 0 && (size_t)length < bytes && access(candidate, F_OK) == 0;

		if (there && target_is_program(candidate)) {
			memcpy(path, candidate, (size_t)length + 1);
			return true;
		}
		if (there && !found) {
			memcpy(path, candidate, (size_t)length + 1);
			found = true;
		}
		if (!*end)
			return found;
		from = end;
	}
}

static bool target_locate(const char *command, const char *search, struct stele_target *target)
{
	if (strchr(command, '/')) {
		snprintf(target->path, sizeof(target->path), "%s", command);
		return true;
	}
	if (*command && target_search(command, search ? search : TARGET_SEARCH_DEFAULT,
				      target->path, sizeof(target->path)))
		return true;
	target_judge(target, STELE_TARGET_NOT_FOUND, "there is no program '%s' in PATH", command);
	return false;
}

/* Can it be executed at all? `script` is the file that names `path` as its interpreter, or NULL. */
static bool target_check_file(const char *path, const char *script, struct stele_target *target)
{
	struct stat st;

	if (stat(path, &st) < 0) {
		enum stele_verdict verdict = errno == ENOENT || errno == ENOTDIR
						     ? STELE_TARGET_NOT_FOUND
						     : STELE_TARGET_NOT_EXECUTABLE;

		if (script)
			target_judge(target, verdict, "the interpreter '%s' of '%s' is missing",
				     path, script);
		else
			target_judge(target, verdict, "there is no program '%s' (%s)", path,
				     strerror(errno));
		return false;
	}
	if (S_ISDIR(st.st_mode)) {
		target_judge(target, STELE_TARGET_NOT_EXECUTABLE,
			     "'%s' is a directory, not a program", path);
		return false;
	}
	if (!target_is_program(path)) {
		target_judge(target, STELE_TARGET_NOT_EXECUTABLE,
			     "'%s' is not executable (permission denied)", path);
		return false;
	}
	return true;
}

/* Does the dynamic linker run it in secure mode, where it ignores LD_PRELOAD? */
static bool target_is_privileged(const char *path, struct stele_target *target)
{
	struct statvfs fs;
	struct stat st;
	char caps[64];

	if (stat(path, &st) < 0 || (statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID)))
		return false;
	if (((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
	    ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid())) {
		target_judge(target, STELE_TARGET_UNTRACEABLE,
			     "'%s' is %s: the dynamic linker preloads nothing there", path,
			     st.st_mode & S_ISUID ? "setuid" : "setgid");
		return true;
	}
	if (getuid() != 0 && getxattr(path, "security.capability", caps, sizeof(caps)) > 0) {
		target_judge(
			target, STELE_TARGET_UNTRACEABLE,
			"'%s' has file capabilities: the dynamic linker preloads nothing there",
			path);
		return true;
	}
	return false;
}

static void target_judge_machine(const char *path, const struct stele_elffile *image,
				 struct stele_target *target)
{
	const char *name = stele__elffile_machine_name(image->machine);

	if (name)
		target_judge(target, STELE_TARGET_UNTRACEABLE,
			     "'%s' is built for another machine (%s, %u bits)", path, name,
			     image->bits);
	else
		target_judge(target, STELE_TARGET_UNTRACEABLE,
			     "'%s' is built for another machine (ELF number %u)", path,
			     image->machine);
}

static void target_judge_image(const char *path, const struct stele_elffile *image,
			       struct stele_target *target)
{
	const char *slash = strrchr(image->interpreter, '/');
	const char *linker = slash ? slash + 1 : image->interpreter;
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;

	if (!image->native) {
		target_judge_machine(path, image, target);
	} else if (!*linker) {
		/* The dynamic linker itself has no interpreter, and preloads all the same. */
		if (image->executable_type || strncmp(name, "ld-linux", 8) != 0)
			target_judge(
				target, STELE_TARGET_UNTRACEABLE,
				"'%s' is statically linked%s: nothing can be preloaded into it",
				path, image->go ? " (a Go program)" : "");
	} else if (access(image->interpreter, F_OK) < 0) {
		target_judge(target, STELE_TARGET_NOT_FOUND,
			     "the dynamic linker '%s' of '%s' is missing", image->interpreter,
			     path);
	} else if (strncmp(linker, "ld-linux", 8) != 0 && strncmp(linker, "ld.so", 5) != 0 &&
		   strncmp(linker, "ld64.so", 7) != 0) {
		target_judge(target, STELE_TARGET_UNTRACEABLE,
			     "'%s' is linked against %s, not against glibc", path,
			     strstr(linker, "musl") ? "musl" : image->interpreter);
	} else {
		memcpy(target->sanitizer, image->sanitizer, sizeof(target->sanitizer));
	}
}

/*
 * What a file that is not ELF is executed by: the interpreter of its first line, or the shell, as
 * execvp falls back to. False: the line is empty.
 */
static bool target_read_script(int fd, char *interpreter, size_t bytes, bool *ret_plain_text)
{
	char line[256];
	ssize_t got = pread(fd, line, sizeof(line) - 1, 0);
	size_t length;
	char *name;

	line[got > 0 ? got : 0] = '\0';
	if (strncmp(line, "#!", 2) != 0) {
		*ret_plain_text = true;
		snprintf(interpreter, bytes, "%s", STELE_TARGET_SHELL);
		return true;
	}
	line[strcspn(line, "\n")] = '\0';
	name = line + 2 + strspn(line + 2, " \t");
	length = strcspn(name, " \t");
	snprintf(interpreter, bytes, "%.*s", (int)length, name);
	return length > 0;
}

/* True: judged. False: *path has become the interpreter's, which is to be examined next. */
static bool target_examine_file(char *path, size_t bytes, struct stele_target *target,
				bool *plain_text)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	struct stele_elffile image;
	int error;

	if (fd < 0)
		return true; /* executable but not readable: exec will tell */
	error = stele__elffile_read(fd, &image);
	if (error == 0)
		target_judge_image(path, &image, target);
	else if (target_read_script(fd, path, bytes, plain_text))
		error = 1;
	close(fd);
	return error != 1;
}

void stele__target_examine(const char *command, const char *search, struct stele_target *ret_target)
{
	struct stele_target target = {.verdict = STELE_TARGET_TRACEABLE};
	char path[PATH_MAX], script[PATH_MAX];
	bool judged = !target_locate(command, search, &target), plain_text;

	memcpy(path, target.path, sizeof(path));
	for (unsigned depth = 0; !judged && depth < TARGET_SCRIPTS_MAX; depth++) {
		judged = !target_check_file(path, depth ? script : NULL, &target) ||
			 target_is_privileged(path, &target);
		memcpy(script, path, sizeof(script));
		plain_text = false;
		if (!judged)
			judged = target_examine_file(path, sizeof(path), &target, &plain_text);
		if (depth == 0)
			target.plain_text = plain_text;
	}
	memcpy(target.image, path, sizeof(path));
	*ret_target = target;
}
