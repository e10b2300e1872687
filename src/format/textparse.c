/* SPDX-License-Identifier: MIT */
/* Text to bytes. Each entry is checked to its end before its first byte is written. */
#include <string.h>

#include "base/error.h"
#include "format/quote.h"
#include "format/textform.h"

struct parse_span {
	const char *at, *end;
};

/* An integer and the number of bytes it takes. */
struct parse_number {
	uint64_t value;
	unsigned width;
};

/* Place in the text, to come back to. */
struct parse_mark {
	const char *at;
	uint64_t line;
};

static const char *const parse_frame_names[] = {"pc", "func", "file", "line"};

#define PARSE_FRAME_ARGS 4

/* Messages --------------------------------------------------------------------------------- */

static size_t parse_append(char *message, size_t used, size_t limit, const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes && used < limit; i++)
		message[used++] = text[i];
	return used;
}

/* The beginning of a piece of the input; whatever is not plain ASCII could upset a terminal. */
static size_t parse_append_input(char *message, size_t used, size_t limit, struct parse_span s)
{
	const char *end = s.end - s.at > 40 ? s.at + 40 : s.end;

	for (const char *p = s.at; p < end && used < limit; p++)
		message[used++] = *p < ' ' || *p > '~' ? '?' : *p;
	return end < s.end ? parse_append(message, used, limit, "...", 3) : used;
}

/* "WHAT 'name', found 'near'"; both names may be left out. Returns code. */
static int parse_fail(struct stele_text *t, int code, const char *what, const char *name,
		      struct parse_span near)
{
	const size_t limit = sizeof(t->message) - 1;
	char *m = t->message;
	size_t used = parse_append(m, 0, limit, what, strlen(what));

	if (name) {
		used = parse_append(m, used, limit, " '", 2);
		used = parse_append(m, used, limit, name, strlen(name));
		used = parse_append(m, used, limit, "'", 1);
	}
	if (near.at != near.end) {
		used = parse_append(m, used, limit, ", found '", 9);
		used = parse_append_input(m, used, limit, near);
		used = parse_append(m, used, limit, "'", 1);
	}
	m[used] = '\0';
	return code;
}

static int parse_fail_plain(struct stele_text *t, const char *what)
{
	return parse_fail(t, STELE_E_SYNTAX, what, NULL, (struct parse_span){NULL, NULL});
}

/* Lines and words -------------------------------------------------------------------------- */

static bool parse_is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct parse_span parse_trim(struct parse_span s)
{
	while (s.at < s.end && parse_is_space(*s.at))
		s.at++;
	while (s.at < s.end && parse_is_space(s.end[-1]))
		s.end--;
	return s;
}

/* The next line, whatever it holds. */
static bool parse_take_line(struct stele_text *t, struct parse_span *ret_line)
{
	const char *newline;

	if (t->at == t->end)
		return false;
	newline = memchr(t->at, '\n', (size_t)(t->end - t->at));
	ret_line->at = t->at;
	ret_line->end = newline ? newline : t->end;
	t->at = newline ? newline + 1 : t->end;
	t->line++;
	return true;
}

/* The next line that is neither blank nor a comment, without the spaces around it. */
static bool parse_take_content(struct stele_text *t, struct parse_span *ret_line)
{
	struct parse_span line;

	while (parse_take_line(t, &line)) {
		line = parse_trim(line);
		if (line.at < line.end && *line.at != '#') {
			*ret_line = line;
			return true;
		}
	}
	return false;
}

/* The next word of a line; empty at its end and before a comment, which stays. */
static struct parse_span parse_take_word(struct parse_span *line)
{
	struct parse_span word;

	while (line->at < line->end && parse_is_space(*line->at))
		line->at++;
	word.at = line->at;
	while (line->at < line->end && !parse_is_space(*line->at) && *line->at != '#')
		line->at++;
	word.end = line->at;
	return word;
}

static bool parse_equals(struct parse_span s, const char *text)
{
	size_t length = strlen(text);

	return (size_t)(s.end - s.at) == length && memcmp(s.at, text, length) == 0;
}

static struct parse_mark parse_mark(const struct stele_text *t)
{
	return (struct parse_mark){t->at, t->line};
}

static void parse_back(struct stele_text *t, struct parse_mark mark)
{
	t->at = mark.at;
	t->line = mark.line;
}

/* Numbers and arguments -------------------------------------------------------------------- */

static bool parse_decimal(struct parse_span s, uint64_t *ret_value)
{
	uint64_t v = 0;

	if (s.at == s.end)
		return false;
	for (; s.at < s.end; s.at++) {
		if (*s.at < '0' || *s.at > '9' || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, (uint64_t)(*s.at - '0'), &v))
			return false;
	}
	*ret_value = v;
	return true;
}

static bool parse_width(struct parse_span s, uint64_t value, unsigned *ret_width)
{
	uint64_t width;

	if (!parse_decimal(s, &width) || width < stele__varint_width(value) ||
	    width > STELE_VARINT_BYTES_MAX)
		return false;
	*ret_width = (unsigned)width;
	return true;
}

/* "12" or "12/10". */
static int parse_number(struct stele_text *t, struct parse_span s, struct parse_number *ret_number)
{
	const char *slash = memchr(s.at, '/', (size_t)(s.end - s.at));
	struct parse_span digits = {s.at, slash ? slash : s.end};
	struct parse_number n;

	if (!parse_decimal(digits, &n.value))
		return parse_fail(t, STELE_E_SYNTAX,
				  "a number from 0 to 18446744073709551615 "
				  "is needed",
				  NULL, s);
	n.width = stele__varint_width(n.value);
	if (slash && !parse_width((struct parse_span){slash + 1, s.end}, n.value, &n.width))
		return parse_fail(t, STELE_E_SYNTAX, "a number cannot be written in so many bytes",
				  NULL, s);
	*ret_number = n;
	return 0;
}

static int parse_argument(struct stele_text *t, struct parse_span *line, const char *name,
			  struct parse_number *ret_number)
{
	struct parse_span word = parse_take_word(line), key = word;
	const char *equals =
		word.at == word.end ? NULL : memchr(word.at, '=', (size_t)(word.end - word.at));

	if (word.at == word.end)
		return parse_fail(t, STELE_E_SYNTAX, "missing argument", name, word);
	key.end = equals ? equals : word.end;
	if (!equals || !parse_equals(key, name))
		return parse_fail(t, STELE_E_SYNTAX, "expected argument", name, word);
	return parse_number(t, (struct parse_span){equals + 1, word.end}, ret_number);
}

static int parse_line_end(struct stele_text *t, struct parse_span line)
{
	line = parse_trim(line);
	if (line.at == line.end)
		return 0;
	if (*line.at == '#')
		return parse_fail_plain(t, "a comment needs a line of its own");
	return parse_fail(t, STELE_E_SYNTAX, "more text than arguments", NULL, line);
}

/* Bytes ------------------------------------------------------------------------------------ */

static void parse_put(struct stele_text_out *out, struct parse_number n)
{
	uint64_t v = n.value;

	for (unsigned i = 1; i < n.width; i++, v >>= 7)
		stele__text_out_byte(out, (uint8_t)(v | 0x80));
	stele__text_out_byte(out, (uint8_t)(v & 0x7f));
}

static void parse_put_all(struct stele_text_out *out, const struct parse_number *n, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		parse_put(out, n[i]);
}

/* Parts that follow an entry's first line -------------------------------------------------- */

static int parse_frame(struct stele_text *t, struct parse_number ret_frame[PARSE_FRAME_ARGS])
{
	struct parse_span line;

	if (!parse_take_content(t, &line))
		return parse_fail_plain(t, "the text ends before the last frame of a stack");
	for (unsigned i = 0; i < PARSE_FRAME_ARGS; i++) {
		int error = parse_argument(t, &line, parse_frame_names[i], &ret_frame[i]);

		if (error)
			return error;
	}
	return parse_line_end(t, line);
}

static int parse_frames(struct stele_text *t, uint64_t count, struct stele_text_out *out)
{
	struct parse_number frame[PARSE_FRAME_ARGS];

	for (uint64_t i = 0; i < count; i++) {
		int error = parse_frame(t, frame);

		if (error)
			return error;
		parse_put_all(out, frame, PARSE_FRAME_ARGS);
	}
	return 0;
}

/*
 * Takes the line `data="…"`, if it is there, and splits off the literal; an entry without one has
 * no data. ret_width is 0 if none was given.
 */
static int parse_data_line(struct stele_text *t, struct parse_span *ret_literal,
			   struct parse_span *ret_width)
{
	const struct parse_mark before = parse_mark(t);
	struct parse_span line, key;
	const char *equals, *slash;

	*ret_literal = *ret_width = (struct parse_span){NULL, NULL};
	if (!parse_take_content(t, &line))
		return 0;
	equals = memchr(line.at, '=', (size_t)(line.end - line.at));
	key = parse_trim((struct parse_span){line.at, equals ? equals : line.end});
	slash = memchr(key.at, '/', (size_t)(key.end - key.at));
	if (slash) {
		*ret_width = (struct parse_span){slash + 1, key.end};
		key.end = slash;
	}
	if (!parse_equals(key, "data")) {
		*ret_width = (struct parse_span){NULL, NULL};
		parse_back(t, before);
		return 0;
	}
	if (!equals)
		return parse_fail_plain(t, "expected data=\"…\"");
	*ret_literal = parse_trim((struct parse_span){equals + 1, line.end});
	return 0;
}

/* The bytes that a literal stands for. */
static int parse_literal(struct stele_text *t, struct parse_span literal,
			 struct stele_text_out *out)
{
	const char *message;
	int error = stele__quote_get(literal.at, (size_t)(literal.end - literal.at), out, &message);

	return error ? parse_fail_plain(t, message) : 0;
}

struct parse_data {
	struct parse_span literal; /* NULL: none */
	struct parse_number length;
};

static int parse_data(struct stele_text *t, struct parse_data *ret_data)
{
	struct stele_text_out count;
	struct parse_span width;
	struct parse_data data;
	int error = parse_data_line(t, &data.literal, &width);

	if (error)
		return error;
	stele__text_out_init(&count, NULL, NULL);
	if (data.literal.at) {
		error = parse_literal(t, data.literal, &count);
		if (error)
			return error;
	}
	data.length = (struct parse_number){count.bytes, stele__varint_width(count.bytes)};
	if (width.at && !parse_width(width, data.length.value, &data.length.width))
		return parse_fail(t, STELE_E_SYNTAX, "a length cannot be written in so many bytes",
				  NULL, width);
	*ret_data = data;
	return 0;
}

/* Entries ---------------------------------------------------------------------------------- */

struct parse_entry {
	uint8_t type;
	unsigned count; /* of args, dt included */
	bool sized;	/* EventBatch: the size was given */
	struct parse_number args[1 + STELE_ARGS_MAX];
};

/* EventBatch may leave out its last argument. */
static bool parse_may_end(const struct parse_entry *e, unsigned arg, struct parse_span line)
{
	line = parse_trim(line);
	return e->type == STELE_EV_EVENT_BATCH && arg == e->count - 1 && line.at == line.end;
}

/* The entry's own line. */
static int parse_entry(struct stele_text *t, struct parse_span line, struct parse_entry *ret_entry)
{
	struct parse_span name = parse_take_word(&line);
	struct parse_entry e = {.sized = true};
	int type = stele__spec_find(name.at, (size_t)(name.end - name.at));
	const struct stele_spec *spec;
	bool timed;

	if (type <= 0 || !stele__entry_known((uint8_t)type, t->version))
		return parse_fail(t, STELE_E_SYNTAX, "no entry of this version has that name", NULL,
				  name);
	e.type = (uint8_t)type;
	spec = stele__spec(e.type);
	timed = spec->shape >= STELE_SHAPE_TIMED;
	e.count = spec->arg_count + timed;
	for (unsigned i = 0; i < e.count; i++) {
		const char *arg = timed && i == 0 ? "dt" : spec->arg_name[i - timed];
		int error;

		if (parse_may_end(&e, i, line)) {
			e.args[i] = (struct parse_number){0, 1};
			e.sized = false;
			break;
		}
		error = parse_argument(t, &line, arg, &e.args[i]);
		if (error)
			return error;
	}
	*ret_entry = e;
	return parse_line_end(t, line);
}

/* A stack is read twice, so that nothing of a bad one is written. */
static int parse_stack(struct stele_text *t, const struct parse_entry *e,
		       struct stele_text_out *out)
{
	const struct parse_mark frames = parse_mark(t);
	struct stele_text_out nowhere;
	int error;

	stele__text_out_init(&nowhere, NULL, NULL);
	error = parse_frames(t, e->args[1].value, &nowhere);
	if (error)
		return error;
	parse_back(t, frames);
	stele__text_out_byte(out, e->type);
	parse_put_all(out, e->args, e->count);
	return parse_frames(t, e->args[1].value, out);
}

/* What follows the first line, and the bytes, of any entry. */
static int parse_finish(struct stele_text *t, const struct parse_entry *e,
			struct stele_text_out *out)
{
	struct parse_data data;
	int error;

	if (e->type == STELE_EV_STACK)
		return parse_stack(t, e, out);
	if (stele__entry_has_data(e->type)) {
		error = parse_data(t, &data);
		if (error)
			return error;
	}
	stele__text_out_byte(out, e->type);
	parse_put_all(out, e->args, e->count);
	if (stele__entry_has_data(e->type)) {
		parse_put(out, data.length);
		if (data.literal.at)
			return parse_literal(t, data.literal, out);
	}
	return 0;
}

static bool parse_ends_batch(uint8_t type)
{
	return type == STELE_EV_EVENT_BATCH || type == STELE_EV_EXPERIMENTAL_BATCH ||
	       type == STELE_EV_END_OF_GENERATION;
}

/*
 * The size of the batch whose header line was just read: all entries up to the next batch, the
 * end, or the first one that cannot be read (which is reported when its turn comes).
 */
static uint64_t parse_batch_size(struct stele_text *t)
{
	struct stele_text ahead = *t;
	struct stele_text_out count;
	struct parse_entry e;
	struct parse_span line;

	stele__text_out_init(&count, NULL, NULL);
	while (parse_take_content(&ahead, &line)) {
		if (parse_entry(&ahead, line, &e) || parse_ends_batch(e.type))
			break;
		if (parse_finish(&ahead, &e, &count))
			break;
	}
	return count.bytes;
}

int stele__text_next(struct stele_text *t, struct stele_text_out *out)
{
	struct parse_entry e;
	struct parse_span line;
	int error;

	if (!parse_take_content(t, &line))
		return 0;
	error = parse_entry(t, line, &e);
	if (!error && e.type == STELE_EV_EVENT_BATCH && (t->sizes || !e.sized)) {
		struct parse_number *size = &e.args[e.count - 1];

		size->value = parse_batch_size(t);
		if (size->width < stele__varint_width(size->value))
			size->width = stele__varint_width(size->value);
	}
	if (!error)
		error = parse_finish(t, &e, out);
	if (error)
		return error;
	return out->error ? out->error : 1;
}

int stele__text_begin(struct stele_text *t, const char *text, size_t bytes, uint64_t first_line,
		      bool sizes)
{
	static const char prefix[] = "Go1.";
	struct parse_span line, version;
	uint64_t number;
	int error;

	*t = (struct stele_text){
		.at = text, .end = text + bytes, .line = first_line - 1, .sizes = sizes};
	if (!parse_take_content(t, &line)) {
		t->line = first_line;
		return parse_fail_plain(t, "there is no text; it must begin with 'Trace Go1.NN'");
	}
	version = line;
	if (!parse_equals(parse_take_word(&version), "Trace"))
		return parse_fail(t, STELE_E_SYNTAX, "the text must begin with", "Trace Go1.NN",
				  line);
	line = version;
	version = parse_take_word(&line);
	if ((size_t)(version.end - version.at) < sizeof(prefix) ||
	    memcmp(version.at, prefix, sizeof(prefix) - 1) != 0 ||
	    !parse_decimal((struct parse_span){version.at + sizeof(prefix) - 1, version.end},
			   &number))
		return parse_fail(t, STELE_E_SYNTAX, "the text must begin with", "Trace Go1.NN",
				  version);
	if (number > 99 || !stele__header_known((unsigned)number))
		return parse_fail(t, STELE_E_UNSUPPORTED, "the versions are Go1.22, 23, 25, 26",
				  NULL, version);
	error = parse_line_end(t, line);
	if (!error)
		t->version = (unsigned)number;
	return error;
}
