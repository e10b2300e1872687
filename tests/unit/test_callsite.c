/* SPDX-License-Identifier: MIT */
#include "unwind/callsite.h"

#include "support/tap.h"

#if defined(__x86_64__)

/* Every form that a call has, as the assembler encodes it; behind each a byte that is none. */
__asm__(".pushsection .text\n"
	".skip 16, 0x90\n"
	"call_forms:\n"
#define FORM(call) call "\n.byte 0x90\n"
#define FORMS                                                                                      \
	FORM("call call_forms")                                                                    \
	FORM("call *%rax")                                                                         \
	FORM("call *%r11")                                                                         \
	FORM("call *(%rax)")                                                                       \
	FORM("call *(%r13)")                                                                       \
	FORM("call *8(%rdx)")                                                                      \
	FORM("call *0x12345(%rbx)")                                                                \
	FORM("call *(%rsp)")                                                                       \
	FORM("call *8(%rsp)")                                                                      \
	FORM("call *(%rdi,%rcx,8)")                                                                \
	FORM("call *-0x70(%rbp,%rax,4)")                                                           \
	FORM("call *0x1000(%rsp,%rcx,8)")                                                          \
	FORM("call *0x1000(,%rax,8)")                                                              \
	FORM("call *call_forms(%rip)")
	FORMS "call_forms_end:\n"
	/* None of these is a call, nor has one in it. */
	"other_forms:\n"
	".skip 8, 0x90\n"
	"jmp *%rax\n"
	"jmp *8(%rdx)\n"
	"push 8(%rdx)\n"
	"mov %rax, 8(%rdx)\n"
	"inc %eax\n"
	"ret\n"
	"lea 0x11223344(%rax), %rbx\n"
	".skip 8, 0x90\n"
	"other_forms_end:\n"
	".popsection\n");

extern const uint8_t call_forms[], call_forms_end[], other_forms[], other_forms_end[];

static void call_of_every_form_is_known(void)
{
#undef FORM
#define FORM(call) call,
	static const char *const forms[] = {FORMS};
	const uint8_t *at = call_forms;

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(forms); i++) {
		const uint8_t *begin = at;

		/* The byte behind it is the first one that a call ends in front of. */
		while (at < call_forms_end && !(*at == 0x90 && stele__call_ends(at)))
			at++;
		if (!CHECK(at < call_forms_end && at - begin <= 7))
			printf("# %s\n", forms[i]);
		at++;
	}
	CHECK(at == call_forms_end);
}

static void call_is_nothing_else(void)
{
	for (const uint8_t *at = other_forms + 8; at < other_forms_end; at++)
		CHECK(!stele__call_ends(at));
}

/* Of code that stays; of none that nobody knows. */
static void call_of_unknown_code_is_none(void)
{
	CHECK(!stele__call_ends_at((uintptr_t)call_forms + 5));
	CHECK(!stele__call_ends_at(1));
}

TAP_MAIN(TEST(call_of_every_form_is_known), TEST(call_is_nothing_else),
	 TEST(call_of_unknown_code_is_none))

#else

static void call_is_not_known_here(void)
{
	static const uint8_t code[8];

	CHECK(!stele__call_ends(code + 8));
}

TAP_MAIN(TEST(call_is_not_known_here))

#endif
