/* SPDX-License-Identifier: MIT */
/*
 * Names for code addresses of a traced process: function, file and line, inlined calls, from
 * debugging information (also separate, in /usr/lib/debug), else from symbol tables.
 *
 * Modules are opened when they are loaded, so that a file deleted later is still read; what lies
 * at a module's path is only used if its build-id is the loaded one's. Nothing is read before the
 * first address of a module is asked for, and each address is looked up once. Who does not want
 * servers to be asked removes DEBUGINFOD_URLS from the environment, too: libdwfl looks at it.
 */
#ifndef STELE_SUPERVISE_SYMBOLS_H
#define STELE_SUPERVISE_SYMBOLS_H

#include "drain/drain.h"
#include "supervise/binary.h"

struct stele_symbols;

struct stele_symbols_stats {
	uint64_t addresses; /* distinct ones looked up in a module */
	uint64_t spent_ns;
	const char *worst; /* the module with most addresses without a name; NULL: none */
	uint64_t worst_count;
};

/* NULL: no memory. */
struct stele_symbols *stele__symbols_new(void);

/* The process whose files are looked at (its root directory, its deleted program); 0: unknown. */
void stele__symbols_set_process(struct stele_symbols *symbols, int pid);

/* For all files opened from now on; the directories must live as long. */
void stele__symbols_set_places(struct stele_symbols *symbols,
			       const struct stele_binary_places *places);

/*
 * Reads a file that will be needed, before the program runs: the first look at debugging
 * information can take a tenth of a second, in which nothing would be drained. No file: no matter.
 */
void stele__symbols_prepare(struct stele_symbols *symbols, const char *path);

/* For the drain. Valid as long as symbols. */
struct stele_symbolizer stele__symbols_symbolizer(struct stele_symbols *symbols);

void stele__symbols_stats(const struct stele_symbols *symbols,
			  struct stele_symbols_stats *ret_stats);

void stele__symbols_free(struct stele_symbols *symbols);

#endif
