/* SPDX-License-Identifier: MIT */
#include "unwind/callsite.h"

#include "unwind/module.h"

#define CALL_BYTES_MAX 7

#if defined(__x86_64__)
/* CALL through a register or memory: FF /2, with as many bytes behind it as its operand takes. */
static bool call_indirect(const uint8_t *code, unsigned bytes)
{
	const uint8_t *at = code - bytes;
	unsigned mod = at[1] >> 6, rm = at[1] & 7, operand;

	if (at[0] != 0xff || (at[1] >> 3 & 7) != 2)
		return false;
	operand = mod == 1 ? 1 : mod == 2 || (mod == 0 && rm == 5) ? 4 : 0;
	if (mod != 3 && rm == 4) { /* a SIB byte, whose base 5 without mod is a displacement */
		operand++;
		operand += mod == 0 && bytes > 2 && (at[2] & 7) == 5 ? 4 : 0;
	}
	return bytes == 2 + operand;
}

bool stele__call_ends(const uint8_t *code)
{
	if (code[-5] == 0xe8)
		return true;
	for (unsigned bytes = 2; bytes <= CALL_BYTES_MAX; bytes++)
		if (call_indirect(code, bytes))
			return true;
	return false;
}
#else
/* AArch64: a frame record does not tell where its frame ends. So there are no chains. */
bool stele__call_ends(const uint8_t *code)
{
	(void)code;
	return false;
}
#endif

bool stele__call_ends_at(uintptr_t pc)
{
	struct stele_code_range range;

	return stele__module_find(pc - 1, &range) && range.stays && range.readable &&
	       pc - range.start >= CALL_BYTES_MAX && stele__call_ends((const uint8_t *)pc);
}
