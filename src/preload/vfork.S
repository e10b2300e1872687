/* SPDX-License-Identifier: MIT */
/*
 * vfork. The child runs on this very stack and returns to the caller before the parent does, so
 * nothing of ours may lie on it in between: the return address waits in a register, which the
 * kernel keeps for each of the two. What has to be done before and after is done by C functions
 * that have returned by then (process.c).
 *
 *   pid_t vfork(void)
 *       target = stele__vfork_prepare();
 *       if (target) goto *target;              nothing is recorded, or it is not libc's
 *       result = system call;
 *       return result == 0 ? 0 : stele__vfork_finish(result);
 */

#define SYS_VFORK_X86_64 58
#define SYS_CLONE_AARCH64 220
#define CLONE_VFORK_VM_SIGCHLD 0x4111 /* CLONE_VFORK | CLONE_VM | SIGCHLD */

	.text
	.globl	vfork
	.globl	__vfork
	.type	vfork, %function
	.type	__vfork, %function
	.p2align 4

#if defined(__x86_64__)

vfork:
__vfork:
	.cfi_startproc
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	stele__vfork_prepare
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	testq	%rax, %rax
	jnz	1f
	popq	%rdi
	.cfi_adjust_cfa_offset -8
	.cfi_register %rip, %rdi
	movl	$SYS_VFORK_X86_64, %eax
	syscall
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	.cfi_offset %rip, -8
	testq	%rax, %rax
	jz	2f
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	movq	%rax, %rdi
	call	stele__vfork_finish
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
2:	ret
1:	jmp	*%rax
	.cfi_endproc

#elif defined(__aarch64__)

vfork:
__vfork:
	.cfi_startproc
	hint	#34			/* bti c */
	stp	x29, x30, [sp, #-16]!
	.cfi_adjust_cfa_offset 16
	mov	x29, sp
	bl	stele__vfork_prepare
	ldp	x29, x30, [sp], #16
	.cfi_adjust_cfa_offset -16
	cbnz	x0, 1f
	mov	x0, #CLONE_VFORK_VM_SIGCHLD
	mov	x1, #0
	mov	x2, #0
	mov	x3, #0
	mov	x4, #0
	mov	x8, #SYS_CLONE_AARCH64
	svc	#0
	cbz	x0, 2f
	stp	x29, x30, [sp, #-16]!
	.cfi_adjust_cfa_offset 16
	mov	x29, sp
	bl	stele__vfork_finish
	ldp	x29, x30, [sp], #16
	.cfi_adjust_cfa_offset -16
2:	ret
1:	mov	x16, x0
	br	x16
	.cfi_endproc

#endif

	.size	vfork, . - vfork
	.size	__vfork, . - __vfork
	.section .note.GNU-stack, "", %progbits
