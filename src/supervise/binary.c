/* SPDX-License-Identifier: MIT */
#include "supervise/binary.h"

#include <dlfcn.h>
#include <elfutils/libdwfl.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervise/elffile.h"
#include "supervise/symtab.h"

struct stele_binary {
	int fd; /* until it is loaded; -1: not found */
	bool loaded;
	uint32_t build_id_bytes;
	uint8_t build_id[STELE_BUILD_ID_MAX];
	Dwfl *dwfl;
	Dwarf_Addr dwarf_bias;
	struct stele_debuginfo *dwarf;
	struct stele_symtab symtab;
	char path[];
};

static bool binary_has_build_id(int fd, const struct stele_module *module)
{
	struct stele_elffile image;

	if (stele__elffile_read(fd, &image) < 0)
		return false;
	/* A module without build-id is believed: nothing tells its file from another. */
	return module->build_id_bytes == 0 ||
	       (image.build_id_bytes == module->build_id_bytes &&
		!memcmp(image.build_id, module->build_id, image.build_id_bytes));
}

/* The file at `path` if it is the module's; -1: it is not. O_NONBLOCK: it may be a pipe now. */
static int binary_try(const char *path, const struct stele_module *module)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && binary_has_build_id(fd, module))
		return fd;
	close(fd);
	return -1;
}

/* ".build-id/ab/cdef….debug": how separate debugging information is filed. */
static bool binary_debug_name(const struct stele_module *module, char *name, size_t bytes)
{
	size_t at;

	if (module->build_id_bytes < 2 || module->build_id_bytes > STELE_BUILD_ID_MAX)
		return false;
	at = (size_t)snprintf(name, bytes, ".build-id/%02x/", module->build_id[0]);
	for (uint32_t i = 1; i < module->build_id_bytes && at + 8 < bytes; i++)
		at += (size_t)snprintf(name + at, bytes - at, "%02x", module->build_id[i]);
	snprintf(name + at, bytes - at, ".debug");
	return true;
}

static int binary_search_directories(const struct stele_binary_places *places,
				     const struct stele_module *module, const char *path)
{
	char name[16 + 2 * STELE_BUILD_ID_MAX + 8], other[PATH_MAX * 2];
	bool has_id = binary_debug_name(module, name, sizeof(name));
	int fd = -1;

	for (size_t i = 0; i < places->directory_count && fd < 0; i++) {
		snprintf(other, sizeof(other), "%s/%s", places->directories[i], name);
		if (has_id)
			fd = binary_try(other, module);
		snprintf(other, sizeof(other), "%s/%s", places->directories[i], path);
		if (fd < 0)
			fd = binary_try(other, module);
	}
	return fd;
}

/* libdebuginfod is asked by name, as libdwfl does: most machines have none. */
static int binary_ask_servers(const struct stele_module *module)
{
	void *library = dlopen("libdebuginfod.so.1", RTLD_LAZY | RTLD_LOCAL);
	void *(*begin)(void) = NULL;
	int (*find)(void *client, const unsigned char *id, int id_bytes, char **path) = NULL;
	void (*end)(void *client) = NULL;
	void *client;
	int fd = -1;

	if (!library || !module->build_id_bytes)
		return -1;
	*(void **)&begin = dlsym(library, "debuginfod_begin");
	*(void **)&find = dlsym(library, "debuginfod_find_debuginfo");
	*(void **)&end = dlsym(library, "debuginfod_end");
	client = begin && find && end ? begin() : NULL;
	if (!client)
		return -1;
	fd = find(client, module->build_id, (int)module->build_id_bytes, NULL);
	end(client);
	return fd < 0 ? -1 : fd;
}

/* What was loaded, at its path as the process sees it or saw it, or as we see it. */
static int binary_search_process(int pid, const struct stele_module *module, const char *path)
{
	char other[PATH_MAX + 64];
	int fd = -1;

	if (pid && path[0] == '/') {
		snprintf(other, sizeof(other), "/proc/%d/root%s", pid, path);
		fd = binary_try(other, module);
	}
	if (fd < 0 && path[0] == '/')
		fd = binary_try(path, module);
	if (fd < 0 && pid) {
		snprintf(other, sizeof(other), "/proc/%d/map_files/%llx-%llx", pid,
			 (unsigned long long)module->start, (unsigned long long)module->end);
		fd = binary_try(other, module);
	}
	/* Without a build-id it could be any module. */
	if (fd < 0 && pid && module->build_id_bytes) {
		snprintf(other, sizeof(other), "/proc/%d/exe", pid);
		fd = binary_try(other, module);
	}
	return fd;
}

/*
 * Debugging information alone will do as well as the file, and better than a stripped one: what
 * the user names comes first. libdwfl itself looks beside the file and in /usr/lib/debug.
 */
static int binary_search(const struct stele_binary_places *places,
			 const struct stele_module *module, const char *path)
{
	static const char *const usual[] = {"/usr/lib/debug"};
	const struct stele_binary_places debug = {.directories = usual, .directory_count = 1};
	int fd;

	if (places->elsewhere && !module->build_id_bytes)
		return -1;
	fd = binary_search_directories(places, module, path);
	if (fd < 0)
		fd = binary_search_process(places->pid, module, path);
	if (fd < 0)
		fd = binary_search_directories(&debug, module, path);
	return fd < 0 && places->servers ? binary_ask_servers(module) : fd;
}

struct stele_binary *stele__binary_open(const struct stele_binary_places *places,
					const struct stele_module *module, const char *path)
{
	struct stele_binary *binary = calloc(1, sizeof(*binary) + module->path_bytes + 1);

	if (!binary)
		return NULL;
	memcpy(binary->path, path, module->path_bytes);
	binary->build_id_bytes =
		module->build_id_bytes <= STELE_BUILD_ID_MAX ? module->build_id_bytes : 0;
	memcpy(binary->build_id, module->build_id, binary->build_id_bytes);
	binary->fd = binary_search(places, module, binary->path);
	return binary;
}

bool stele__binary_is(const struct stele_binary *binary, const struct stele_module *module,
		      const char *path)
{
	bool same_path = strlen(binary->path) == module->path_bytes &&
			 !memcmp(binary->path, path, module->path_bytes);

	if (binary->build_id_bytes != module->build_id_bytes ||
	    memcmp(binary->build_id, module->build_id, binary->build_id_bytes) != 0)
		return false;
	/* One build under two names (a link, another root) is one file, if it was found at all. */
	return same_path || (binary->build_id_bytes && (binary->fd >= 0 || binary->loaded));
}

const char *stele__binary_path(const struct stele_binary *binary)
{
	return binary->path;
}

/* The file is always given by descriptor: nothing is to be searched. */
static int binary_find_elf(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
			   char **file, Elf **elf)
{
	(void)module;
	(void)user;
	(void)name;
	(void)base;
	(void)file;
	(void)elf;
	return -1;
}

static const Dwfl_Callbacks binary_callbacks = {
	.find_elf = binary_find_elf,
	.find_debuginfo = dwfl_standard_find_debuginfo,
};

void stele__binary_prepare(struct stele_binary *binary)
{
	Dwfl_Module *module;
	GElf_Addr bias;
	Dwarf *dwarf;
	Elf *elf;

	if (binary->loaded || binary->fd < 0)
		return;
	binary->loaded = true;
	binary->dwfl = dwfl_begin(&binary_callbacks);
	if (!binary->dwfl)
		return;
	dwfl_report_begin(binary->dwfl);
	/* At address 0: everything is asked for by its address in the file. */
	module = dwfl_report_elf(binary->dwfl, binary->path, binary->path, binary->fd, 0, true);
	dwfl_report_end(binary->dwfl, NULL, NULL);
	if (!module)
		return;
	binary->fd = -1; /* libdwfl's now */
	elf = dwfl_module_getelf(module, &bias);
	if (elf)
		stele__symtab_add(&binary->symtab, elf);
	dwarf = dwfl_module_getdwarf(module, &binary->dwarf_bias);
	if (dwarf) {
		binary->dwarf = stele__debuginfo_new(dwarf);
		if (dwarf_getelf(dwarf) != elf && binary->dwarf_bias == 0)
			stele__symtab_add(&binary->symtab, dwarf_getelf(dwarf));
	}
	stele__symtab_sort(&binary->symtab);
}

size_t stele__binary_find(struct stele_binary *binary, uint64_t address, struct stele_place *places,
			  size_t max)
{
	const struct stele_symbol *symbol;
	size_t count = 0;

	stele__binary_prepare(binary);
	if (binary->dwarf)
		count = stele__debuginfo_find(binary->dwarf, address - binary->dwarf_bias, places,
					      max);
	if (count > 1 || (count == 1 && places[0].function) || max == 0)
		return count;
	if (count == 0)
		places[0] = (struct stele_place){.file = binary->path};
	symbol = stele__symtab_find(&binary->symtab, address);
	if (symbol)
		places[0].function = places[0].linkage = symbol->name;
	return symbol || count;
}

const char *stele__binary_variable(struct stele_binary *binary, uint64_t address,
				   uint64_t *ret_begin)
{
	const struct stele_symbol *symbol;

	stele__binary_prepare(binary);
	symbol = stele__symtab_find(&binary->symtab, address);
	if (!symbol)
		return NULL;
	*ret_begin = symbol->low;
	return symbol->name;
}

void stele__binary_free(struct stele_binary *binary)
{
	if (!binary)
		return;
	stele__debuginfo_free(binary->dwarf);
	stele__symtab_done(&binary->symtab);
	if (binary->dwfl)
		dwfl_end(binary->dwfl);
	if (binary->fd >= 0)
		close(binary->fd);
	free(binary);
}
