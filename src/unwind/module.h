/* SPDX-License-Identifier: MIT */
/*
 * The code of this process and its unwind data, for those who may not ask the dynamic linker
 * because they run in a signal handler or inside an allocator.
 *
 * Written by stele__module_add/remove (one thread at a time: the caller serialises), read by any
 * thread at any instruction.
 */
#ifndef STELE_UNWIND_MODULE_H
#define STELE_UNWIND_MODULE_H

#include "base/atomic.h"
#include "base/compiler.h"

#define STELE_MODULES_MAX 1024

/* Whose code is it? */
enum stele_code { STELE_CODE_UNKNOWN, STELE_CODE_PROGRAM, STELE_CODE_OWN };

/* One executable segment. */
struct stele_code_range {
	uintptr_t start, end;
	enum stele_code code;
	bool stays;	/* it is never unloaded: its data may be read as they are */
	bool readable;	/* as long as it stays */
	bool chained;	/* it has next to no unwind data: its frames are walked by frame pointers */
	const void *id; /* the dynamic linker's name for it, if that was asked; NULL */
	/* .eh_frame_hdr, and the readable segment that must hold it and .eh_frame; 0: none. */
	uintptr_t eh_frame_hdr;
	uintptr_t data_start, data_end;
};

/* False when the table is full: code there then counts as unknown. */
bool stele__module_add(const struct stele_code_range *range);

/* Removes the ranges inside [start, end), and forgets what was derived from them. */
void stele__module_remove(uintptr_t start, uintptr_t end);

/*
 * Around whatever may unload modules, from before the first byte is unmapped until the table knows
 * of it. In between, code is what the dynamic linker says at each moment, and nothing derived from
 * it may be kept.
 */
void stele__module_unloading_begin(void);
void stele__module_unloading_end(void);

/* Who answers for modules that may have come or gone unseen: _dl_find_object; NULL: nobody. */
typedef int stele_find_object_fn(void *pc, void *ret_object);
void stele__module_ask(stele_find_object_fn *find_object);

/* The range of a pc in *ret_range. False: code of nobody, or not known. */
bool stele__module_find(uintptr_t pc, struct stele_code_range *ret_range);

/* How far the table has come: for the functions below alone. */
extern struct stele__module_age {
	uint32_t generation;
	uint32_t unloading; /* calls in progress that may unload */
} stele__module_age STELE_HIDDEN;

/* Grows whenever a range may have been removed: what was derived under an older value is void. */
STELE_INLINE uint32_t stele__module_generation(void)
{
	return stele__load_acquire(&stele__module_age.generation);
}

/* Is a call under way that may unload? */
STELE_INLINE bool stele__module_is_unloading(void)
{
	return stele__load_acquire(&stele__module_age.unloading) != 0;
}

/* May what was derived since the table had this generation be kept? */
STELE_INLINE bool stele__module_is_settled(uint32_t since)
{
	/* Pairs with unloading_begin, which counts before the generation grows. */
	return stele__module_generation() == since && !stele__module_is_unloading();
}

#endif
