/* SPDX-License-Identifier: MIT */
/*
 * Two sorted indices: address -> unit, made when the file is opened (.debug_aranges is not asked:
 * clang does not write it), and in each unit address -> function, made when the unit is first
 * needed. Only the way from a function down to the inlined calls is searched for each address.
 */
#include "supervise/debuginfo.h"

#include <dwarf.h>
#include <stdlib.h>

#define DEBUGINFO_DEPTH_MAX    32 /* of nested scopes */
#define DEBUGINFO_RANGES_MAX   (1u << 24)
#define DEBUGINFO_SIBLINGS_MAX (1u << 22) /* a damaged sibling chain may be a circle */

struct debuginfo_range {
	uint64_t low;
	uint64_t high;
	Dwarf_Off offset; /* the function's DIE, or the unit's place in stele_dwarf.units */
};

struct debuginfo_ranges {
	struct debuginfo_range *items;
	size_t count, capacity;
};

struct debuginfo_unit {
	Dwarf_Die die;	/* owns ranges and lines */
	Dwarf_Die tree; /* holds the functions: another DIE if they are in a .dwo file */
	struct debuginfo_ranges functions;
	bool indexed;
};

struct stele_debuginfo {
	struct debuginfo_unit *units;
	size_t unit_count, unit_capacity;
	struct debuginfo_ranges ranges;
};

static void debuginfo_ranges_add(struct debuginfo_ranges *ranges, uint64_t low, uint64_t high,
				 Dwarf_Off offset)
{
	/* Functions that the linker threw away have ranges at 0 or beyond everything. */
	if (low == 0 || high <= low)
		return;
	if (ranges->count == ranges->capacity) {
		size_t capacity = ranges->capacity ? ranges->capacity * 2 : 64;
		void *grown = capacity <= DEBUGINFO_RANGES_MAX
				      ? realloc(ranges->items, capacity * sizeof(ranges->items[0]))
				      : NULL;

		if (!grown)
			return; /* costs names, nothing else */
		ranges->items = grown;
		ranges->capacity = capacity;
	}
	ranges->items[ranges->count++] = (struct debuginfo_range){low, high, offset};
}

static void debuginfo_ranges_add_die(struct debuginfo_ranges *ranges, Dwarf_Die *die,
				     Dwarf_Off offset)
{
	Dwarf_Addr base, low, high;
	ptrdiff_t at = 0;

	while ((at = dwarf_ranges(die, at, &base, &low, &high)) > 0)
		debuginfo_ranges_add(ranges, low, high, offset);
}

static int debuginfo_ranges_compare(const void *left, const void *right)
{
	const struct debuginfo_range *a = left, *b = right;

	return a->low < b->low ? -1 : a->low > b->low;
}

static void debuginfo_ranges_sort(struct debuginfo_ranges *ranges)
{
	if (ranges->count)
		qsort(ranges->items, ranges->count, sizeof(ranges->items[0]),
		      debuginfo_ranges_compare);
}

static const struct debuginfo_range *debuginfo_ranges_find(const struct debuginfo_ranges *ranges,
							   uint64_t address)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (ranges->items[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t back = 0; back < 4 && back < low; back++)
		if (address < ranges->items[low - 1 - back].high)
			return &ranges->items[low - 1 - back];
	return NULL;
}

static bool debuginfo_add_unit(struct stele_debuginfo *index, const Dwarf_Die *die,
			       const Dwarf_Die *tree)
{
	if (index->unit_count == index->unit_capacity) {
		size_t capacity = index->unit_capacity ? index->unit_capacity * 2 : 16;
		void *grown = realloc(index->units, capacity * sizeof(index->units[0]));

		if (!grown)
			return false;
		index->units = grown;
		index->unit_capacity = capacity;
	}
	index->units[index->unit_count++] = (struct debuginfo_unit){.die = *die, .tree = *tree};
	return true;
}

struct stele_debuginfo *stele__debuginfo_new(Dwarf *dwarf)
{
	struct stele_debuginfo *index = calloc(1, sizeof(*index));
	Dwarf_CU *cu = NULL;
	Dwarf_Die die, split;
	uint8_t type;

	if (!index)
		return NULL;
	while (dwarf_get_units(dwarf, cu, &cu, NULL, &type, &die, &split) == 0) {
		bool in_file = type == DW_UT_skeleton && split.addr;

		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		debuginfo_ranges_add_die(&index->ranges, &die, index->unit_count);
		if (!debuginfo_add_unit(index, &die, in_file ? &split : &die))
			break;
	}
	debuginfo_ranges_sort(&index->ranges);
	return index;
}

static bool debuginfo_holds_functions(int tag)
{
	return tag == DW_TAG_namespace || tag == DW_TAG_module || tag == DW_TAG_class_type ||
	       tag == DW_TAG_structure_type || tag == DW_TAG_union_type;
}

/* Walks a unit's tree, down into whatever may hold functions. */
static void debuginfo_index_unit(struct debuginfo_unit *unit)
{
	Dwarf_Die stack[DEBUGINFO_DEPTH_MAX];
	unsigned depth = 0;

	unit->indexed = true;
	if (dwarf_child(&unit->tree, &stack[0]) != 0)
		return;
	for (unsigned steps = 0; steps < DEBUGINFO_SIBLINGS_MAX; steps++) {
		Dwarf_Die *die = &stack[depth];
		int tag = dwarf_tag(die);

		if (tag == DW_TAG_subprogram)
			debuginfo_ranges_add_die(&unit->functions, die, dwarf_dieoffset(die));
		else if (debuginfo_holds_functions(tag) && depth + 1 < DEBUGINFO_DEPTH_MAX &&
			 dwarf_child(die, &stack[depth + 1]) == 0) {
			depth++;
			continue;
		}
		while (dwarf_siblingof(&stack[depth], &stack[depth]) != 0) {
			if (depth == 0)
				goto sorted;
			depth--;
		}
	}
sorted:
	debuginfo_ranges_sort(&unit->functions);
}

/* The scopes from the function down to the innermost inlined call; returns how many. */
static size_t debuginfo_scopes(const Dwarf_Die *function, uint64_t address, Dwarf_Die *scopes)
{
	Dwarf_Die die = *function, child;
	size_t count = 1;
	int more;

	scopes[0] = *function;
	for (unsigned depth = 0; depth < DEBUGINFO_DEPTH_MAX; depth++) {
		unsigned steps = 0;

		for (more = dwarf_child(&die, &child); more == 0;
		     more = steps++ < DEBUGINFO_SIBLINGS_MAX ? dwarf_siblingof(&child, &child)
							     : 1) {
			int tag = dwarf_tag(&child);

			if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block) &&
			    dwarf_haspc(&child, address) == 1)
				break;
		}
		if (more != 0)
			return count;
		if (dwarf_tag(&child) == DW_TAG_inlined_subroutine && count < DEBUGINFO_DEPTH_MAX)
			scopes[count++] = child;
		die = child;
	}
	return count;
}

static const char *debuginfo_linkage_name(Dwarf_Die *die)
{
	Dwarf_Attribute attribute;
	const char *name = NULL;

	if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute))
		name = dwarf_formstring(&attribute);
	if (!name && dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
		name = dwarf_formstring(&attribute);
	return name;
}

static Dwarf_Word debuginfo_number(Dwarf_Die *die, unsigned name)
{
	Dwarf_Attribute attribute;
	Dwarf_Word value;

	if (!dwarf_attr(die, name, &attribute) || dwarf_formudata(&attribute, &value) != 0)
		return 0;
	return value;
}

/* Where an inlined function was called: belongs to the function around it. */
static void debuginfo_call_site(struct debuginfo_unit *unit, Dwarf_Die *inlined,
				struct stele_place *place)
{
	Dwarf_Word file = debuginfo_number(inlined, DW_AT_call_file);
	Dwarf_Files *files;
	size_t count;

	place->line = (int)debuginfo_number(inlined, DW_AT_call_line);
	if (dwarf_getsrcfiles(&unit->die, &files, &count) == 0 && file < count)
		place->file = dwarf_filesrc(files, file, NULL, NULL);
}

static void debuginfo_source(struct debuginfo_unit *unit, uint64_t address,
			     struct stele_place *place)
{
	Dwarf_Line *line = dwarf_getsrc_die(&unit->die, address);

	if (!line)
		return;
	place->file = dwarf_linesrc(line, NULL, NULL);
	if (dwarf_lineno(line, &place->line) != 0)
		place->line = 0;
}

/* The DIE of the function at an address; false: none is known. */
static bool debuginfo_function(struct debuginfo_unit *unit, uint64_t address,
			       Dwarf_Die *ret_function)
{
	const struct debuginfo_range *range;

	if (!unit->indexed)
		debuginfo_index_unit(unit);
	range = debuginfo_ranges_find(&unit->functions, address);
	if (!range)
		return false;
	return dwarf_offdie(dwarf_cu_getdwarf(unit->tree.cu), range->offset, ret_function);
}

size_t stele__debuginfo_find(struct stele_debuginfo *index, uint64_t address,
			     struct stele_place *places, size_t max)
{
	const struct debuginfo_range *range = debuginfo_ranges_find(&index->ranges, address);
	Dwarf_Die scopes[DEBUGINFO_DEPTH_MAX];
	struct debuginfo_unit *unit;
	Dwarf_Die function;
	size_t count;

	if (!range || max == 0)
		return 0;
	unit = &index->units[range->offset];
	places[0] = (struct stele_place){0};
	debuginfo_source(unit, address, &places[0]);
	if (!debuginfo_function(unit, address, &function))
		return 1;
	count = debuginfo_scopes(&function, address, scopes);
	for (size_t i = 0; i < count && i < max; i++) {
		Dwarf_Die *scope = &scopes[count - 1 - i];

		places[i].function = dwarf_diename(scope);
		places[i].linkage = debuginfo_linkage_name(scope);
		if (i + 1 < count && i + 1 < max) {
			places[i + 1] = (struct stele_place){0};
			debuginfo_call_site(unit, scope, &places[i + 1]);
		}
	}
	return count < max ? count : max;
}

void stele__debuginfo_free(struct stele_debuginfo *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->unit_count; i++)
		free(index->units[i].functions.items);
	free(index->units);
	free(index->ranges.items);
	free(index);
}
