/* SPDX-License-Identifier: MIT */
/*
 * stele__context_jump(void **ret_sp, void *sp): leaves what a call preserves on the stack, and the
 * stack; returns on the other one.
 *
 * stele__context_entry: where a new stack begins, and every walk of it ends. Between it and the
 * function there is no frame of ours.
 *
 * Whoever walks a stack at any instruction finds its frames: before and after the exchange of the
 * stack pointer the same lies above it.
 */

	.text

#if defined(__x86_64__)

/* From sp: MXCSR and x87 control word; r12, r13, r14, r15, rbx, rbp; return address. */
	.globl	stele__context_jump
	.hidden	stele__context_jump
	.type	stele__context_jump, %function
	.p2align 4
stele__context_jump:
	.cfi_startproc
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movl	(%rsp), %eax
	movzwl	4(%rsp), %edx
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	/* Loading them is slow; but for what MXCSR remembers they are nearly always the same. */
	xorl	(%rsp), %eax
	xorw	4(%rsp), %dx
	andl	$-64, %eax
	orl	%edx, %eax
	jnz	2f
1:	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	/* Not ret: the processor would expect to return to who called here, on the other stack. */
	leaq	8(%rsp), %rsp
	.cfi_adjust_cfa_offset -8
	jmp	*-8(%rsp)
	.cfi_adjust_cfa_offset 64
	.cfi_rel_offset %rbp, 48
	.cfi_rel_offset %rbx, 40
	.cfi_rel_offset %r15, 32
	.cfi_rel_offset %r14, 24
	.cfi_rel_offset %r13, 16
	.cfi_rel_offset %r12, 8
2:	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	jmp	1b
	.cfi_endproc
	.size	stele__context_jump, . - stele__context_jump

/* r12: the function; r13: its argument; rbx: what the other two get. */
	.globl	stele__context_entry
	.hidden	stele__context_entry
	.type	stele__context_entry, %function
	.p2align 4
stele__context_entry:
	.cfi_startproc
	.cfi_undefined %rip
	movq	%rbx, %rdi
	call	stele__context_begun
	movq	%r13, %rdi
	call	*%r12
	movq	%rbx, %rdi
	call	stele__context_ended
	ud2
	.cfi_endproc
	.size	stele__context_entry, . - stele__context_entry

#elif defined(__aarch64__)

/* From sp: d8 … d15, x19 … x28, x29, x30. */
	.globl	stele__context_jump
	.hidden	stele__context_jump
	.type	stele__context_jump, %function
	.p2align 4
stele__context_jump:
	.cfi_startproc
	hint	#34			/* bti c */
	sub	sp, sp, #160
	.cfi_adjust_cfa_offset 160
	stp	d8, d9, [sp, #0]
	stp	d10, d11, [sp, #16]
	stp	d12, d13, [sp, #32]
	stp	d14, d15, [sp, #48]
	stp	x19, x20, [sp, #64]
	.cfi_rel_offset x19, 64
	.cfi_rel_offset x20, 72
	stp	x21, x22, [sp, #80]
	.cfi_rel_offset x21, 80
	.cfi_rel_offset x22, 88
	stp	x23, x24, [sp, #96]
	.cfi_rel_offset x23, 96
	.cfi_rel_offset x24, 104
	stp	x25, x26, [sp, #112]
	.cfi_rel_offset x25, 112
	.cfi_rel_offset x26, 120
	stp	x27, x28, [sp, #128]
	.cfi_rel_offset x27, 128
	.cfi_rel_offset x28, 136
	stp	x29, x30, [sp, #144]
	.cfi_rel_offset x29, 144
	.cfi_rel_offset x30, 152
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	d8, d9, [sp, #0]
	ldp	d10, d11, [sp, #16]
	ldp	d12, d13, [sp, #32]
	ldp	d14, d15, [sp, #48]
	ldp	x19, x20, [sp, #64]
	ldp	x21, x22, [sp, #80]
	ldp	x23, x24, [sp, #96]
	ldp	x25, x26, [sp, #112]
	ldp	x27, x28, [sp, #128]
	ldp	x29, x30, [sp, #144]
	add	sp, sp, #160
	.cfi_adjust_cfa_offset -160
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore x29
	.cfi_restore x30
	ret
	.cfi_endproc
	.size	stele__context_jump, . - stele__context_jump

/* x19: the function; x20: its argument; x21: what the other two get. */
	.globl	stele__context_entry
	.hidden	stele__context_entry
	.type	stele__context_entry, %function
	.p2align 4
stele__context_entry:
	.cfi_startproc
	.cfi_undefined x30
	mov	x0, x21
	bl	stele__context_begun
	mov	x0, x20
	blr	x19
	mov	x0, x21
	bl	stele__context_ended
	brk	#1
	.cfi_endproc
	.size	stele__context_entry, . - stele__context_entry

#endif

	.section .note.GNU-stack, "", %progbits
