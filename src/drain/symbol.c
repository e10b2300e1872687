/* SPDX-License-Identifier: MIT */
/*
 * What each pc stands for, asked once and kept. A reader remembers one (function, file, line) for
 * each pc of a generation, so frames that share a pc (inlined ones), and a pc that came to mean
 * something else in a later module epoch, get addresses of our own.
 */
#include <stdlib.h>
#include <string.h>

#include "drain/machine.h"
#include "sys/sys.h"

#define SYMBOL_FRAMES_MAX 32

static size_t symbol_append(char *out, size_t at, size_t max, const char *text, size_t bytes)
{
	if (bytes > max - at)
		bytes = max - at;
	memcpy(out + at, text, bytes);
	return at + bytes;
}

static size_t symbol_append_hex(char *out, size_t at, size_t max, uint64_t value)
{
	char digits[18];
	size_t i = sizeof(digits);

	do {
		digits[--i] = "0123456789abcdef"[value & 15];
		value >>= 4;
	} while (value);
	digits[--i] = 'x';
	digits[--i] = '0';
	return symbol_append(out, at, max, digits + i, sizeof(digits) - i);
}

static const struct stele_drain_module *module_of(const struct stele_drain_tables *tables,
						  uint64_t pc, uint32_t epoch)
{
	for (uint32_t i = tables->module_count; i > 0; i--) {
		const struct stele_drain_module *m = tables->modules[i - 1];

		if (pc >= m->start && pc < m->end && epoch >= m->epoch_first &&
		    epoch <= m->epoch_last)
			return m;
	}
	return NULL;
}

/* "libfoo.so+0x1234" in the file, or the bare address. */
static void symbol_unknown(struct stele_drain *d, uint64_t pc, uint32_t epoch,
			   struct stele_drain_frame *frame)
{
	const struct stele_drain_module *m = module_of(&d->tables, pc, epoch);
	char name[STELE_STRING_BYTES_MAX];
	size_t at = 0;

	if (m) {
		const char *slash = memrchr(m->path, '/', m->path_bytes);
		const char *base = slash ? slash + 1 : m->path;

		at = symbol_append(name, 0, sizeof(name) - 20, base,
				   (size_t)(m->path + m->path_bytes - base));
		at = symbol_append(name, at, sizeof(name), "+", 1);
		pc -= m->bias;
	}
	at = symbol_append_hex(name, at, sizeof(name), pc);
	frame->function = stele__text(d, name, at);
	frame->file = stele__text(d, m ? m->path : "", m ? m->path_bytes : 0);
	frame->line = 0;
	d->stats.frames_unsymbolized++;
}

static void symbol_frame(struct stele_drain *d, const struct stele_frame *from,
			 struct stele_drain_frame *to)
{
	const char *file = from->file ? from->file : "";

	to->function = stele__text(d, from->function, strlen(from->function));
	to->file = stele__text(d, file, strlen(file));
	to->line = from->line;
}

/* `a` may be NULL. */
static bool symbol_equals(const struct stele_drain_symbol *a, const struct stele_drain_symbol *b)
{
	if (!a || a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (a->frames[i].function != b->frames[i].function ||
		    a->frames[i].file != b->frames[i].file ||
		    a->frames[i].line != b->frames[i].line)
			return false;
	return true;
}

/*
 * The pc itself belongs to the first symbol that it stood for. The same symbol in a later epoch
 * (nothing changed there, the usual case) shares the addresses; another gets some of our own.
 */
static void symbol_address(struct stele_drain *d, struct stele_drain_symbol *symbol, uint64_t pc)
{
	const struct stele_drain_symbol *first = stele__lookup_get(&d->tables.pcs, pc, 0);
	bool shared = symbol_equals(first, symbol);

	for (uint32_t i = 0; i < symbol->count; i++) {
		if (shared)
			symbol->frames[i].pc = first->frames[i].pc;
		else if (i == 0 && !first && stele__lookup_put(&d->tables.pcs, pc, 0, symbol) == 0)
			symbol->frames[i].pc = pc;
		else
			symbol->frames[i].pc = d->tables.pc_next++;
	}
}

static struct stele_drain_symbol *symbol_resolve(struct stele_drain *d, uint64_t pc, uint32_t epoch)
{
	const struct stele_symbolizer *symbolizer = &d->options.symbolizer;
	struct stele_frame frames[SYMBOL_FRAMES_MAX];
	struct stele_drain_symbol *symbol;
	size_t count = 0, known = 0;

	if (symbolizer->resolve) {
		/* Names can take long; a writer that waits for room shall not think us dead. */
		stele__store_relaxed(&d->arena->heartbeat_ns, stele__sys_monotonic_ns());
		count = symbolizer->resolve(symbolizer->arg, epoch, pc, frames, SYMBOL_FRAMES_MAX);
	}
	symbol = calloc(1, sizeof(*symbol) + (count + 1) * sizeof(symbol->frames[0]));
	if (!symbol)
		return NULL;
	for (size_t i = 0; i < count && i < SYMBOL_FRAMES_MAX; i++)
		if (frames[i].function)
			symbol_frame(d, &frames[i], &symbol->frames[known++]);
	if (!known)
		symbol_unknown(d, pc, epoch, &symbol->frames[known++]);
	symbol->count = (uint32_t)known;
	return symbol;
}

const struct stele_drain_symbol *stele__symbol(struct stele_drain *d, uint64_t pc, uint32_t epoch)
{
	struct stele_drain_symbol *symbol = stele__lookup_get(&d->tables.symbols, pc, epoch);

	if (symbol)
		return symbol;
	symbol = symbol_resolve(d, pc, epoch);
	if (!symbol || stele__lookup_put(&d->tables.symbols, pc, epoch, symbol)) {
		free(symbol);
		return NULL;
	}
	symbol_address(d, symbol, pc);
	d->stats.frames++;
	return symbol;
}

/* The module an entry describes, copied out of the arena; NULL if it is none. */
static struct stele_drain_module *module_copy(struct stele_drain *d, uint32_t entry)
{
	const struct stele_entry *e = stele__dictionary_get(d->arena, entry);
	const struct stele_module *from;
	struct stele_drain_module *m;
	uint32_t bytes;

	if (!e || e->kind != STELE_ENTRY_MODULE)
		return NULL;
	from = (const void *)(e + 1);
	bytes = stele__load_relaxed(&from->path_bytes);
	if (bytes > stele__load_relaxed(&e->length) - sizeof(*from))
		return NULL;
	m = malloc(sizeof(*m) + bytes + 1);
	if (!m)
		return NULL;
	m->entry = entry;
	m->told = 0;
	m->start = from->start;
	m->end = from->end;
	m->bias = from->bias;
	m->epoch_first = e->epoch;
	m->epoch_last = UINT32_MAX;
	m->path_bytes = bytes;
	memcpy(m->path, from + 1, bytes);
	m->path[bytes] = 0;
	return m;
}

static void module_tell(struct stele_drain *d, uint32_t entry, uint32_t epoch, bool loaded)
{
	const struct stele_entry *e = stele__dictionary_get(d->arena, entry);
	const struct stele_symbolizer *symbolizer = &d->options.symbolizer;

	if (symbolizer->module)
		symbolizer->module(symbolizer->arg, epoch, loaded,
				   (const struct stele_module *)(const void *)(e + 1));
}

static struct stele_drain_module *module_add(struct stele_drain *d, uint32_t entry)
{
	struct stele_drain_tables *tables = &d->tables;
	struct stele_drain_module *m = module_copy(d, entry);

	if (!m || !stele__vector_grow(d, &tables->modules, tables->module_count,
				      &tables->module_max, sizeof(struct stele_drain_module *))) {
		free(m);
		return NULL;
	}
	tables->modules[tables->module_count++] = m;
	module_tell(d, entry, m->epoch_first, true);
	return m;
}

void stele__module_loaded(struct stele_drain *d, uint32_t entry)
{
	struct stele_drain_module *m = module_add(d, entry);

	if (m) {
		stele__own_module(d, entry, false);
		m->told = d->generation;
	} else {
		d->stats.unexplained++;
	}
}

bool stele__module_adopt(struct stele_drain *d, uint32_t entry, uint32_t epoch_last)
{
	struct stele_drain_module *m = module_add(d, entry);

	if (m && epoch_last != UINT32_MAX) {
		m->epoch_last = epoch_last;
		module_tell(d, entry, epoch_last + 1, false);
	}
	return m != NULL;
}

/* Its addresses may be reused from the present epoch on. */
void stele__module_unloaded(struct stele_drain *d, uint32_t entry)
{
	uint32_t epoch = stele__load_relaxed(&d->arena->module_epoch);
	struct stele_drain_module *gone = module_copy(d, entry);

	if (!gone) {
		d->stats.unexplained++;
		return;
	}
	for (uint32_t i = 0; i < d->tables.module_count; i++) {
		struct stele_drain_module *m = d->tables.modules[i];

		if (m->start == gone->start && m->epoch_first == gone->epoch_first &&
		    m->epoch_last == UINT32_MAX)
			m->epoch_last = epoch ? epoch - 1 : 0;
	}
	free(gone);
	module_tell(d, entry, epoch, false);
	stele__own_module(d, entry, true);
}
