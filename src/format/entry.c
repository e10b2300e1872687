/* SPDX-License-Identifier: MIT */
#include "format/entry.h"

static void entry_take_frames(struct stele_cursor *c, struct stele_wire_entry *e)
{
	e->frames = c->at;
	/* Each frame takes four bytes or more, so a huge count ends with the data. */
	for (uint64_t i = 0; i < e->args[1] && !c->error; i++)
		(void)stele__entry_frame(c);
	e->frames_bytes = (size_t)(c->at - e->frames);
}

static void entry_take_data(struct stele_cursor *c, struct stele_wire_entry *e)
{
	const uint8_t *length = c->at;
	uint64_t bytes = stele__cursor_varint(c);

	e->data = stele__cursor_bytes(c, bytes);
	if (e->data)
		e->data_bytes = (size_t)bytes;
	else if (c->error == STELE_E_TRUNCATED)
		c->at = length;
}

int stele__entry_next(struct stele_cursor *c, unsigned version, struct stele_wire_entry *ret_entry)
{
	struct stele_wire_entry e = {.bytes = c->at};
	const struct stele_spec *spec;

	if (c->error)
		return c->error;
	if (!stele__cursor_left(c))
		return 0;
	e.type = *c->at;
	if (!stele__entry_known(e.type, version)) {
		c->error = STELE_E_UNSUPPORTED;
		return c->error;
	}
	c->at++;
	spec = stele__spec(e.type);
	if (spec->shape >= STELE_SHAPE_TIMED)
		e.dt = stele__cursor_varint(c);
	for (unsigned i = 0; i < spec->arg_count; i++)
		e.args[i] = stele__cursor_varint(c);
	if (e.type == STELE_EV_STACK)
		entry_take_frames(c, &e);
	if (stele__entry_has_data(e.type))
		entry_take_data(c, &e);
	if (c->error)
		return c->error;
	e.size = (size_t)(c->at - e.bytes);
	*ret_entry = e;
	return 1;
}
