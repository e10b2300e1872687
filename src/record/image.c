/* SPDX-License-Identifier: MIT */
/*
 * The modules of the process, told to the drain by records and to the unwinder by ranges. Asked of
 * the dynamic linker when something changed, never from a signal handler. dl_iterate_phdr holds the
 * linker's lock during its callbacks, which is what serialises the table here.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <unistd.h>

#include "arena/arena.h"
#include "base/ehframe.h"
#include "record/image.h"
#include "record/thread.h"
#include "stele/runtime.h"
#include "sys/sys.h"
#include "unwind/module.h"

#define PATH_BYTES_MAX 4096
#define HIDDEN_MAX     4

struct image_module {
	uintptr_t start, end;
	uint32_t entry; /* dictionary id; 0: the cell is unused */
	uint32_t seen;	/* the latest pass that met it: passes of several threads may overlap */
};

static struct image_module modules[STELE_MODULES_MAX];
static uint32_t module_count;
static uint32_t passes;

static uintptr_t hidden_pcs[HIDDEN_MAX];
static uint32_t hidden_count;

static bool first_ones_stay;

STELE_EXPORT void stele_modules_watched(int (*find_object)(void *pc, void *ret_object))
{
	first_ones_stay = true;
	stele__module_ask(find_object);
}

STELE_EXPORT void stele_unloading_begin(void)
{
	stele__module_unloading_begin();
}

STELE_EXPORT void stele_unloading_end(void)
{
	stele__module_unloading_end();
}

STELE_EXPORT void stele_hide_module(const void *code)
{
	uint32_t place = stele__load_relaxed(&hidden_count);

	if (place < HIDDEN_MAX) {
		hidden_pcs[place] = (uintptr_t)code;
		stele__store_release(&hidden_count, place + 1);
	}
}

static bool range_is_hidden(uintptr_t start, uintptr_t end)
{
	uint32_t count = stele__load_acquire(&hidden_count);

	for (uint32_t i = 0; i < count; i++)
		if (hidden_pcs[i] >= start && hidden_pcs[i] < end)
			return true;
	return false;
}

/* GNU build-id from a PT_NOTE segment; every step stays inside the segment. */
static void image_build_id(const char *note, size_t bytes, struct stele_module *module)
{
	while (bytes >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *header = (const void *)note;
		size_t name = (header->n_namesz + 3u) & ~3u;
		size_t desc = (header->n_descsz + 3u) & ~3u;
		size_t whole = sizeof(*header) + name + desc;

		if (name > bytes || desc > bytes || whole > bytes)
			return;
		if (header->n_type == NT_GNU_BUILD_ID && header->n_namesz == 4 &&
		    memcmp(note + sizeof(*header), "GNU", 4) == 0 &&
		    header->n_descsz <= sizeof(module->build_id)) {
			module->build_id_bytes = header->n_descsz;
			memcpy(module->build_id, note + sizeof(*header) + name, header->n_descsz);
			return;
		}
		note += whole;
		bytes -= whole;
	}
}

static void image_describe(const struct dl_phdr_info *info, struct stele_module *module)
{
	*module = (struct stele_module){.start = UINT64_MAX, .bias = info->dlpi_addr};
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD) {
			if (start < module->start)
				module->start = start;
			if (start + segment->p_memsz > module->end)
				module->end = start + segment->p_memsz;
		} else if (segment->p_type == PT_NOTE) {
			image_build_id((const char *)start, segment->p_memsz, module);
		}
	}
}

/* The readable segment that holds .eh_frame_hdr bounds every look at unwind data. */
static void image_find_unwind_data(const struct dl_phdr_info *info, struct stele_code_range *range)
{
	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			range->eh_frame_hdr = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + segment->p_vaddr;

		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_R) &&
		    range->eh_frame_hdr - start < segment->p_filesz) {
			range->data_start = start;
			range->data_end = start + segment->p_filesz;
		}
	}
	if (!range->data_start)
		range->eh_frame_hdr = 0;
}

/*
 * Was this built without unwind data? What is linked to it may have some all the same; but where
 * most code has, a function without is none that keeps a frame pointer.
 */
static bool image_is_chained(const struct dl_phdr_info *info, const ElfW(Phdr) * code)
{
	size_t header_bytes = 0;

	for (unsigned i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_GNU_EH_FRAME)
			header_bytes = info->dlpi_phdr[i].p_memsz;
	return !stele__ehframe_covers(code->p_memsz, header_bytes);
}

static void image_add_ranges(const struct dl_phdr_info *info, bool hidden, bool stays)
{
	struct stele_code_range range = {.code = hidden ? STELE_CODE_OWN : STELE_CODE_PROGRAM,
					 .stays = stays};

	image_find_unwind_data(info, &range);
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &info->dlpi_phdr[i];

		if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
			continue;
		range.start = info->dlpi_addr + segment->p_vaddr;
		range.end = range.start + segment->p_memsz;
		range.readable = segment->p_flags & PF_R;
		range.chained = stays && !hidden && image_is_chained(info, segment);
		stele__module_add(&range);
	}
}

static size_t image_path(const struct dl_phdr_info *info, char *buffer)
{
	ssize_t bytes;

	if (info->dlpi_name && info->dlpi_name[0]) {
		size_t length = strnlen(info->dlpi_name, PATH_BYTES_MAX);

		memcpy(buffer, info->dlpi_name, length);
		return length;
	}
	bytes = readlink("/proc/self/exe", buffer, PATH_BYTES_MAX);
	return bytes > 0 ? (size_t)bytes : 0;
}

static struct image_module *module_find(uintptr_t start)
{
	for (uint32_t i = 0; i < module_count; i++)
		if (modules[i].entry && modules[i].start == start)
			return &modules[i];
	return NULL;
}

/* Without the linker's lock: a cell in the midst of a change is read as what it was or will be. */
bool stele__image_find(uintptr_t pc, struct stele_image_place *ret_place)
{
	for (uint32_t i = 0; i < stele__load_relaxed(&module_count); i++) {
		const struct image_module *m = &modules[i];
		const struct stele_entry *entry = stele__dictionary_get(
			stele__recorder.arena, stele__load_relaxed(&m->entry));
		const struct stele_module *module;

		if (!entry || entry->kind != STELE_ENTRY_MODULE)
			continue;
		module = (const void *)(entry + 1);
		if (pc < module->start || pc >= module->end)
			continue;
		*ret_place = (struct stele_image_place){.path = (const char *)(module + 1),
							.path_bytes = module->path_bytes,
							.offset = pc - module->bias};
		return true;
	}
	return false;
}

static struct image_module *module_unused(void)
{
	for (uint32_t i = 0; i < module_count; i++)
		if (!modules[i].entry)
			return &modules[i];
	return module_count < STELE_MODULES_MAX ? &modules[module_count++] : NULL;
}

static void image_load(const struct dl_phdr_info *info, struct stele_module *module, uint32_t pass)
{
	static char path[PATH_BYTES_MAX]; /* under the linker's lock, as all of this */
	struct image_module *cell = module_unused();
	size_t path_bytes = image_path(info, path);

	if (!cell)
		return;
	module->path_bytes = (uint32_t)path_bytes;
	cell->start = module->start;
	cell->end = module->end;
	cell->seen = pass;
	cell->entry =
		stele__dictionary_intern(stele__recorder.arena, STELE_ENTRY_MODULE, 0,
					 stele__load_relaxed(&stele__recorder.arena->module_epoch),
					 (uint32_t)(sizeof(*module) + path_bytes), module,
					 sizeof(*module), path, path_bytes);
	image_add_ranges(info, range_is_hidden(module->start, module->end),
			 first_ones_stay && pass == 1);
	stele__emit(STELE_KIND_MODULE_LOAD, cell->entry, 0, 0);
}

static int image_visit(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uint32_t pass = *(const uint32_t *)arg;
	struct stele_module module;
	struct image_module *known;

	(void)size;
	image_describe(info, &module);
	if (module.start >= module.end)
		return 0;
	known = module_find(module.start);
	if (!known)
		image_load(info, &module, pass);
	else if (known->seen < pass)
		known->seen = pass;
	return 0;
}

/* The first callback of a second walk, for the sake of the linker's lock. */
static int image_sweep(struct dl_phdr_info *info, size_t size, void *arg)
{
	const uint32_t pass = *(const uint32_t *)arg;

	(void)info;
	(void)size;
	for (uint32_t i = 0; i < module_count; i++) {
		struct image_module *m = &modules[i];

		if (!m->entry || m->seen >= pass)
			continue;
		stele__module_remove(m->start, m->end);
		stele__emit(STELE_KIND_MODULE_UNLOAD, m->entry, 0, 0);
		m->entry = 0;
	}
	return 1;
}

void stele__image_announce(void)
{
	for (uint32_t i = 0; i < stele__load_relaxed(&module_count); i++) {
		uint32_t entry = stele__load_relaxed(&modules[i].entry);

		if (entry)
			stele__emit(STELE_KIND_MODULE_LOAD, entry, 0, 0);
	}
}

STELE_EXPORT void stele_modules_changed(bool unloaded)
{
	int saved_errno = errno;
	uint32_t pass;

	if (!stele__is_on())
		return;
	/* Addresses may be reused from here on: stacks captured later belong to a new epoch. */
	if (unloaded)
		stele__add_relaxed(&stele__recorder.arena->module_epoch, 1);
	pass = stele__add_relaxed(&passes, 1) + 1;
	dl_iterate_phdr(image_visit, &pass);
	dl_iterate_phdr(image_sweep, &pass);
	errno = saved_errno;
}
