/* SPDX-License-Identifier: MIT */
#include "read/decode.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "format/cursor.h"
#include "read/blank.h"
#include "read/ticks.h"

/* Number of arguments behind dt, plus 1; 0: not a timed event. */
#define ARGS0()			 1
#define ARGS1(a)		 2
#define ARGS2(a, b)		 3
#define ARGS3(a, b, c)		 4
#define ARGS4(a, b, c, d)	 5
#define ARGS5(a, b, c, d, e)	 6
#define ARITY_STRUCTURAL(args)	 0
#define ARITY_TIMED(args)	 args
#define ARITY_EXPERIMENTAL(args) args

const uint8_t stele__timed_numbers[256] = {
#define X(number, name, text, since, shape, closes, args) [number] = ARITY_##shape(args),
#include "format/events.def"
#undef X
};

const struct stele__type_head stele__type_heads[256] = {
#define HEAD_STRUCTURAL(n, args) [n] = {.type = n}, /* CPU samples are seen, too */
#define HEAD_TIMED(n, args)	 [n] = {.type = n},
#define HEAD_EXPERIMENTAL(n, args)                                                                 \
	[n] = {.kind = STELE_EVENT_EXPERIMENTAL, .type = n, .value_count = (args)-1},
#define X(number, name, text, since, shape, closes, args) HEAD_##shape(number, args)
#include "format/events.def"
#undef X
};

const struct stele_string stele__type_names[256] = {
#define NAME_STRUCTURAL(n, text)
#define NAME_TIMED(n, text)
#define NAME_EXPERIMENTAL(n, text)			  [n] = {text, sizeof(text) - 1},
#define X(number, name, text, since, shape, closes, args) NAME_##shape(number, text)
#include "format/events.def"
#undef X
};

STELE_INLINE void decode_done(struct stele__decoder *d, double ns_per_tick, uint64_t dt,
			      struct stele_event *event, const uint8_t *behind)
{
	d->time = (int64_t)((uint64_t)d->time + (uint64_t)stele__ticks_ns(dt, ns_per_tick));
	stele__blank(event, *d->at, d->time);
	d->at = behind;
}

/* Each byte looked at. False: the numbers are not all there, or one is too long. */
static bool decode_checked(struct stele__decoder *d, double ns_per_tick, struct stele_event *event)
{
	unsigned numbers = stele__timed_numbers[*d->at];
	struct stele_cursor c = {.at = d->at + 1, .end = d->end, .start = d->at};
	uint64_t dt = stele__cursor_varint(&c);

	for (unsigned i = 0; i + 1 < numbers; i++)
		event->value[i] = stele__cursor_varint(&c);
	if (!numbers || c.error)
		return false;
	decode_done(d, ns_per_tick, dt, event, c.at);
	return true;
}

/* Where the end is out of reach. False: a number has more than eight bytes. */
STELE_INLINE bool decode_inside(struct stele__decoder *d, double ns_per_tick,
				struct stele_event *event)
{
	unsigned numbers = stele__timed_numbers[*d->at];
	uint64_t dt;
	const uint8_t *p = numbers ? stele__varint_get8(d->at + 1, &dt) : NULL;

	for (unsigned i = 0; i + 1 < numbers && p; i++)
		p = stele__varint_get8(p, &event->value[i]);
	if (!p)
		return false;
	decode_done(d, ns_per_tick, dt, event, p);
	return true;
}

struct stele_event *stele__decode_plain(struct stele__decoder *d, double ns_per_tick,
					struct stele_event *event, const struct stele_event *limit)
{
	for (; event < limit && d->at < d->end; event++) {
		if (STELE_LIKELY(d->end - d->at > 1 + (1 + STELE__TIMED_ARGS_MAX) * 8) &&
		    decode_inside(d, ns_per_tick, event))
			continue;
		if (!decode_checked(d, ns_per_tick, event))
			break;
	}
	return event;
}

#if defined(__x86_64__)

#define STELE_BMI2 __attribute__((target("bmi,bmi2")))

/* Bytes behind the type that are loaded whatever the numbers are. */
#define DECODE_REACH (32 + 2 + 8)

/* Slow in AMD's first ones that have it. */
static bool decode_has_bmi2(void)
{
	return __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
	       !__builtin_cpu_is("znver1") && !__builtin_cpu_is("znver2");
}

/* A bit for the last number of each event that has one to four; 0: other events. */
static const uint8_t decode_last[256] = {
#define LAST_STRUCTURAL(args)				  0
#define LAST_TIMED(args)				  (1u << (args) >> 1 & 15)
#define LAST_EXPERIMENTAL(args)				  LAST_TIMED(args)
#define X(number, name, text, since, shape, closes, args) [number] = LAST_##shape(args),
#include "format/events.def"
#undef X
};

/* The number that these eight bytes begin with. False: none ends in them. */
STELE_BMI2 static inline bool decode_number(const uint8_t *p, uint64_t *ret_number)
{
	uint64_t bytes = stele__varint_load(p), ends = ~bytes & 0x8080808080808080;

	*ret_number = _pext_u64(bytes & _blsmsk_u64(ends), 0x7f7f7f7f7f7f7f7f);
	return STELE_LIKELY(ends);
}

/*
 * Up to three arguments, in 16 bytes with dt. One look at all 16 tells where each number ends; so
 * the next event does not wait for this one to be decoded. No branch depends on what the numbers
 * are: those that the event does not have are rubbish. Stops in front of any event that it cannot
 * do, or whose rubbish looks like one.
 */
STELE_BMI2 static struct stele_event *decode_bmi2(struct stele__decoder *d, double ns_per_tick,
						  struct stele_event *event,
						  const struct stele_event *limit)
{
	const uint8_t *at = d->at, *far = at;
	uint64_t time = (uint64_t)d->time;

	if (d->end - at > DECODE_REACH)
		far = d->end - DECODE_REACH;
	for (; event < limit && at < far; event++) {
		const uint8_t *p = at + 1;
		uint32_t last = decode_last[*at];
		uint32_t ends = ~(uint32_t)_mm_movemask_epi8(
			_mm_loadu_si128((const __m128i *)(const void *)p));
		uint64_t end = _tzcnt_u32(_pdep_u32(last, ends)), end1, end2, dt;

		end1 = _tzcnt_u32(ends);
		ends = _blsr_u32(ends);
		end2 = _tzcnt_u32(ends);
		if (STELE_UNLIKELY(end > 15) || !decode_number(p, &dt) ||
		    !decode_number(p + 1 + end1, &event->value[0]) ||
		    !decode_number(p + 1 + end2, &event->value[1]))
			break;
		if (last == 1u << 3) {
			uint64_t end3 = _tzcnt_u32(_blsr_u32(ends));

			if (!decode_number(p + 1 + end3, &event->value[2]))
				break;
		}
		time += (uint64_t)stele__ticks_scale((double)(int64_t)dt, ns_per_tick);
		stele__blank(event, *at, (int64_t)time);
		at = p + 1 + end;
	}
	d->time = (int64_t)time;
	d->at = at;
	return event;
}

struct stele_event *stele__decode(struct stele__decoder *d, double ns_per_tick,
				  struct stele_event *event, const struct stele_event *limit)
{
	if (!decode_has_bmi2())
		return stele__decode_plain(d, ns_per_tick, event, limit);
	while (event < limit && d->at < d->end) {
		event = decode_bmi2(d, ns_per_tick, event, limit);
		if (event == limit || d->at == d->end || !decode_checked(d, ns_per_tick, event))
			break;
		event++;
	}
	return event;
}

#else

struct stele_event *stele__decode(struct stele__decoder *d, double ns_per_tick,
				  struct stele_event *event, const struct stele_event *limit)
{
	return stele__decode_plain(d, ns_per_tick, event, limit);
}

#endif

const uint8_t *stele__decode_skip(const uint8_t *at, const uint8_t *end, size_t count)
{
	struct stele_cursor c = stele__cursor(at, (size_t)(end - at));

	while (count--) {
		unsigned numbers = stele__timed_numbers[stele__cursor_u8(&c)];

		while (numbers--)
			stele__cursor_varint(&c);
	}
	return c.at;
}
