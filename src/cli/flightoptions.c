/* SPDX-License-Identifier: MIT */
#include "cli/flightoptions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/duration.h"
#include "cli/number.h"

#define FLIGHT_BYTES_MIN     (1ull << 20)
#define FLIGHT_BYTES_MAX     (1ull << 40)
#define FLIGHT_BYTES_DEFAULT (256ull << 20) /* where a time alone is given */
#define FLIGHT_NS_MIN	     100000000
#define FLIGHT_NS_MAX	     (86400ll * 1000000000)
#define FLIGHT_GAP_NS	     10000000000
#define FLIGHT_KEEP	     10
#define FLIGHT_KEEP_BYTES    (4ull << 30)
#define FLIGHT_WORD_BYTES    64

void stele__flight_options_init(struct stele_flight_options *flight)
{
	*flight = (struct stele_flight_options){
		.on_failure = true,
		.gap_ns = FLIGHT_GAP_NS,
		.keep = FLIGHT_KEEP,
		.keep_bytes = FLIGHT_KEEP_BYTES,
	};
}

/* The next word of a list, without the comma. False: too long, or empty. */
static bool flight_word(const char **list, char *word)
{
	size_t length = strcspn(*list, ",");

	if (!length || length >= FLIGHT_WORD_BYTES)
		return false;
	memcpy(word, *list, length);
	word[length] = '\0';
	*list += length;
	*list += **list == ',' && (*list)[1];
	return true;
}

/* "64M": a size; "30s": a time. */
static bool flight_set_limit(struct stele_flight_limits *limits, const char *word)
{
	size_t length = strlen(word);
	int64_t ns;

	if (word[length - 1] != 's' && word[length - 1] != 'm')
		return stele__number_bytes(word, &limits->bytes) == 0 &&
		       limits->bytes >= FLIGHT_BYTES_MIN && limits->bytes <= FLIGHT_BYTES_MAX;
	if (!stele__duration_parse(word, &ns) || ns < FLIGHT_NS_MIN || ns > FLIGHT_NS_MAX)
		return false;
	limits->ns = (uint64_t)ns;
	return true;
}

static int flight_set_ring(struct stele_flight_options *flight, const char *value)
{
	char word[FLIGHT_WORD_BYTES];
	const char *at = value;
	bool good = *at;

	flight->limits = (struct stele_flight_limits){0};
	while (good && *at)
		good = flight_word(&at, word) && flight_set_limit(&flight->limits, word);
	if (!good) {
		stele__usage_error("record",
				   "--ring=%s: it is a size from 1M to 1T, a time from 100ms to "
				   "1440m, or both: 64M,30s",
				   value);
		return -EINVAL;
	}
	if (!flight->limits.bytes)
		flight->limits.bytes = FLIGHT_BYTES_DEFAULT;
	flight->on = true;
	return 0;
}

struct flight_watch {
	const char *word;
	enum stele_watch_kind kind;
};

static const struct flight_watch flight_watches[] = {{"region", STELE_WATCH_REGION},
						     {"syscall", STELE_WATCH_SYSCALL},
						     {"lock", STELE_WATCH_LOCK},
						     {"blocked", STELE_WATCH_BLOCKED}};

/* "lock:100ms", "rss:2G" */
static bool flight_set_trigger_limit(struct stele_flight_options *flight, const char *word,
				     const char *limit)
{
	size_t length = (size_t)(limit - word) - 1;
	int64_t ns;

	if (length == 3 && !memcmp(word, "rss", length))
		return stele__number_bytes(limit, &flight->rss_bytes) == 0 && flight->rss_bytes;
	if (!stele__duration_parse(limit, &ns) || ns <= 0)
		return false;
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(flight_watches); i++) {
		const struct flight_watch *watch = &flight_watches[i];

		if (strlen(watch->word) == length && !memcmp(watch->word, word, length)) {
			flight->watch_ns[watch->kind] = (uint64_t)ns;
			return true;
		}
	}
	return false;
}

static bool flight_set_trigger(struct stele_flight_options *flight, const char *word)
{
	const char *colon = strchr(word, ':');

	if (colon)
		return flight_set_trigger_limit(flight, word, colon + 1);
	if (!strcmp(word, "fail"))
		flight->on_failure = true;
	else if (!strcmp(word, "end"))
		flight->on_end = true;
	else if (!strcmp(word, "usr2"))
		flight->on_usr2 = true;
	else if (!strcmp(word, "never"))
		flight->on_failure = false;
	else
		return false;
	return true;
}

static int flight_set_triggers(struct stele_flight_options *flight, const char *value)
{
	char word[FLIGHT_WORD_BYTES];
	const char *at = value;
	bool good = *at;

	while (good && *at)
		good = flight_word(&at, word) && flight_set_trigger(flight, word);
	if (good)
		return 0;
	stele__usage_error("record",
			   "--snapshot-on=%s: it is a list of fail, end, usr2, never, region:TIME, "
			   "syscall:TIME, lock:TIME, blocked:TIME and rss:SIZE",
			   value);
	return -EINVAL;
}

static int flight_set_time(const char *name, const char *value, uint64_t *ret_ns)
{
	int64_t ns;

	if (!stele__duration_parse(value, &ns) || ns > FLIGHT_NS_MAX) {
		stele__usage_error("record", "--%s=%s: it is a time of a day at most: 500ms, 10s",
				   name, value);
		return -EINVAL;
	}
	*ret_ns = (uint64_t)ns;
	return 0;
}

static int flight_set_keep(const char *value, uint64_t *ret_keep)
{
	char *end;

	errno = 0;
	*ret_keep = strtoull(value, &end, 10);
	if (*value >= '0' && *value <= '9' && !*end && !errno)
		return 0;
	stele__usage_error("record", "--keep=%s: it is a number, 0 for any", value);
	return -EINVAL;
}

static int flight_set_total(const char *value, uint64_t *ret_bytes)
{
	if (stele__number_bytes(value, ret_bytes) == 0)
		return 0;
	stele__usage_error("record", "--max-total=%s: it is a size: 500M, 4G; 0 for any", value);
	return -EINVAL;
}

int stele__flight_options_set(struct stele_flight_options *flight, const char *name,
			      const char *value)
{
	if (!strcmp(name, "ring"))
		return flight_set_ring(flight, value);
	if (!strcmp(name, "snapshot-on"))
		return flight_set_triggers(flight, value);
	if (!strcmp(name, "post-roll"))
		return flight_set_time(name, value, &flight->post_roll_ns);
	if (!strcmp(name, "snapshot-gap"))
		return flight_set_time(name, value, &flight->gap_ns);
	if (!strcmp(name, "keep"))
		return flight_set_keep(value, &flight->keep);
	if (!strcmp(name, "max-total"))
		return flight_set_total(value, &flight->keep_bytes);
	return -ENOENT;
}

/* Is there a %n that stands for a number, in the last part of the name? */
static bool flight_is_numbered(const char *output)
{
	bool numbered = false;

	for (const char *p = output; *p; p++) {
		if (*p == '/')
			numbered = false;
		if (*p == '%' && p[1])
			numbered |= *++p == 'n';
	}
	return numbered;
}

int stele__flight_options_check(const struct stele_session_options *o)
{
	const char *why = NULL;

	if (!o->flight.on)
		return 0;
	if (o->arena)
		why = "--ring keeps the trace in memory, --arena is for one in a file";
	else if (o->output && !flight_is_numbered(o->output))
		why = "with --ring there may be many snapshots: the file's name must hold %n, "
		      "which stands for their number";
	if (!why)
		return 0;
	stele__usage_error("record", "%s", why);
	return -EINVAL;
}
