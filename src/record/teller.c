/* SPDX-License-Identifier: MIT */
/* stele/runtime.h: who tells of what there was before the recording. */
#include "record/teller.h"

#include "base/atomic.h"
#include "stele/runtime.h"

/* The first is the oldest: what stands on another tells after it. */
static struct stele_teller *tellers;

STELE_EXPORT void stele_teller_add(struct stele_teller *teller)
{
	struct stele_teller **end = &tellers, *none = NULL;

	teller->next = NULL;
	while (!__atomic_compare_exchange_n(end, &none, teller, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_ACQUIRE)) {
		end = &none->next;
		none = NULL;
	}
}

void stele__tellers_forget(void)
{
	for (struct stele_teller *t = stele__load_acquire(&tellers); t;
	     t = stele__load_acquire(&t->next))
		if (t->forget)
			t->forget();
}

void stele__tellers_tell(void)
{
	for (struct stele_teller *t = stele__load_acquire(&tellers); t;
	     t = stele__load_acquire(&t->next))
		t->tell();
}
