/* SPDX-License-Identifier: MIT */
/*
 * The functions of the dynamic linker that look at who called them: dlopen and dlmopen search the
 * caller's RPATH and RUNPATH and expand $ORIGIN by it, dlsym(RTLD_NEXT) goes on behind it. A C
 * function in between would be that caller. These ask loader.c for the real function, with the
 * arguments kept, and jump to it: it sees the program's own return address.
 */

	.text

#if defined(__x86_64__)

.macro PASSAGE name
	.globl	\name
	.type	\name, %function
	.p2align 4
\name:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	movq	%rsp, %rbp
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	pushq	%rcx
	.cfi_adjust_cfa_offset 8
	call	stele__loader_\name
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	jmp	*%rax
	.cfi_endproc
	.size	\name, . - \name
.endm

#elif defined(__aarch64__)

.macro PASSAGE name
	.globl	\name
	.type	\name, %function
	.p2align 4
\name:
	.cfi_startproc
	hint	#34			/* bti c */
	stp	x29, x30, [sp, #-48]!
	.cfi_adjust_cfa_offset 48
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	stp	x0, x1, [sp, #16]
	stp	x2, x3, [sp, #32]
	bl	stele__loader_\name
	mov	x16, x0
	ldp	x0, x1, [sp, #16]
	ldp	x2, x3, [sp, #32]
	ldp	x29, x30, [sp], #48
	.cfi_adjust_cfa_offset -48
	.cfi_restore x29
	.cfi_restore x30
	br	x16
	.cfi_endproc
	.size	\name, . - \name
.endm

#endif

	PASSAGE	dlopen
	PASSAGE	dlmopen
	PASSAGE	dlsym

	.section .note.GNU-stack, "", %progbits
