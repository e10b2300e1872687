/* SPDX-License-Identifier: MIT */
/*
 * The walk over frame pointers. Code built without them leaves an arbitrary value in the register:
 * a frame is believed only if it lies further out on this very stack and returns into known code.
 */
#include "unwind/unwind.h"

#include "unwind/module.h"

/* What a function's prologue leaves at its frame pointer, on x86-64 and AArch64 alike. */
struct frame_link {
	uintptr_t fp;
	uintptr_t pc;
};

/* Inside this stack, so that it may be read? */
static bool link_readable(uintptr_t fp, const struct stele_stack_bounds *bounds)
{
	return fp % sizeof(uintptr_t) == 0 && fp >= bounds->low && fp < bounds->high &&
	       bounds->high - fp >= sizeof(struct frame_link);
}

struct stele_unwind_result stele__unwind(const struct stele_unwind_start *start,
					 const struct stele_stack_bounds *bounds, uint64_t *pcs,
					 uint32_t max)
{
	uintptr_t here = (uintptr_t)__builtin_frame_address(0);
	struct stele_unwind_result r = {.frame = start->fp + sizeof(struct frame_link)};
	uintptr_t pc = start->pc;
	uintptr_t fp = start->fp;
	bool inside = here >= bounds->low && here < bounds->high;

	while (pc) {
		enum stele_code code = stele__module_find(pc - 1);
		const struct frame_link *link = (const struct frame_link *)fp;
		uintptr_t outer;

		if (code == STELE_CODE_UNKNOWN && r.frames > 0) {
			r.broken = true;
			break;
		}
		if (code != STELE_CODE_OWN || r.frames > 0) {
			if (r.frames == max) {
				r.truncated = true;
				break;
			}
			if (r.frames == 0)
				r.frame = fp + sizeof(*link);
			pcs[r.frames++] = pc - 1;
		}
		if (!inside || !link_readable(fp, bounds)) {
			r.broken = true;
			break;
		}
		outer = link->fp;
		if (outer == 0)
			break; /* the outermost frame, by convention of both ABIs */
		if (outer <= fp || !link_readable(outer, bounds)) {
			r.broken = true;
			break;
		}
		fp = outer;
		pc = ((const struct frame_link *)fp)->pc;
	}
	return r;
}
