/* SPDX-License-Identifier: MIT */
/* Bytes to text. */
#include "format/quote.h"
#include "format/textform.h"

static void print_width(struct stele_text_out *out, uint64_t value, size_t width)
{
	if (width > stele__varint_width(value)) {
		stele__text_out_byte(out, '/');
		stele__text_out_decimal(out, width);
	}
}

/* The next integer of the entry: "name=value", with "/width" if asked for. */
static void print_argument(struct stele_text_out *out, struct stele_cursor *c, const char *name,
			   bool exact)
{
	size_t before = stele__cursor_offset(c);
	uint64_t value = stele__cursor_varint(c);

	stele__text_out_string(out, name);
	stele__text_out_byte(out, '=');
	stele__text_out_decimal(out, value);
	if (exact)
		print_width(out, value, stele__cursor_offset(c) - before);
}

static void print_frames(struct stele_text_out *out, struct stele_cursor *c, uint64_t count,
			 bool exact)
{
	static const char *const names[] = {"pc", "func", "file", "line"};

	for (uint64_t i = 0; i < count; i++) {
		for (unsigned k = 0; k < 4; k++) {
			stele__text_out_string(out, k ? " " : "\n\t");
			print_argument(out, c, names[k], exact);
		}
	}
}

static void print_data(struct stele_text_out *out, struct stele_cursor *c,
		       const struct stele_wire_entry *entry, bool exact)
{
	size_t before = stele__cursor_offset(c);
	uint64_t length = stele__cursor_varint(c);
	size_t width = stele__cursor_offset(c) - before;

	if (!length && !(exact && width > 1))
		return;
	stele__text_out_string(out, "\n\tdata");
	if (exact)
		print_width(out, length, width);
	stele__text_out_byte(out, '=');
	stele__quote_put(out, entry->data, entry->data_bytes);
}

void stele__text_put_header(struct stele_text_out *out, unsigned version)
{
	stele__text_out_string(out, "Trace Go1.");
	stele__text_out_decimal(out, version);
	stele__text_out_byte(out, '\n');
}

void stele__text_put_entry(struct stele_text_out *out, const struct stele_wire_entry *entry,
			   bool exact)
{
	const struct stele_spec *spec = stele__spec(entry->type);
	struct stele_cursor c = stele__cursor(entry->bytes + 1, entry->size - 1);

	stele__text_out_string(out, spec->name);
	if (spec->shape >= STELE_SHAPE_TIMED) {
		stele__text_out_byte(out, ' ');
		print_argument(out, &c, "dt", exact);
	}
	for (unsigned i = 0; i < spec->arg_count; i++) {
		stele__text_out_byte(out, ' ');
		print_argument(out, &c, spec->arg_name[i], exact);
	}
	if (entry->type == STELE_EV_STACK)
		print_frames(out, &c, entry->args[1], exact);
	if (stele__entry_has_data(entry->type))
		print_data(out, &c, entry, exact);
	stele__text_out_byte(out, '\n');
	STELE_ASSERT(!c.error);
}
