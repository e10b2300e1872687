/* SPDX-License-Identifier: MIT */
/* .eh_frame read: from a pc to its row, without believing a byte of it. */
#ifndef STELE_UNWIND_CFI_H
#define STELE_UNWIND_CFI_H

#include "unwind/module.h"
#include "unwind/row.h"

/* The row at pc from the unwind data of the module that holds it; 0: none that can be used. */
stele_row_bits stele__cfi_row(uintptr_t pc);

/* The same for given data: for tests and fuzzing. */
stele_row_bits stele__cfi_row_in(uintptr_t pc, const struct stele_code_range *range);

#endif
