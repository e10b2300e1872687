/* SPDX-License-Identifier: MIT */
#include "stele/read.h"

#include "base/error.h"
#include "support/tap.h"
#include "support/tracemaker.h"

#define BATCH(bytes)                                                                               \
	((struct stele_experiment_batch){1, 0, 0, (const uint8_t *)(bytes), sizeof(bytes) - 1})

static void recording_items_are_read_one_by_one(void)
{
	struct stele_experiment_batch batch = BATCH("S\1\3\7\5\6\7\3abc\4\4\x01\2\3\4");
	struct stele_data_item item;
	size_t at = 0;

	CHECK_EQ(stele_data_next(&batch, &at, &item), 1);
	CHECK_EQ(item.tag, STELE_DATA_THREAD);
	CHECK_EQ(item.value_count, 3);
	CHECK_EQ(item.value[2], 7);
	CHECK_BYTES(item.text[0].data, item.text[0].bytes, "abc", 3);
	CHECK_EQ(stele_data_next(&batch, &at, &item), 1);
	CHECK_EQ(item.tag, STELE_DATA_LOSS);
	CHECK_EQ(item.value[3], 4);
	CHECK_EQ(stele_data_next(&batch, &at, &item), 0);
}

static void recording_skips_what_it_does_not_know(void)
{
	/* An unknown tag, and a known one with more than is known of it. */
	struct stele_experiment_batch batch = BATCH("S\1\x63\3abc\x08\4\1\7\1\2");
	struct stele_data_item item;
	size_t at = 0;

	CHECK_EQ(stele_data_next(&batch, &at, &item), 1);
	CHECK_EQ(item.tag, 0x63);
	CHECK_EQ(item.value_count, 0);
	CHECK_EQ(stele_data_next(&batch, &at, &item), 1);
	CHECK_EQ(item.tag, STELE_DATA_ENDING);
	CHECK_EQ(item.value[1], 7);
	CHECK_EQ(stele_data_next(&batch, &at, &item), 0);
}

static void recording_refuses_broken_data(void)
{
	static const struct {
		struct stele_experiment_batch batch;
		int code;
	} c[] = {
		{BATCH("S\2"), STELE_E_UNSUPPORTED},
		{BATCH("S"), STELE_E_CORRUPT},
		{BATCH("X\1"), STELE_E_CORRUPT},
		{BATCH("S\1\4\5\1"), STELE_E_CORRUPT},
		{BATCH("S\1\4\1\1"), STELE_E_CORRUPT},
		{BATCH("S\1\7\3\x05"
		       "ab"),
		 STELE_E_CORRUPT},
	};

	for (size_t i = 0; i < STELE_ARRAY_LENGTH(c); i++) {
		struct stele_data_item item;
		size_t at = 0;

		CHECK_EQ(stele_data_next(&c[i].batch, &at, &item), c[i].code);
	}
}

static void recording_put(struct tracemaker *t, const char *data, size_t bytes)
{
	uint8_t *p = t->data + t->bytes;

	*p++ = STELE_EV_EXPERIMENTAL_BATCH;
	*p++ = STELE_EXPERIMENT_ALLOCFREE;
	p = stele__varint_put(p, t->generation);
	p = stele__varint_put(p, STELE_NONE_ID);
	p = stele__varint_put(p, t->time);
	p = stele__varint_put(p, bytes);
	memcpy(p, data, bytes);
	t->bytes = (size_t)(p - t->data) + bytes;
}

static void recording_sums_losses_over_generations(void)
{
	static const char first[] = "S\1\1\7\x2a\1\4prog\4\4\5\0\2\3\5\2\1\7"
				    "\x0a\3\x84\1\7";
	static const char second[] =
		"S\1\4\4\5\0\2\4\4\4\6\3\1\1\5\2\1\x09\5\2\2\1\x08\2\3\x09\x09\3\1\1\1"
		"\x0a\4\x84\1\xac\2\x0a\2\5\1";
	struct tracemaker t = tracemaker(23);
	struct stele_recording recording = {0};
	const struct stele_event *event;
	struct stele_reader *reader;

	tracemaker_clock(&t);
	recording_put(&t, first, sizeof(first) - 1);
	tracemaker_next_generation(&t);
	tracemaker_clock(&t);
	recording_put(&t, second, sizeof(second) - 1);
	CHECK_EQ(stele_reader_open_memory(t.data, t.bytes, NULL, &reader), 0);
	while (stele_reader_next(reader, &event) > 0)
		if (event->kind == STELE_EVENT_SYNC)
			stele_recording_add(&recording, reader);
	CHECK(!stele_reader_diag(reader));
	CHECK(recording.present);
	CHECK(recording.complete);
	CHECK(recording.ending_known);
	CHECK_EQ(recording.signal, 9);
	CHECK_EQ(recording.pid, 42);
	CHECK_STR(recording.program, "prog");
	CHECK_EQ(recording.lost[0][2], 7);
	CHECK_EQ(recording.lost[3][1], 1);
	CHECK_EQ(recording.total[1], 9); /* so far, not in addition */
	CHECK_EQ(recording.lost_events, 7 + 1 + 9);
	CHECK_EQ(recording.skipped[4], 300);
	stele_reader_close(reader);
}

static void recording_names_causes_and_classes(void)
{
	CHECK_STR(stele_loss_cause_name(0), "ring full");
	CHECK(!stele_loss_cause_name(99));
	CHECK_STR(stele_loss_class_name(2), "memory");
	CHECK(!stele_loss_class_name(99));
	CHECK_STR(stele_skipped_name(4), "HeapObjectAlloc");
	CHECK(!stele_skipped_name(9));
	CHECK(!stele_data_total_name(0));
	CHECK(!stele_data_total_name(99));
	CHECK_STR(stele_data_total_name(10), "child processes not recorded");
}

TAP_MAIN(TEST(recording_items_are_read_one_by_one), TEST(recording_skips_what_it_does_not_know),
	 TEST(recording_refuses_broken_data), TEST(recording_sums_losses_over_generations),
	 TEST(recording_names_causes_and_classes))
