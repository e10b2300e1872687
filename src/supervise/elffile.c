/* SPDX-License-Identifier: MIT */
#include "supervise/elffile.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/ehframe.h"

#if defined(__x86_64__)
#define ELFFILE_MACHINE EM_X86_64
#elif defined(__aarch64__)
#define ELFFILE_MACHINE EM_AARCH64
#endif

#define ELFFILE_SEGMENTS_MAX 128
#define ELFFILE_NOTES_MAX    16384
#define ELFFILE_DYNAMIC_MAX  1024 /* entries looked at */

/* A file being read and its program headers. */
struct elffile_file {
	int fd;
	unsigned segments;
	Elf64_Phdr segment[ELFFILE_SEGMENTS_MAX];
};

static bool elffile_pread(int fd, void *data, size_t bytes, uint64_t offset)
{
	return offset <= INT64_MAX && pread(fd, data, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* Reads at most bytes - 1 and terminates. */
static void elffile_read_text(int fd, uint64_t offset, char *text, size_t bytes)
{
	ssize_t got = offset <= INT64_MAX ? pread(fd, text, bytes - 1, (off_t)offset) : 0;

	text[got > 0 ? got : 0] = '\0';
}

static bool elffile_read_segments(struct elffile_file *file, const Elf64_Ehdr *header)
{
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phnum > ELFFILE_SEGMENTS_MAX)
		return false;
	file->segments = header->e_phnum;
	return elffile_pread(file->fd, file->segment, file->segments * sizeof(Elf64_Phdr),
			     header->e_phoff);
}

static const Elf64_Phdr *elffile_segment(const struct elffile_file *file, unsigned type)
{
	for (unsigned i = 0; i < file->segments; i++)
		if (file->segment[i].p_type == type)
			return &file->segment[i];
	return NULL;
}

/* The place in the file of an address, 0 if it has none. */
static uint64_t elffile_offset(const struct elffile_file *file, uint64_t address)
{
	for (unsigned i = 0; i < file->segments; i++) {
		const Elf64_Phdr *s = &file->segment[i];

		if (s->p_type == PT_LOAD && address >= s->p_vaddr &&
		    address - s->p_vaddr < s->p_filesz)
			return s->p_offset + (address - s->p_vaddr);
	}
	return 0;
}

static uint32_t elffile_align4(uint32_t bytes)
{
	return (bytes + 3) & ~3u;
}

static void elffile_take_note(struct stele_elffile *image, const Elf64_Nhdr *note, const char *name,
			      const uint8_t *description)
{
	if (note->n_namesz == 4 && !memcmp(name, "Go\0", 4))
		image->go = true;
	if (note->n_namesz == 4 && !memcmp(name, "GNU", 4) && note->n_type == NT_GNU_BUILD_ID &&
	    note->n_descsz <= STELE_BUILD_ID_MAX) {
		image->build_id_bytes = note->n_descsz;
		memcpy(image->build_id, description, note->n_descsz);
	}
}

static void elffile_read_notes(const struct elffile_file *file, const Elf64_Phdr *segment,
			       struct stele_elffile *image)
{
	_Alignas(8) char notes[ELFFILE_NOTES_MAX];
	uint32_t bytes = segment->p_filesz < sizeof(notes) ? (uint32_t)segment->p_filesz
							   : (uint32_t)sizeof(notes);
	uint32_t at = 0;

	if (!elffile_pread(file->fd, notes, bytes, segment->p_offset))
		return;
	while (bytes - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr note;
		uint32_t name, description;

		memcpy(&note, notes + at, sizeof(note));
		name = at + (uint32_t)sizeof(note);
		if (note.n_namesz > bytes || note.n_descsz > bytes)
			return;
		description = name + elffile_align4(note.n_namesz);
		if (description > bytes || note.n_descsz > bytes - description)
			return;
		elffile_take_note(image, &note, notes + name, (uint8_t *)notes + description);
		at = description + elffile_align4(note.n_descsz);
		if (at > bytes)
			return;
	}
}

static bool elffile_is_sanitizer(const char *name)
{
	static const char *const runtimes[] = {
		"libasan.so",	    "libtsan.so",	"liblsan.so",	     "libhwasan.so",
		"libclang_rt.asan", "libclang_rt.tsan", "libclang_rt.hwasan"};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(runtimes); i++)
		if (!strncmp(name, runtimes[i], strlen(runtimes[i])))
			return true;
	return false;
}

static void elffile_read_needed(const struct elffile_file *file, const Elf64_Phdr *segment,
				struct stele_elffile *image)
{
	uint64_t count = segment->p_filesz / sizeof(Elf64_Dyn), strings = 0;
	Elf64_Dyn entry[ELFFILE_DYNAMIC_MAX];

	if (count > ELFFILE_DYNAMIC_MAX)
		count = ELFFILE_DYNAMIC_MAX;
	if (!elffile_pread(file->fd, entry, count * sizeof(entry[0]), segment->p_offset))
		return;
	for (uint64_t i = 0; i < count && entry[i].d_tag != DT_NULL; i++)
		if (entry[i].d_tag == DT_STRTAB)
			strings = elffile_offset(file, entry[i].d_un.d_ptr);
	for (uint64_t i = 0; strings && i < count && entry[i].d_tag != DT_NULL; i++) {
		char name[sizeof(image->sanitizer)];

		if (entry[i].d_tag != DT_NEEDED || entry[i].d_un.d_val > UINT32_MAX)
			continue;
		elffile_read_text(file->fd, strings + entry[i].d_un.d_val, name, sizeof(name));
		if (elffile_is_sanitizer(name)) {
			memcpy(image->sanitizer, name, sizeof(name));
			return;
		}
	}
}

static bool elffile_has_unwind_data(const struct elffile_file *file)
{
	const Elf64_Phdr *header = elffile_segment(file, PT_GNU_EH_FRAME);
	uint64_t code_bytes = 0;

	for (unsigned i = 0; i < file->segments; i++)
		if (file->segment[i].p_type == PT_LOAD && (file->segment[i].p_flags & PF_X))
			code_bytes += file->segment[i].p_memsz;
	return stele__ehframe_covers(code_bytes, header ? header->p_memsz : 0);
}

int stele__elffile_read(int fd, struct stele_elffile *ret_image)
{
	struct stele_elffile image = {0};
	struct elffile_file file = {.fd = fd};
	const Elf64_Phdr *segment;
	Elf64_Ehdr header;

	/* A 32-bit header is shorter, but e_ident, e_type and e_machine lie at the same places. */
	if (!elffile_pread(fd, &header, sizeof(Elf32_Ehdr), 0) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return -ENOEXEC;
	image.bits = header.e_ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
	image.machine = header.e_machine;
	if (header.e_ident[EI_DATA] != ELFDATA2LSB)
		image.machine = __builtin_bswap16(header.e_machine);
	image.native = image.bits == 64 && header.e_ident[EI_DATA] == ELFDATA2LSB &&
		       image.machine == ELFFILE_MACHINE;
	if (!image.native) {
		*ret_image = image;
		return 0;
	}
	if (!elffile_pread(fd, &header, sizeof(header), 0) ||
	    !elffile_read_segments(&file, &header))
		return -ENOEXEC;
	image.executable_type = header.e_type == ET_EXEC;
	image.unwind_data = elffile_has_unwind_data(&file);
	segment = elffile_segment(&file, PT_INTERP);
	if (segment)
		elffile_read_text(fd, segment->p_offset, image.interpreter,
				  sizeof(image.interpreter));
	segment = elffile_segment(&file, PT_DYNAMIC);
	if (segment)
		elffile_read_needed(&file, segment, &image);
	for (unsigned i = 0; i < file.segments; i++)
		if (file.segment[i].p_type == PT_NOTE)
			elffile_read_notes(&file, &file.segment[i], &image);
	*ret_image = image;
	return 0;
}

const char *stele__elffile_machine_name(unsigned machine)
{
	switch (machine) {
	case EM_386:
		return "i386";
	case EM_X86_64:
		return "x86-64";
	case EM_ARM:
		return "ARM";
	case EM_AARCH64:
		return "AArch64";
	case EM_RISCV:
		return "RISC-V";
	case EM_PPC64:
		return "PowerPC";
	case EM_S390:
		return "S/390";
	default:
		return NULL;
	}
}
