/* SPDX-License-Identifier: MIT */
/* The table of entries, tested as data. */
#include "format/spec.h"

#include "base/error.h"
#include "support/tap.h"

#define EXPERIMENTAL_FIRST 128

static bool is_assigned(int type)
{
	return type <= STELE_EV_END_OF_GENERATION ||
	       (type >= EXPERIMENTAL_FIRST && type <= STELE_EV_GOROUTINE_STACK_FREE);
}

static bool ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a >= b && strcmp(s + a - b, end) == 0;
}

static void spec_numbers_have_no_holes(void)
{
	CHECK_EQ(STELE_EV_END_OF_GENERATION, 52);
	CHECK_EQ(STELE_EV_GOROUTINE_STACK_FREE, 136);
	for (int i = 0; i < 256; i++) {
		const struct stele_spec *spec = stele__spec((uint8_t)i);

		CHECK_EQ(spec->name != NULL, is_assigned(i));
		CHECK_EQ(spec->shape != STELE_SHAPE_UNASSIGNED, is_assigned(i));
		CHECK_EQ(spec->shape == STELE_SHAPE_EXPERIMENTAL,
			 is_assigned(i) && i >= EXPERIMENTAL_FIRST);
	}
}

static void spec_names_are_unique_and_found(void)
{
	for (int i = 0; i < 256; i++) {
		const char *name = stele__spec((uint8_t)i)->name;

		if (name)
			CHECK_EQ(stele__spec_find(name, strlen(name)), i);
	}
	CHECK_EQ(stele__spec_find("GoStart", 6), -1);
	CHECK_EQ(stele__spec_find("GoStarts", 8), -1);
	CHECK_EQ(stele__spec_find("", 0), -1);
}

static void spec_since_is_a_header_that_grows_with_the_number(void)
{
	unsigned since = 22;

	for (int i = 0; i <= STELE_EV_END_OF_GENERATION; i++) {
		const struct stele_spec *spec = stele__spec((uint8_t)i);

		CHECK(stele__header_known(spec->since));
		CHECK(spec->since >= since);
		since = spec->since;
	}
	for (int i = EXPERIMENTAL_FIRST; i <= STELE_EV_GOROUTINE_STACK_FREE; i++)
		CHECK_EQ(stele__spec((uint8_t)i)->since, 23);
	CHECK_EQ(stele__spec(STELE_EV_USER_LOG)->since, 22);
	CHECK_EQ(stele__spec(STELE_EV_GO_SWITCH)->since, 23);
	CHECK_EQ(stele__spec(STELE_EV_EXPERIMENTAL_BATCH)->since, 23);
	CHECK_EQ(stele__spec(STELE_EV_SYNC)->since, 25);
	CHECK_EQ(stele__spec(STELE_EV_END_OF_GENERATION)->since, 26);
}

static void spec_arguments_are_named_as_often_as_counted(void)
{
	for (int i = 0; i < 256; i++) {
		const struct stele_spec *spec = stele__spec((uint8_t)i);

		CHECK(spec->arg_count <= STELE_ARGS_MAX);
		for (unsigned a = 0; a < STELE_ARGS_MAX; a++)
			CHECK_EQ(spec->arg_name[a] != NULL, a < spec->arg_count);
		for (unsigned a = 0; a < spec->arg_count; a++)
			for (unsigned b = 0; b < a; b++)
				CHECK(strcmp(spec->arg_name[a], spec->arg_name[b]) != 0);
	}
}

static void spec_names_of_arguments_tell_their_kind(void)
{
	static const struct {
		const char *name;
		uint8_t kind;
	} kinds[] = {
		{"g", STELE_ARG_GO},
		{"new_g", STELE_ARG_GO},
		{"p", STELE_ARG_PROC},
		{"m", STELE_ARG_THREAD},
		{"g_seq", STELE_ARG_GOSEQ},
		{"p_seq", STELE_ARG_PROCSEQ},
		{"gc_seq", STELE_ARG_GCSEQ},
		{"time", STELE_ARG_TICKS},
		{"task", STELE_ARG_TASK},
		{"parent_task", STELE_ARG_TASK},
		{"gstatus", STELE_ARG_GOSTATUS},
		{"pstatus", STELE_ARG_PROCSTATUS},
	};

	for (int i = 0; i < 256; i++) {
		const struct stele_spec *spec = stele__spec((uint8_t)i);

		for (unsigned a = 0; a < spec->arg_count; a++) {
			const char *name = spec->arg_name[a];
			uint8_t expected = ends_with(name, "stack")	? STELE_ARG_STACK
					   : ends_with(name, "_string") ? STELE_ARG_STRING
									: STELE_ARG_VALUE;

			for (size_t k = 0; k < STELE_ARRAY_LENGTH(kinds); k++)
				if (!strcmp(name, kinds[k].name))
					expected = kinds[k].kind;
			if (!CHECK_EQ(spec->arg_kind[a], expected))
				printf("# %s of %s\n", name, spec->name);
		}
	}
}

static void spec_timed_events_do_not_list_their_dt(void)
{
	for (int i = 0; i < 256; i++) {
		const struct stele_spec *spec = stele__spec((uint8_t)i);

		CHECK_EQ(stele__spec_is_timed((uint8_t)i), spec->shape >= STELE_SHAPE_TIMED);
		for (unsigned a = 0; a < spec->arg_count; a++)
			if (stele__spec_is_timed((uint8_t)i))
				CHECK(strcmp(spec->arg_name[a], "dt") != 0);
	}
	CHECK(!stele__spec_is_timed(STELE_EV_FREQUENCY));
	CHECK(stele__spec_is_timed(STELE_EV_PROCS_CHANGE));
	CHECK(stele__spec_is_timed(STELE_EV_GO_STATUS_STACK));
	CHECK(!stele__spec_is_timed(STELE_EV_EXPERIMENTAL_BATCH));
	CHECK(stele__spec_is_timed(STELE_EV_SPAN));
	CHECK(!stele__spec_is_timed(53));
}

static void spec_closes_only_earlier_events_of_its_shape(void)
{
	unsigned closing = 0;

	for (int i = 0; i < 256; i++) {
		const struct stele_spec *spec = stele__spec((uint8_t)i);
		const struct stele_spec *opens = stele__spec(spec->closes);

		if (!spec->closes)
			continue;
		closing++;
		CHECK(spec->closes < i);
		CHECK_EQ(opens->shape, spec->shape);
		CHECK_EQ(opens->closes, STELE_EV_NONE);
	}
	CHECK_EQ(closing, 11);
}

static void header_is_read_as_written(void)
{
	static const unsigned versions[] = {22, 23, 25, 26};
	uint8_t bytes[STELE_HEADER_BYTES];

	for (unsigned v = 0; v < 4; v++) {
		stele__header_put(bytes, versions[v]);
		CHECK_EQ(stele__header_get(bytes), versions[v]);
	}
	CHECK_BYTES(bytes, sizeof(bytes), "go 1.26 trace\0\0\0", 16);
}

static void header_tells_old_traces_from_other_files(void)
{
	CHECK_EQ(stele__header_get((const uint8_t *)"go 1.21 trace\0\0\0"), STELE_E_UNSUPPORTED);
	CHECK_EQ(stele__header_get((const uint8_t *)"go 1.24 trace\0\0\0"), STELE_E_UNSUPPORTED);
	CHECK_EQ(stele__header_get((const uint8_t *)"go 1.27 trace\0\0\0"), STELE_E_UNSUPPORTED);
	CHECK_EQ(stele__header_get((const uint8_t *)"go 1.5 trace\0\0\0\0"), STELE_E_UNSUPPORTED);
	CHECK_EQ(stele__header_get((const uint8_t *)"go 1.23 trace\0\0\1"), STELE_E_NOT_TRACE);
	CHECK_EQ(stele__header_get((const uint8_t *)"go 1.x3 trace\0\0\0"), STELE_E_NOT_TRACE);
	CHECK_EQ(stele__header_get((const uint8_t *)"\177ELF\2\1\1\0\0\0\0\0\0\0\0"),
		 STELE_E_NOT_TRACE);
}

TAP_MAIN(TEST(spec_numbers_have_no_holes), TEST(spec_names_are_unique_and_found),
	 TEST(spec_since_is_a_header_that_grows_with_the_number),
	 TEST(spec_arguments_are_named_as_often_as_counted),
	 TEST(spec_names_of_arguments_tell_their_kind),
	 TEST(spec_timed_events_do_not_list_their_dt),
	 TEST(spec_closes_only_earlier_events_of_its_shape), TEST(header_is_read_as_written),
	 TEST(header_tells_old_traces_from_other_files))
