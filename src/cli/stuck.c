/* SPDX-License-Identifier: MIT */
#include "cli/stuck.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/columns.h"
#include "cli/jsonparts.h"
#include "cli/ledger.h"
#include "cli/parts.h"

#define STUCK_NAME 40	     /* columns */
#define STUCK_NS   100000000 /* shorter waits are nothing to speak of */

static bool stuck_is(const struct stele_blockage *b)
{
	return b->deadlock || b->longest_ns >= STUCK_NS;
}

static void stuck_thread(FILE *out, struct stele_string name, uint64_t thread)
{
	if (name.bytes) {
		stele__column_name(out, name, STUCK_NAME);
		fprintf(out, " (thread %" PRIu64 ")", thread);
	} else {
		fprintf(out, "thread %" PRIu64, thread);
	}
}

static void stuck_holder(FILE *out, const struct stele_blockage *all,
			 const struct stele_blockage *b)
{
	char text[STELE__COLUMN_TEXT], name[STELE__LEDGER_NAME];

	switch (b->state) {
	case STELE_STATE_WAITING:
		if (b->next == SIZE_MAX) {
			fputs(" has it, and waits for ", out);
			stele__column_name(out, b->what, STUCK_NAME);
		} else {
			fputs(" has it, and waits for lock ", out);
			stele__column_name(out, stele__ledger_name(all[b->next].lock, name),
					   STUCK_NAME);
			fputs(b->deadlock ? " (a deadlock)" : "", out);
		}
		break;
	case STELE_STATE_SYSCALL:
		fputs(" has it, in system call ", out);
		stele__column_call(out, b->what, STUCK_NAME);
		break;
	case STELE_STATE_RUNNING:
		fputs(" has it, and runs", out);
		break;
	case STELE_STATE_RUNNABLE:
		fputs(" has it, and could run", out);
		break;
	default:
		fputs(" had it, and is gone\n", out);
		return;
	}
	fprintf(out, ", for %s\n", stele__column_time(b->ns, text));
}

static void stuck_lock(FILE *out, const struct stele_report *r, const struct stele_blockage *all,
		       const struct stele_blockage *b)
{
	char text[STELE__COLUMN_TEXT], name[STELE__LEDGER_NAME];

	fputs("  lock ", out);
	stele__column_name(out, stele__ledger_name(b->lock, name), STUCK_NAME);
	fprintf(out, ": %" PRIu64 " %s for %s%s, ", b->waiters,
		b->waiters == 1 ? "thread waits" : "threads wait", b->waiters == 1 ? "" : "up to ",
		stele__column_time(b->longest_ns, text));
	stuck_thread(out, b->waiter, b->waiter_thread);
	fputc('\n', out);
	stele__part_frames(out, r, b->waiter_stack);
	fputs("      ", out);
	if (b->holder_thread == STELE_NO_ID) {
		fputs("who has it is not known\n", out);
		return;
	}
	stuck_thread(out, b->holder, b->holder_thread);
	stuck_holder(out, all, b);
	stele__part_frames(out, r, b->stack);
}

void stele__stuck_text(FILE *out, const struct stele_report *r)
{
	size_t count, stuck = 0, shown = 0;
	const struct stele_blockage *all = stele_analysis_blockages(r->analysis, &count);
	bool deadlock = false;

	for (size_t i = 0; i < count; i++) {
		stuck += stuck_is(&all[i]);
		deadlock |= all[i].deadlock;
	}
	if (!stuck)
		return;
	stele__part_title(out, r,
			  deadlock ? "STUCK IN THE END, BY A DEADLOCK" : "STUCK IN THE END");
	fputc('\n', out);
	for (int first = 1; first >= 0; first--) /* those that no one can end come first */
		for (size_t i = 0; i < count && shown < r->top; i++)
			if (stuck_is(&all[i]) && all[i].deadlock == (bool)first) {
				stuck_lock(out, r, all, &all[i]);
				shown++;
			}
	stele__part_more(out, stuck, r->top);
}

/* ---- for programs ---- */

static void stuck_json_blockage(FILE *out, const struct stele_report *r,
				const struct stele_blockage *b)
{
	static const char *const states[] = {[STELE_STATE_WAITING] = "waiting",
					     [STELE_STATE_SYSCALL] = "syscall",
					     [STELE_STATE_RUNNING] = "running",
					     [STELE_STATE_RUNNABLE] = "ready"};
	const char *state = b->state < STELE_ARRAY_LENGTH(states) && states[b->state]
				    ? states[b->state]
				    : "gone";

	fprintf(out, "{\"waiters\": %" PRIu64, b->waiters);
	stele__json_signed(out, "longest_ns", b->longest_ns);
	fprintf(out, ", \"deadlock\": %s", b->deadlock ? "true" : "false");
	stele__ledger_json_lock(out, b->lock);
	stele__json_member(out, "waiter", b->waiter);
	stele__json_number(out, "waiter_thread", b->waiter_thread);
	stele__json_place(out, r, "waits_at", b->waiter_stack);
	if (b->holder_thread != STELE_NO_ID) {
		stele__json_member(out, "holder", b->holder);
		stele__json_number(out, "holder_thread", b->holder_thread);
		stele__json_member(out, "state", (struct stele_string){state, strlen(state)});
		stele__json_member(out, "what", b->what);
		stele__json_signed(out, "ns", b->ns);
		stele__json_place(out, r, "at", b->stack);
	}
	fputc('}', out);
}

void stele__stuck_json(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_blockage *all = stele_analysis_blockages(r->analysis, &count);

	fputs(",\n\"blockages\": [", out);
	for (size_t i = 0; i < count && i < r->top; i++) {
		fputs(i ? ",\n" : "\n", out);
		stuck_json_blockage(out, r, &all[i]);
	}
	fputc(']', out);
}
