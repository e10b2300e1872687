/* SPDX-License-Identifier: MIT */
#include "cli/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/jsonparts.h"
#include "cli/parts.h"
#include "cli/verdict.h"

#define LEDGER_HOLDERS 3 /* of a lock, in the text */

static struct stele_string ledger_file(struct stele_string file)
{
	const char *slash = file.bytes ? memrchr(file.data, '/', file.bytes) : NULL;

	if (!slash)
		return file;
	return (struct stele_string){slash + 1, file.bytes - (size_t)(slash + 1 - file.data)};
}

/* snprintf's result, of a text of STELE__LEDGER_NAME. */
static struct stele_string ledger_text(const char *text, int bytes)
{
	if (bytes < 0)
		bytes = 0;
	return (struct stele_string){text, bytes < STELE__LEDGER_NAME ? (size_t)bytes
								      : STELE__LEDGER_NAME - 1};
}

static int ledger_print_place(char *text, size_t room, struct stele_string function,
			      struct stele_string file, uint64_t line)
{
	file = ledger_file(file);
	if (!line || !file.bytes)
		return snprintf(text, room, "%.*s", (int)function.bytes, function.data);
	return snprintf(text, room, "%.*s (%.*s:%" PRIu64 ")", (int)function.bytes, function.data,
			(int)file.bytes, file.data, line);
}

struct stele_string stele__ledger_name(const struct stele_lock *lock, char *text)
{
	char place[STELE__LEDGER_NAME / 2];

	if (lock->name.bytes)
		return lock->name;
	if (!lock->made_by.bytes)
		return ledger_text(
			text, snprintf(text, STELE__LEDGER_NAME, "at 0x%" PRIx64, lock->address));
	ledger_print_place(place, sizeof(place), lock->made_by, lock->made_file, lock->made_line);
	if (lock->locks > 1)
		return ledger_text(text, snprintf(text, STELE__LEDGER_NAME,
						  "%" PRIu64 " made by %s", lock->locks, place));
	return ledger_text(text, snprintf(text, STELE__LEDGER_NAME, "made by %s", place));
}

struct stele_string stele__ledger_place(const struct stele_report *r, uint32_t stack, size_t frame,
					char *text)
{
	size_t count;
	const struct stele_stack_frame *f = stele_analysis_stack(r->analysis, stack, &count);

	if (frame >= count)
		return (struct stele_string){"", 0};
	f += frame;
	return ledger_text(
		text, ledger_print_place(text, STELE__LEDGER_NAME, f->function, f->file, f->line));
}

/* ---- for people ---- */

static void ledger_holder(FILE *out, const struct stele_report *r,
			  const struct stele_lock_holder *holder, int64_t total)
{
	struct stele_string name = holder->name, place;
	char text[STELE__LEDGER_NAME], time[STELE__COLUMN_TEXT];

	if (!name.bytes)
		name = (struct stele_string){"an unknown thread", 17};
	fprintf(out, "%14.1f %%  ", total ? 100.0 * (double)holder->ns / (double)total : 0.0);
	fputs("while ", out);
	stele__column_name(out, name, 24);
	fputs(" had it", out);
	place = stele__ledger_place(r, holder->taken, 0, text);
	if (place.bytes) {
		fputs(", from ", out);
		stele__column_name(out, place, 40);
	}
	fputc('\n', out);
	place = stele__ledger_place(r, holder->released, 0, text);
	fprintf(out, "%18s", "");
	if (place.bytes) {
		fputs("to ", out);
		stele__column_name(out, place, 40);
		fputs("; ", out);
	}
	fprintf(out, "%s%s at a time\n", holder->longest_known ? "at most " : "longer than ",
		stele__column_time(holder->longest, time));
}

static void ledger_lock(FILE *out, const struct stele_report *r, const struct stele_lock *lock)
{
	char text[STELE__LEDGER_NAME];
	int64_t total = 0;

	for (size_t i = 0; i < lock->holder_count; i++)
		total += lock->holders[i].ns;
	stele__part_time(out, lock->spread.total + lock->open_ns);
	stele__part_count(out, lock->spread.count + lock->open_count, 10);
	stele__part_time(out, stele_spread_quantile(&lock->spread, 50));
	stele__part_time(out, lock->spread.max);
	stele__part_count(out, lock->queued, 10);
	stele__part_count(out, lock->waiting_max, 8);
	fputs("  ", out);
	stele__column_name(out, stele__ledger_name(lock, text), lock->open_count ? 22 : 40);
	if (lock->open_count)
		fprintf(out, " (%" PRIu64 " not ended)", lock->open_count);
	fputc('\n', out);
	for (size_t i = 0; i < lock->holder_count && i < LEDGER_HOLDERS; i++)
		ledger_holder(out, r, &lock->holders[i], total);
	if (lock->holder_count > LEDGER_HOLDERS)
		fprintf(out, "%18s(%zu more)\n", "", lock->holder_count - LEDGER_HOLDERS);
}

static void ledger_place(FILE *out, const struct stele_report *r, const char *before,
			 uint32_t stack)
{
	char text[STELE__LEDGER_NAME];
	struct stele_string place = stele__ledger_place(r, stack, 0, text);

	if (!place.bytes)
		return;
	fputs(before, out);
	stele__column_name(out, place, 48);
}

static void ledger_order(FILE *out, const struct stele_report *r,
			 const struct stele_lock_order *order)
{
	struct stele_string thread = order->thread;
	char text[STELE__LEDGER_NAME];

	if (!thread.bytes)
		thread = (struct stele_string){"a thread", 8};
	fputs("    ", out);
	stele__column_name(out, thread, 24);
	fputs(" had ", out);
	stele__column_name(out, stele__ledger_name(order->held, text), 28);
	fputs(" and took ", out);
	stele__column_name(out, stele__ledger_name(order->taken, text), 28);
	fputc('\n', out);
	ledger_place(out, r, "        had it from ", order->held_at);
	fputs(order->held_at ? "\n" : "", out);
	ledger_place(out, r, "        took it at ", order->taken_at);
	fputs(order->taken_at ? "\n" : "", out);
}

static void ledger_cycles(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_lock_cycle *cycles = stele_analysis_lock_cycles(r->analysis, &count);

	if (!count)
		return;
	stele__part_title(out, r, "LOCKS IN DIFFERENT ORDERS");
	fputs("\n  These threads can wait for each other for ever, even if they did not this "
	      "time.\n",
	      out);
	for (size_t i = 0; i < count && i < r->top; i++) {
		fprintf(out, "  %zu locks:\n", cycles[i].count);
		for (size_t j = 0; j < cycles[i].count; j++)
			ledger_order(out, r, &cycles[i].orders[j]);
	}
	stele__part_more(out, count, r->top);
}

static void ledger_locks(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_lock *const *locks = stele_analysis_locks(r->analysis, &count);

	if (!count)
		return;
	stele__part_title(out, r, "LOCKS");
	fputc('\n', out);
	fprintf(out, "%10s%10s%10s%10s%10s%8s  %s\n", "waited", "times", "median", "longest",
		"queued", "at once", "lock, and who had it");
	for (size_t i = 0; i < count && i < r->top; i++)
		ledger_lock(out, r, locks[i]);
	stele__part_more(out, count, r->top);
}

void stele__ledger_text(FILE *out, const struct stele_report *r)
{
	ledger_locks(out, r);
	ledger_cycles(out, r);
}

/* ---- for programs ---- */

void stele__ledger_json_lock(FILE *out, const struct stele_lock *lock)
{
	char address[24];

	snprintf(address, sizeof(address), "0x%" PRIx64, lock->address);
	stele__json_member(out, "lock", lock->name);
	stele__json_member(out, "made_by", lock->made_by);
	stele__json_member(out, "made_file", lock->made_file);
	stele__json_number(out, "made_line", lock->made_line);
	stele__json_member(out, "address", (struct stele_string){address, strlen(address)});
	stele__json_number(out, "locks", lock->locks);
}

static void ledger_json_holders(FILE *out, const struct stele_report *r,
				const struct stele_lock *lock)
{
	fputs(", \"holders\": [", out);
	for (size_t i = 0; i < lock->holder_count && i < r->top; i++) {
		const struct stele_lock_holder *holder = &lock->holders[i];

		fprintf(out, "%s\n  {\"count\": %" PRIu64, i ? "," : "", holder->count);
		stele__json_signed(out, "ns", holder->ns);
		stele__json_member(out, "thread", holder->name);
		stele__json_signed(out, "longest_ns", holder->longest);
		fprintf(out, ", \"longest_known\": %s", holder->longest_known ? "true" : "false");
		stele__json_place(out, r, "taken", holder->taken);
		stele__json_place(out, r, "released", holder->released);
		fputc('}', out);
	}
	fputc(']', out);
}

static void ledger_json_order(FILE *out, const struct stele_report *r,
			      const struct stele_lock_order *order)
{
	fputs("{\"thread\": ", out);
	stele__json_string(out, order->thread.data, order->thread.bytes);
	fputs(", \"held\": {\"kind\": \"lock\"", out);
	stele__ledger_json_lock(out, order->held);
	stele__json_place(out, r, "taken", order->held_at);
	fputs("}, \"then\": {\"kind\": \"lock\"", out);
	stele__ledger_json_lock(out, order->taken);
	stele__json_place(out, r, "taken", order->taken_at);
	fputs("}}", out);
}

/* The member `lock_cycles`: an array of cycles, each an array of orders. */
static void ledger_json_cycles(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_lock_cycle *cycles = stele_analysis_lock_cycles(r->analysis, &count);

	fputs(",\n\"lock_cycles\": [", out);
	for (size_t i = 0; i < count && i < r->top; i++) {
		fputs(i ? ",\n[" : "\n[", out);
		for (size_t j = 0; j < cycles[i].count; j++) {
			fputs(j ? ",\n " : "", out);
			ledger_json_order(out, r, &cycles[i].orders[j]);
		}
		fputc(']', out);
	}
	fputc(']', out);
}

void stele__ledger_json(FILE *out, const struct stele_report *r)
{
	size_t count;
	const struct stele_lock *const *locks = stele_analysis_locks(r->analysis, &count);

	fprintf(out, ",\n\"locks\": {\"places\": %zu, \"top\": [", count);
	for (size_t i = 0; i < count && i < r->top; i++) {
		const struct stele_lock *lock = locks[i];

		fprintf(out, "%s\n{\"count\": %" PRIu64, i ? "," : "", lock->spread.count);
		stele__json_signed(out, "total_ns", lock->spread.total);
		stele__json_signed(out, "p50_ns", stele_spread_quantile(&lock->spread, 50));
		stele__json_signed(out, "p99_ns", stele_spread_quantile(&lock->spread, 99));
		stele__json_signed(out, "max_ns", lock->spread.max);
		stele__json_number(out, "open_count", lock->open_count);
		stele__json_signed(out, "open_ns", lock->open_ns);
		stele__json_number(out, "queued", lock->queued);
		stele__json_number(out, "waiting_max", lock->waiting_max);
		stele__json_member(out, "reason", lock->reason);
		stele__ledger_json_lock(out, lock);
		ledger_json_holders(out, r, lock);
		fputc('}', out);
	}
	fputs("]}", out);
	ledger_json_cycles(out, r);
}
