/* SPDX-License-Identifier: MIT */
/*
 * From a pc to its row: binary search in .eh_frame_hdr, then the FDE, its CIE, and the call frame
 * instructions up to the pc. Only the stack pointer, the frame pointer and the return address are
 * followed. Everything is bounded by the module's readable segment; nothing loops over more than
 * the bytes that are there.
 */
#include "unwind/cfi.h"

#include "unwind/bytes.h"

#if defined(__x86_64__)
enum { REG_FP = 6, REG_SP = 7, REG_PC = 16 };
#elif defined(__aarch64__)
enum { REG_FP = 29, REG_SP = 31, REG_PC = -1 };
#endif

#define REMEMBER_MAX	 8
#define AUGMENTATION_MAX 8  /* letters */
#define EXPRESSION_MAX	 11 /* bytes of those that are understood */

/* DW_EH_PE_*: how a pointer is stored, and what it is relative to. */
enum {
	PE_ABS = 0x00,
	PE_ULEB = 0x01,
	PE_U2 = 0x02,
	PE_U4 = 0x03,
	PE_U8 = 0x04,
	PE_SLEB = 0x09,
	PE_S2 = 0x0a,
	PE_S4 = 0x0b,
	PE_S8 = 0x0c,
	PE_PCREL = 0x10,
	PE_DATAREL = 0x30,
	PE_OMIT = 0xff
};
#define HDR_TABLE_ENCODING (PE_DATAREL | PE_S4)

enum rule_kind { RULE_SAME, RULE_AT_CFA, RULE_AT_FP, RULE_UNDEFINED, RULE_OTHER };

struct rule {
	enum rule_kind kind;
	int64_t offset;
};

/* The row being built. */
struct frame_state {
	int64_t cfa_reg; /* REG_SP, REG_FP; CFA_WORD_AT_FP; anything else cannot be used */
	int64_t cfa_offset;
	struct rule fp, ra;
};
#define CFA_WORD_AT_FP (-2)
#define CFA_UNUSABLE   (-3)

struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra_reg;
	uint8_t pointer_encoding;
	bool signal_frame;
	bool has_augmentation;
	struct stele_bytes instructions;
};

struct machine {
	uintptr_t pc;  /* the one wanted */
	uintptr_t loc; /* where the present row begins */
	const struct cie *cie;
	struct frame_state now, initial;
	struct frame_state remembered[REMEMBER_MAX];
	unsigned depth;
};

uint64_t stele__bytes_uleb(struct stele_bytes *b)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = stele__bytes_u8(b);

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return v;
	}
	b->bad = true;
	return 0;
}

int64_t stele__bytes_sleb(struct stele_bytes *b)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t byte = stele__bytes_u8(b);

		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			if (shift < 57 && (byte & 0x40))
				v |= ~0ull << (shift + 7);
			return (int64_t)v;
		}
	}
	b->bad = true;
	return 0;
}

/* A pointer in one of the encodings that compilers use for C and C++. */
static uint64_t encoded(struct stele_bytes *b, uint8_t encoding, uintptr_t data_base)
{
	uintptr_t here = (uintptr_t)b->at;
	uint64_t v;

	switch (encoding & 0x0f) {
	case PE_ABS:
	case PE_U8:
	case PE_S8:
		v = stele__bytes_fixed(b, 8);
		break;
	case PE_ULEB:
		v = stele__bytes_uleb(b);
		break;
	case PE_SLEB:
		v = (uint64_t)stele__bytes_sleb(b);
		break;
	case PE_U2:
		v = stele__bytes_fixed(b, 2);
		break;
	case PE_S2:
		v = (uint64_t)(int16_t)stele__bytes_fixed(b, 2);
		break;
	case PE_U4:
		v = stele__bytes_fixed(b, 4);
		break;
	case PE_S4:
		v = (uint64_t)(int32_t)stele__bytes_fixed(b, 4);
		break;
	default:
		b->bad = true;
		return 0;
	}
	switch (encoding & 0x70) {
	case 0:
		return v;
	case PE_PCREL:
		return v + here;
	case PE_DATAREL:
		return v + data_base;
	default:
		b->bad = true;
		return 0;
	}
}

static struct stele_bytes bytes_at(uintptr_t at, const struct stele_code_range *range)
{
	bool inside = at >= range->data_start && at < range->data_end;

	return (struct stele_bytes){.at = (const uint8_t *)at,
				    .end = (const uint8_t *)range->data_end,
				    .guarded = !range->stays,
				    .bad = !inside};
}

/* A length-prefixed entry of .eh_frame; the result spans what follows the length. */
static struct stele_bytes entry_at(uintptr_t at, const struct stele_code_range *range)
{
	struct stele_bytes b = bytes_at(at, range);
	uint32_t length = stele__bytes_u32(&b);

	/* 0 ends the section; 0xffffffff introduces a 64-bit length, which no compiler writes. */
	if (length == 0 || length == UINT32_MAX || length > stele__bytes_left(&b))
		b.bad = true;
	else
		b.end = b.at + length;
	return b;
}

static void cie_augmentation(struct stele_bytes *b, const char *letters, size_t count,
			     struct cie *cie)
{
	uint64_t bytes = stele__bytes_uleb(b);
	struct stele_bytes data = *b;

	stele__bytes_skip(b, bytes);
	if (b->bad)
		return;
	data.end = b->at;
	cie->has_augmentation = true;
	for (size_t i = 1; i < count; i++) {
		switch (letters[i]) {
		case 'R':
			cie->pointer_encoding = stele__bytes_u8(&data);
			break;
		case 'P':
			/* Nothing follows that we need but for its length. */
			encoded(&data, stele__bytes_u8(&data) & 0x7f, 0);
			break;
		case 'L':
			stele__bytes_u8(&data);
			break;
		case 'S':
			cie->signal_frame = true;
			break;
		case 'B': /* AArch64: return addresses are signed with the B key */
			break;
		default:
			b->bad = true;
		}
	}
	b->bad |= data.bad;
}

static bool cie_read(uintptr_t at, const struct stele_code_range *range, struct cie *ret_cie)
{
	struct stele_bytes b = entry_at(at, range);
	struct cie cie = {.pointer_encoding = PE_ABS};
	char letters[AUGMENTATION_MAX];
	size_t count = 0;
	uint8_t version;

	if (stele__bytes_u32(&b) != 0) /* a CIE has no CIE */
		return false;
	version = stele__bytes_u8(&b);
	while ((letters[count] = (char)stele__bytes_u8(&b)) != 0)
		if (++count == AUGMENTATION_MAX)
			return false;
	cie.code_align = stele__bytes_uleb(&b);
	cie.data_align = stele__bytes_sleb(&b);
	cie.ra_reg = version == 1 ? stele__bytes_u8(&b) : stele__bytes_uleb(&b);
	if (b.bad || (version != 1 && version != 3))
		return false;
	if (count > 0 && letters[0] == 'z')
		cie_augmentation(&b, letters, count, &cie);
	else if (count > 0)
		return false;
	cie.instructions = b;
	*ret_cie = cie;
	return !b.bad;
}

/* First address of a function, and address of its FDE, both as distances from the header. */
static void table_entry(struct stele_bytes table, uint64_t index, int32_t ret_entry[2])
{
	stele__bytes_skip(&table, index * 8);
	stele__bytes_get(&table, ret_entry, 8);
}

/* Address of the FDE that the header's sorted table names for pc; 0: none. */
static uintptr_t fde_find(uintptr_t pc, const struct stele_code_range *range)
{
	struct stele_bytes b = bytes_at(range->eh_frame_hdr, range);
	uint8_t version = stele__bytes_u8(&b);
	uint8_t frame_encoding = stele__bytes_u8(&b);
	uint8_t count_encoding = stele__bytes_u8(&b);
	uint8_t table_encoding = stele__bytes_u8(&b);
	uint64_t count, low = 0, high;
	int32_t entry[2];

	encoded(&b, frame_encoding, range->eh_frame_hdr);
	count = encoded(&b, count_encoding, range->eh_frame_hdr);
	if (b.bad || version != 1 || table_encoding != HDR_TABLE_ENCODING || count == 0 ||
	    count > stele__bytes_left(&b) / 8)
		return 0;
	for (high = count; high - low > 1;) {
		uint64_t middle = low + (high - low) / 2;

		table_entry(b, middle, entry);
		if (range->eh_frame_hdr + (uintptr_t)(intptr_t)entry[0] <= pc)
			low = middle;
		else
			high = middle;
	}
	table_entry(b, low, entry);
	return range->eh_frame_hdr + (uintptr_t)(intptr_t)entry[1];
}

/* DW_CFA_def_cfa_expression: the two forms that occur in C and C++ code on Linux. */
static void cfa_expression(struct machine *m, struct stele_bytes e)
{
	static const uint8_t plt[] = {0x77, 0x08, 0x80, 0x00, 0x3f, 0x1a};
	size_t bytes = stele__bytes_left(&e);
	struct stele_bytes rest = e;
	uint8_t op[EXPRESSION_MAX] = {0};

	m->now.cfa_reg = CFA_UNUSABLE;
	stele__bytes_get(&rest, op, bytes < sizeof(op) ? bytes : sizeof(op));
	/* PLT entries: sp + 8 + ((pc & 15) >= N) * 8. The pc is known here. */
	if (REG_SP == 7 && bytes == 11 && memcmp(op, plt, sizeof(plt)) == 0 && op[6] >= 0x30 &&
	    op[6] <= 0x4f && op[7] == 0x2a && op[8] == 0x33 && op[9] == 0x24 && op[10] == 0x22) {
		m->now.cfa_reg = REG_SP;
		m->now.cfa_offset = 8 + ((m->pc & 15) >= (uintptr_t)(op[6] - 0x30) ? 8 : 0);
		return;
	}
	/* Functions that realign the stack: the word at fp + n. */
	if (bytes >= 3 && op[0] == 0x70 + REG_FP) {
		int64_t offset;

		stele__bytes_u8(&e);
		offset = stele__bytes_sleb(&e);
		if (stele__bytes_u8(&e) == 0x06 && !e.bad && stele__bytes_left(&e) == 0) {
			m->now.cfa_reg = CFA_WORD_AT_FP;
			m->now.cfa_offset = offset;
		}
	}
}

/* Offsets are bytes of any value: what overflows fits no row. */
static int64_t scaled(int64_t n, int64_t align)
{
	int64_t product;

	return __builtin_mul_overflow(n, align, &product) ? INT64_MAX : product;
}

static struct rule *rule_of(struct machine *m, uint64_t reg)
{
	if (reg == REG_FP)
		return &m->now.fp;
	return reg == m->cie->ra_reg ? &m->now.ra : NULL;
}

static void rule_set(struct machine *m, uint64_t reg, enum rule_kind kind, int64_t offset)
{
	struct rule *rule = rule_of(m, reg);

	if (rule)
		*rule = (struct rule){kind, offset};
}

static void rule_restore(struct machine *m, uint64_t reg)
{
	if (reg == REG_FP)
		m->now.fp = m->initial.fp;
	else if (reg == m->cie->ra_reg)
		m->now.ra = m->initial.ra;
}

/* DW_CFA_expression: only "saved at fp + n" is understood. */
static void rule_expression(struct machine *m, uint64_t reg, struct stele_bytes e)
{
	enum rule_kind kind = RULE_OTHER;
	int64_t offset = 0;

	if (stele__bytes_left(&e) >= 2 && stele__bytes_u8(&e) == 0x70 + REG_FP) {
		offset = stele__bytes_sleb(&e);
		if (!e.bad && stele__bytes_left(&e) == 0)
			kind = RULE_AT_FP;
	}
	rule_set(m, reg, kind, offset);
}

static struct stele_bytes block(struct stele_bytes *b)
{
	uint64_t bytes = stele__bytes_uleb(b);
	struct stele_bytes inner = *b;

	stele__bytes_skip(b, bytes);
	inner.bad = b->bad;
	if (!inner.bad)
		inner.end = b->at;
	return inner;
}

/* An instruction about the frame address; false: it is about something else. */
static bool machine_cfa(struct machine *m, struct stele_bytes *b, uint8_t op)
{
	switch (op) {
	case 0x0c: /* def_cfa */
		m->now.cfa_reg = (int64_t)stele__bytes_uleb(b);
		m->now.cfa_offset = (int64_t)stele__bytes_uleb(b);
		break;
	case 0x12: /* def_cfa_sf */
		m->now.cfa_reg = (int64_t)stele__bytes_uleb(b);
		m->now.cfa_offset = scaled(stele__bytes_sleb(b), m->cie->data_align);
		break;
	case 0x0d: /* def_cfa_register */
		m->now.cfa_reg = (int64_t)stele__bytes_uleb(b);
		break;
	case 0x0e: /* def_cfa_offset */
		m->now.cfa_offset = (int64_t)stele__bytes_uleb(b);
		break;
	case 0x13: /* def_cfa_offset_sf */
		m->now.cfa_offset = scaled(stele__bytes_sleb(b), m->cie->data_align);
		break;
	case 0x0f: /* def_cfa_expression */
		cfa_expression(m, block(b));
		break;
	default:
		return false;
	}
	return true;
}

/* An instruction about where a register was saved, or about the state as a whole. */
static void machine_rule(struct machine *m, struct stele_bytes *b, uint8_t op)
{
	int64_t align = m->cie->data_align;
	uint64_t reg;

	switch (op) {
	case 0x00: /* nop */
		break;
	case 0x05: /* offset_extended */
		reg = stele__bytes_uleb(b);
		rule_set(m, reg, RULE_AT_CFA, scaled((int64_t)stele__bytes_uleb(b), align));
		break;
	case 0x11: /* offset_extended_sf */
		reg = stele__bytes_uleb(b);
		rule_set(m, reg, RULE_AT_CFA, scaled(stele__bytes_sleb(b), align));
		break;
	case 0x06: /* restore_extended */
		rule_restore(m, stele__bytes_uleb(b));
		break;
	case 0x07: /* undefined */
		rule_set(m, stele__bytes_uleb(b), RULE_UNDEFINED, 0);
		break;
	case 0x08: /* same_value */
		rule_set(m, stele__bytes_uleb(b), RULE_SAME, 0);
		break;
	case 0x09: /* register */
		reg = stele__bytes_uleb(b);
		stele__bytes_uleb(b);
		rule_set(m, reg, RULE_OTHER, 0);
		break;
	case 0x0a: /* remember_state */
		if (m->depth < REMEMBER_MAX)
			m->remembered[m->depth++] = m->now;
		else
			b->bad = true;
		break;
	case 0x0b: /* restore_state */
		if (m->depth > 0)
			m->now = m->remembered[--m->depth];
		else
			b->bad = true;
		break;
	case 0x10: /* expression */
		reg = stele__bytes_uleb(b);
		rule_expression(m, reg, block(b));
		break;
	case 0x14: /* val_offset */
	case 0x15: /* val_offset_sf */
		reg = stele__bytes_uleb(b);
		stele__bytes_uleb(b);
		rule_set(m, reg, RULE_OTHER, 0);
		break;
	case 0x16: /* val_expression */
		reg = stele__bytes_uleb(b);
		block(b);
		rule_set(m, reg, RULE_OTHER, 0);
		break;
	case 0x2d: /* AArch64: the return address is signed from here on; the walk strips it */
		break;
	case 0x2e: /* GNU_args_size */
		stele__bytes_uleb(b);
		break;
	default:
		b->bad = true;
	}
}

/* How far this instruction moves the location; *ret_moves false: it is another instruction. */
static uint64_t machine_advance(struct stele_bytes *b, uint8_t op, bool *ret_moves)
{
	*ret_moves = true;
	if (op >> 6 == 1)
		return op & 0x3f;
	switch (op) {
	case 0x02:
		return stele__bytes_u8(b);
	case 0x03:
		return stele__bytes_fixed(b, 2);
	case 0x04:
		return stele__bytes_u32(b);
	default:
		*ret_moves = false;
		return 0;
	}
}

/* Runs until the row of m->pc is complete. False: the data is bad. */
static bool machine_run(struct machine *m, struct stele_bytes b)
{
	while (stele__bytes_left(&b) > 0) {
		uint8_t op = stele__bytes_u8(&b);
		bool moves;
		uint64_t delta = machine_advance(&b, op, &moves);

		if (moves) {
			m->loc += delta * m->cie->code_align;
			if (!b.bad && m->loc > m->pc)
				return true;
		} else if (op >> 6 == 2) {
			uint64_t offset = stele__bytes_uleb(&b);

			rule_set(m, op & 0x3f, RULE_AT_CFA,
				 scaled((int64_t)offset, m->cie->data_align));
		} else if (op >> 6 == 3) {
			rule_restore(m, op & 0x3f);
		} else if (!machine_cfa(m, &b, op)) {
			machine_rule(m, &b, op);
		}
	}
	return !b.bad;
}

static bool offset_ok(int64_t offset)
{
	return offset >= INT32_MIN && offset <= INT32_MAX;
}

static stele_row_bits row_of(const struct frame_state *s)
{
	struct stele_row row = {.cfa = (int32_t)s->cfa_offset,
				.fp = (int32_t)s->fp.offset,
				.ra = (int32_t)s->ra.offset};

	if (!offset_ok(s->cfa_offset) || !offset_ok(s->fp.offset) || !offset_ok(s->ra.offset))
		return 0;
	if (s->ra.kind == RULE_UNDEFINED)
		row.cfa_kind = STELE_CFA_END;
	else if (s->cfa_reg == REG_SP)
		row.cfa_kind = STELE_CFA_SP;
	else if (s->cfa_reg == REG_FP)
		row.cfa_kind = STELE_CFA_FP;
	else if (s->cfa_reg == CFA_WORD_AT_FP)
		row.cfa_kind = STELE_CFA_AT_FP;
	if (s->ra.kind == RULE_SAME)
		row.ra_kind = STELE_RA_LINK;
	else if (s->ra.kind != RULE_AT_CFA && s->ra.kind != RULE_UNDEFINED)
		return 0;
	switch (s->fp.kind) {
	case RULE_SAME:
		row.fp_kind = STELE_FP_SAME;
		break;
	case RULE_AT_CFA:
		row.fp_kind = STELE_FP_AT_CFA;
		break;
	case RULE_AT_FP:
		row.fp_kind = STELE_FP_AT_FP;
		break;
	default:
		row.fp_kind = STELE_FP_LOST;
	}
	return stele__row_pack(&row);
}

/* Reads the FDE's head; false if it is not one for pc. */
static bool fde_read(uintptr_t at, uintptr_t pc, const struct stele_code_range *range,
		     struct cie *ret_cie, struct stele_bytes *ret_instructions,
		     uintptr_t *ret_start)
{
	struct stele_bytes b = entry_at(at, range);
	uintptr_t here = (uintptr_t)b.at;
	uint32_t back = stele__bytes_u32(&b);
	uint64_t start, length;

	if (b.bad || back == 0 || !cie_read(here - back, range, ret_cie))
		return false;
	start = encoded(&b, ret_cie->pointer_encoding, range->eh_frame_hdr);
	length = encoded(&b, ret_cie->pointer_encoding & 0x0f, 0);
	if (ret_cie->has_augmentation)
		stele__bytes_skip(&b, stele__bytes_uleb(&b));
	if (b.bad || pc < start || pc - start >= length)
		return false;
	*ret_instructions = b;
	*ret_start = (uintptr_t)start;
	return true;
}

stele_row_bits stele__cfi_row_in(uintptr_t pc, const struct stele_code_range *range)
{
	static const struct stele_row signal_row = {.cfa_kind = STELE_CFA_SIGNAL};
	static const struct stele_row chain_row = {.cfa_kind = STELE_CFA_CHAIN,
						   .fp_kind = STELE_FP_AT_CFA,
						   .cfa = 16,
						   .fp = -16,
						   .ra = -8};
	struct stele_bytes instructions;
	struct machine m = {.pc = pc};
	struct cie cie;
	uintptr_t fde = range->eh_frame_hdr ? fde_find(pc, range) : 0;

	if (!fde || !fde_read(fde, pc, range, &cie, &instructions, &m.loc))
		return range->chained ? stele__row_pack(&chain_row) : 0;
	if (cie.signal_frame)
		return stele__row_pack(&signal_row);
	m.cie = &cie;
	m.now.cfa_reg = CFA_UNUSABLE;
	if (!machine_run(&m, cie.instructions))
		return 0;
	m.initial = m.now;
	return machine_run(&m, instructions) ? row_of(&m.now) : 0;
}

stele_row_bits stele__cfi_row(uintptr_t pc)
{
	struct stele_code_range range, after;
	stele_row_bits bits;

	if (!stele__module_find(pc, &range))
		return 0;
	bits = stele__cfi_row_in(pc, &range);
	/* A module that can go may have gone meanwhile, and another one come to its place. */
	if (!range.stays && (!stele__module_find(pc, &after) ||
			     after.eh_frame_hdr != range.eh_frame_hdr || after.id != range.id))
		return 0;
	return bits && range.code == STELE_CODE_OWN ? bits | STELE_ROW_HIDDEN : bits;
}
