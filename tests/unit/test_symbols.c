/* SPDX-License-Identifier: MIT */
/* Names the addresses of this very program. */
#include "supervise/symbols.h"

#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "supervise/binary.h"
#include "supervise/elffile.h"
#include "support/tap.h"

static volatile int sink;

static inline __attribute__((always_inline)) uintptr_t inlined_marker(void)
{
	uintptr_t pc;

	sink++;
#if defined(__x86_64__)
	__asm__ volatile("lea 0(%%rip), %0" : "=r"(pc));
#else
	__asm__ volatile("adr %0, ." : "=r"(pc));
#endif
	sink++;
	return pc;
}

__attribute__((noinline)) static uintptr_t outer_marker(void)
{
	uintptr_t pc = inlined_marker();

	sink++;
	return pc;
}

struct self {
	struct stele_module module;
	char path[PATH_MAX];
};

static int self_visit(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct self *self = arg;

	(void)bytes;
	self->module.bias = info->dlpi_addr;
	self->module.start = UINT64_MAX;
	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		uint64_t low = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		uint64_t high = low + info->dlpi_phdr[i].p_memsz;

		if (info->dlpi_phdr[i].p_type != PT_LOAD)
			continue;
		self->module.start = low < self->module.start ? low : self->module.start;
		self->module.end = high > self->module.end ? high : self->module.end;
	}
	return 1; /* the first is the program */
}

/* The module entry of this program. */
static struct self self_new(void)
{
	struct self self = {0};
	struct stele_elffile elf;
	FILE *file = fopen("/proc/self/exe", "r");

	dl_iterate_phdr(self_visit, &self);
	self.module.path_bytes =
		(uint32_t)readlink("/proc/self/exe", self.path, sizeof(self.path) - 1);
	CHECK_EQ(stele__elffile_read(fileno(file), &elf), 0);
	self.module.build_id_bytes = elf.build_id_bytes;
	memcpy(self.module.build_id, elf.build_id, elf.build_id_bytes);
	fclose(file);
	return self;
}

static struct stele_frame frames[8];

static size_t resolve(struct stele_symbols *symbols, uint32_t epoch, uint64_t pc)
{
	struct stele_symbolizer s = stele__symbols_symbolizer(symbols);

	memset(frames, 0, sizeof(frames));
	return s.resolve(s.arg, epoch, pc, frames, 8);
}

static void tell(struct stele_symbols *symbols, uint32_t epoch, bool loaded,
		 const struct stele_module *module)
{
	struct stele_symbolizer s = stele__symbols_symbolizer(symbols);

	s.module(s.arg, epoch, loaded, module);
}

static bool ends_with(const char *text, const char *end)
{
	return text && strlen(text) >= strlen(end) &&
	       !strcmp(text + strlen(text) - strlen(end), end);
}

static void symbols_name_inlined_calls(void)
{
	struct stele_symbols *symbols = stele__symbols_new();
	struct self self = self_new();
	struct stele_symbols_stats stats;

	tell(symbols, 0, true, &self.module);
	CHECK_EQ(resolve(symbols, 0, outer_marker()), 2);
	CHECK_STR(frames[0].function, "inlined_marker");
	CHECK_STR(frames[1].function, "outer_marker");
	CHECK(ends_with(frames[0].file, "test_symbols.c"));
	CHECK(ends_with(frames[1].file, "test_symbols.c"));
	CHECK(frames[0].line > 15 && frames[0].line < 40);
	CHECK(frames[1].line > frames[0].line);
	CHECK_EQ(resolve(symbols, 0, outer_marker()), 2);
	stele__symbols_stats(symbols, &stats);
	CHECK_EQ(stats.addresses, 1);
	CHECK(!stats.worst);
	stele__symbols_free(symbols);
}

static void symbols_of_a_replaced_file_are_not_believed(void)
{
	struct stele_symbols *symbols = stele__symbols_new();
	struct self self = self_new();
	uintptr_t pc = outer_marker();
	struct stele_symbols_stats stats;

	self.module.build_id_bytes = 8; /* another build's */
	tell(symbols, 0, true, &self.module);
	CHECK_EQ(resolve(symbols, 0, pc), 0);
	stele__symbols_stats(symbols, &stats);
	CHECK_EQ(stats.worst_count, 1);
	CHECK_STR(stats.worst, strrchr(self.path, '/') + 1);
	stele__symbols_free(symbols);
}

static void symbols_find_a_deleted_program(void)
{
	struct stele_symbols *symbols = stele__symbols_new();
	struct self self = self_new();
	static const char gone[] = "/nonexistent/program (deleted)";

	memcpy(self.path, gone, sizeof(gone));
	self.module.path_bytes = sizeof(gone) - 1;
	stele__symbols_set_process(symbols, getpid());
	tell(symbols, 0, true, &self.module);
	if (self.module.build_id_bytes)
		CHECK_EQ(resolve(symbols, 0, outer_marker()), 2);
	else
		CHECK_EQ(resolve(symbols, 0, outer_marker()), 0);
	stele__symbols_free(symbols);
}

/* The same addresses belong to another module, then to none, then to this program again. */
static void symbols_know_epochs(void)
{
	struct stele_symbols *symbols = stele__symbols_new();
	struct self self = self_new(), other = self;
	uintptr_t pc = outer_marker();

	other.module.build_id_bytes = 8;
	tell(symbols, 1, true, &other.module);
	CHECK_EQ(resolve(symbols, 1, pc), 0);
	tell(symbols, 2, false, &other.module);
	tell(symbols, 3, true, &self.module);
	CHECK_EQ(resolve(symbols, 1, pc), 0);
	CHECK_EQ(resolve(symbols, 3, pc), 2);
	CHECK_EQ(resolve(symbols, 9, pc), 2);
	tell(symbols, 10, false, &self.module);
	CHECK_EQ(resolve(symbols, 9, pc), 2);
	CHECK_EQ(resolve(symbols, 10, pc), 0);
	CHECK_EQ(resolve(symbols, 3, self.module.end), 0);
	CHECK_EQ(resolve(symbols, 3, self.module.start - 1), 0);
	stele__symbols_free(symbols);
}

static void symbols_refuse_impossible_modules(void)
{
	struct stele_symbols *symbols = stele__symbols_new();
	struct self self = self_new();

	self.module.path_bytes = UINT32_MAX;
	tell(symbols, 0, true, &self.module);
	self.module.path_bytes = 1;
	self.module.end = self.module.start;
	tell(symbols, 0, true, &self.module);
	CHECK_EQ(resolve(symbols, 0, outer_marker()), 0);
	stele__symbols_free(symbols);
}

TAP_MAIN(TEST(symbols_name_inlined_calls), TEST(symbols_of_a_replaced_file_are_not_believed),
	 TEST(symbols_find_a_deleted_program), TEST(symbols_know_epochs),
	 TEST(symbols_refuse_impossible_modules))
