/* SPDX-License-Identifier: MIT */
/*
 * A flame graph as an SVG that a browser shows by itself: one box for each function on each path,
 * as wide as its share, callers above. With the script in it (flame.js) a click makes a box as wide
 * as the picture, and a word or pattern is looked for; without, it is a picture with titles.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/keymap.h"
#include "export/export.h"
#include "export/flame.h"

#define WIDTH	   1200
#define ROW	   17
#define TOP	   44 /* the title's, and what a box says when it is looked at */
#define BOTTOM	   10
#define SIDE	   10
#define LETTER	   6.6 /* width of a letter of the font, 11 pixels high */
#define NARROWEST  0.2 /* pixels; boxes that are narrower are always left out */
#define FRAMES_MAX 1024

struct flame_node {
	struct stele_string name;
	uint64_t weight; /* with its children's */
	uint32_t parent, first, next;
	uint32_t depth;
};

struct flame {
	struct stele__textsink *t;
	const struct stele_analysis *analysis;
	const struct stele__profile_kind *kind;
	struct stele__keymap children; /* (parent, name) -> index */
	struct flame_node *nodes;      /* [0] is the root */
	uint32_t count, max;
	uint32_t depth; /* of the deepest one that is shown */
	uint64_t boxes_max;
	uint64_t left_out; /* boxes */
	double narrowest;  /* pixels that one has to have */
};

static int flame_grow(struct flame *f)
{
	uint32_t max = f->max ? 2 * f->max : 1024;
	struct flame_node *grown;

	if (f->count < f->max)
		return 0;
	grown = max > f->max ? realloc(f->nodes, max * sizeof(*grown)) : NULL;
	if (!grown)
		return -ENOMEM;
	f->nodes = grown;
	f->max = max;
	return 0;
}

/* The child of this name, whose text is there once only. */
static int flame_child(struct flame *f, uint32_t parent, struct stele_string name,
		       uint32_t *ret_child)
{
	uint64_t key = stele__keymap_mix(parent + 1, (uintptr_t)name.data);
	uintptr_t known;
	size_t at = 0;
	int r;

	while ((known = (uintptr_t)stele__keymap_next(&f->children, key, &at)))
		if (f->nodes[known].name.data == name.data && f->nodes[known].parent == parent) {
			*ret_child = (uint32_t)known;
			return 0;
		}
	r = flame_grow(f);
	if (r == 0)
		r = stele__keymap_add(&f->children, key, (void *)(uintptr_t)f->count);
	if (r < 0)
		return r;
	f->nodes[f->count] = (struct flame_node){.name = name,
						 .parent = parent,
						 .next = f->nodes[parent].first,
						 .depth = f->nodes[parent].depth + 1};
	f->nodes[parent].first = f->count;
	*ret_child = f->count++;
	return 0;
}

static int flame_row(void *arg, const struct stele__profile_row *row)
{
	static const struct stele_string none = {"[no stack]", 10}, unnamed = {"?", 1};
	struct flame *f = arg;
	uint64_t weight = row->values[f->kind->weight];
	size_t count;
	const struct stele_stack_frame *frames =
		stele_analysis_stack(f->analysis, row->stack, &count);
	uint32_t node = 0;
	int r = 0;

	if (!weight)
		return 0;
	f->nodes[0].weight += weight;
	for (size_t i = count; i > 0 && r == 0; i--) {
		struct stele_string name = frames[i - 1].function;

		r = flame_child(f, node, name.bytes ? name : unnamed, &node);
		if (r == 0)
			f->nodes[node].weight += weight;
	}
	if (r == 0 && (row->leaf.bytes || !count)) {
		r = flame_child(f, node, row->leaf.bytes ? row->leaf : none, &node);
		if (r == 0)
			f->nodes[node].weight += weight;
	}
	return r;
}

/* Drawing ------------------------------------------------------------------------------------- */

static void flame_text(struct stele__textsink *t, struct stele_string text, size_t max)
{
	bool cut = text.bytes > max;

	if (cut) /* at the beginning of a letter */
		for (text.bytes = max - 2; text.bytes && (text.data[text.bytes] & 0xc0) == 0x80;)
			text.bytes--;
	stele__text_xml(t, text);
	if (cut)
		stele__text_bytes(t, "..", 2);
}

/* "12.3 ms", "4.5 MiB", "1,234" */
static void flame_amount(struct flame *f, uint64_t weight)
{
	static const char *const times[] = {"ns", "µs", "ms", "s"};
	static const char *const sizes[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	const char *unit = f->kind->values[f->kind->weight].unit;
	bool time = !strcmp(unit, "nanoseconds");
	double step = time ? 1000 : 1024, value = (double)weight;
	unsigned power = 0, last = time ? 3 : 4;

	if (!strcmp(unit, "count")) {
		stele__text_format(f->t, "%" PRIu64, weight);
		return;
	}
	for (; value >= step && power < last; power++)
		value /= step;
	stele__text_format(f->t, "%.*f %s", power && value < 100 ? 1 + (value < 10) : 0, value,
			   (time ? times : sizes)[power]);
}

/* Warm colours, the same for a name in every picture. */
static unsigned flame_hue(struct stele_string name)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < name.bytes; i++)
		hash = (hash ^ (uint8_t)name.data[i]) * 16777619u;
	return (hash ^ hash >> 15) % 50;
}

static void flame_box(struct flame *f, const struct flame_node *node, double x, double width)
{
	double y = TOP + (double)node->depth * ROW;
	double percent = 100.0 * (double)node->weight / (double)f->nodes[0].weight;
	size_t letters = (size_t)((width - 4) / LETTER);

	stele__text_format(f->t, "<g tabindex=\"0\"><title>");
	flame_text(f->t, node->name, 1000);
	stele__text_format(f->t, " (");
	flame_amount(f, node->weight);
	stele__text_format(f->t,
			   ", %.2f %%)</title><rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" "
			   "height=\"%d\" fill=\"hsl(%u 85%% 64%%)\"/>",
			   percent, x, y, width, ROW - 1, flame_hue(node->name));
	stele__text_format(f->t, "<text x=\"%.2f\" y=\"%.0f\">", x + 3, y + ROW - 5);
	if (width > 4 + 3 * LETTER)
		flame_text(f->t, node->name, letters);
	stele__text_bytes(f->t, "</text></g>\n", 12);
}

static int flame_compare(const void *left, const void *right)
{
	const struct flame_node *a = *(const struct flame_node *const *)left;
	const struct flame_node *b = *(const struct flame_node *const *)right;
	size_t bytes = a->name.bytes < b->name.bytes ? a->name.bytes : b->name.bytes;
	int r = memcmp(a->name.data, b->name.data, bytes);

	return r ? r : (a->name.bytes > b->name.bytes) - (a->name.bytes < b->name.bytes);
}

/* Children in the order of their names, so that pictures of two runs can be compared. */
static int flame_sort(struct flame *f, uint32_t parent)
{
	struct flame_node **list;
	uint32_t count = 0, i = 0;

	for (uint32_t at = f->nodes[parent].first; at; at = f->nodes[at].next)
		count++;
	if (count < 2)
		return 0;
	list = calloc(count, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (uint32_t at = f->nodes[parent].first; at; at = f->nodes[at].next)
		list[i++] = &f->nodes[at];
	qsort(list, count, sizeof(*list), flame_compare);
	f->nodes[parent].first = (uint32_t)(list[0] - f->nodes);
	for (i = 0; i + 1 < count; i++)
		list[i]->next = (uint32_t)(list[i + 1] - f->nodes);
	list[count - 1]->next = 0;
	free(list);
	return 0;
}

static bool flame_is_shown(const struct flame *f, const struct flame_node *node)
{
	return (double)node->weight * (WIDTH - 2 * SIDE) >=
	       f->narrowest * (double)f->nodes[0].weight;
}

static void flame_measure(struct flame *f)
{
	f->narrowest = NARROWEST;
	do {
		f->left_out = f->depth = 0;
		for (uint32_t i = 0; i < f->count; i++) {
			if (!flame_is_shown(f, &f->nodes[i]))
				f->left_out++;
			else if (f->nodes[i].depth > f->depth)
				f->depth = f->nodes[i].depth;
		}
		f->narrowest *= 1.25;
	} while (f->count - f->left_out > f->boxes_max);
	f->narrowest /= 1.25;
}

/* Callers before what they call, with one position for each depth of the path. */
static void flame_draw(struct flame *f)
{
	double scale = (WIDTH - 2 * SIDE) / (double)f->nodes[0].weight;
	uint32_t path[FRAMES_MAX + 3] = {0};
	uint64_t at[FRAMES_MAX + 3] = {0}; /* where the next child of the path's node begins */
	unsigned depth = 0;

	flame_box(f, &f->nodes[0], SIDE, (double)f->nodes[0].weight * scale);
	path[0] = f->nodes[0].first;
	for (;;) {
		const struct flame_node *node;

		if (!path[depth]) {
			if (!depth--)
				break;
			continue;
		}
		node = &f->nodes[path[depth]];
		path[depth] = node->next;
		if (flame_is_shown(f, node)) {
			flame_box(f, node, SIDE + (double)at[depth] * scale,
				  (double)node->weight * scale);
			if (depth + 1 < STELE_ARRAY_LENGTH(path)) {
				path[depth + 1] = node->first;
				at[depth + 1] = at[depth];
			}
		}
		at[depth] += node->weight;
		if (flame_is_shown(f, node) && node->first && depth + 2 < STELE_ARRAY_LENGTH(path))
			depth++;
	}
}

static const char flame_style[] =
	"<style>\n"
	"svg { background: #fff; }\n"
	"text { font: 11px ui-monospace, Menlo, Consolas, monospace; fill: #000;\n"
	"  pointer-events: none; }\n"
	"#title { font-size: 15px; } #title, #says, #note { fill: #222; }\n"
	"g { cursor: pointer; } g:hover rect, g:focus rect { stroke: #000; stroke-width: 1; }\n"
	"g { outline: none; } .found rect { fill: hsl(280 80% 70%); } .above rect { opacity: 0.5; "
	"}\n"
	"@media (prefers-color-scheme: dark) {\n"
	"  svg { background: #16181d; } #title, #says, #note { fill: #ddd; }\n"
	"  g:hover rect, g:focus rect { stroke: #fff; }\n"
	"}\n"
	"</style>\n";

static void flame_head(struct flame *f)
{
	double height = TOP + (double)(f->depth + 1) * ROW + BOTTOM;
	const struct stele_recording *rec = &stele_analysis_trust(f->analysis)->recording;
	struct stele_string program = {rec->program, strlen(rec->program)};

	stele__text_format(f->t,
			   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" "
			   "width=\"%d\" height=\"%.0f\">\n",
			   WIDTH, height, WIDTH, height);
	stele__text_bytes(f->t, flame_style, sizeof(flame_style) - 1);
	stele__text_format(f->t, "<text id=\"title\" x=\"%d\" y=\"18\">", SIDE);
	if (program.bytes) {
		flame_text(f->t, program, 60);
		stele__text_bytes(f->t, ": ", 2);
	}
	stele__text_format(f->t, "%s, ", f->kind->name);
	flame_amount(f, f->nodes[0].weight);
	if (rec->lost_events)
		stele__text_format(f->t, " (too little: %" PRIu64 " events were lost)",
				   rec->lost_events);
	stele__text_format(f->t, "</text>\n<text id=\"says\" x=\"%d\" y=\"36\"></text>\n", SIDE);
	stele__text_format(f->t,
			   "<text id=\"note\" x=\"%d\" y=\"18\" text-anchor=\"end\">click: "
			   "wider, Escape: all, /: find",
			   WIDTH - SIDE);
	if (f->left_out)
		stele__text_format(f->t, " (%" PRIu64 " too narrow to show)", f->left_out);
	stele__text_format(f->t, "</text>\n");
}

static const char flame_script[] = {
#include "export/flame.js.h"
};

static int flame_nothing(struct flame *f)
{
	stele__text_format(f->t,
			   "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d 60\" "
			   "width=\"%d\" height=\"60\">\n",
			   WIDTH, WIDTH);
	stele__text_bytes(f->t, flame_style, sizeof(flame_style) - 1);
	stele__text_format(f->t,
			   "<text id=\"title\" x=\"%d\" y=\"30\">Nothing of kind %s is in this "
			   "trace</text>\n</svg>\n",
			   SIDE, f->kind->name);
	return f->t->error;
}

static int flame_build(struct flame *f)
{
	int r = flame_grow(f);

	if (r < 0)
		return r;
	f->nodes[f->count++] = (struct flame_node){.name = {"all", 3}};
	r = stele__profile_each(f->analysis, f->kind, false, flame_row, f);
	for (uint32_t i = 0; i < f->count && r == 0; i++)
		r = flame_sort(f, i);
	return r;
}

static int flame_picture(struct flame *f)
{
	if (!f->nodes[0].weight)
		return flame_nothing(f);
	flame_measure(f);
	flame_head(f);
	flame_draw(f);
	stele__text_bytes(f->t, "<script><![CDATA[\n", 18);
	stele__text_bytes(f->t, flame_script, sizeof(flame_script));
	stele__text_bytes(f->t, "]]></script>\n</svg>\n", 20);
	return f->t->error;
}

int stele__flame_write(const struct stele_analysis *analysis,
		       const struct stele__profile_kind *kind, uint64_t boxes_max,
		       struct stele__textsink *t)
{
	struct flame f = {.t = t, .analysis = analysis, .kind = kind, .boxes_max = boxes_max};
	int r;

	stele__keymap_init(&f.children);
	r = flame_build(&f);
	if (r == 0)
		r = flame_picture(&f);
	stele__keymap_done(&f.children);
	free(f.nodes);
	return r;
}

/* The format ---------------------------------------------------------------------------------- */

struct flame_export {
	struct stele__textsink t;
	struct stele_analysis *analysis;
};

static int flame_start(struct stele__export *e)
{
	struct flame_export *f = e->state;

	f->t.e = e;
	return stele_analysis_new(&f->analysis);
}

static int flame_take(struct stele__export *e, const struct stele_reader *reader,
		      const struct stele_event *event)
{
	return stele_analysis_add(((struct flame_export *)e->state)->analysis, reader, event);
}

static int flame_finish(struct stele__export *e)
{
	struct flame_export *f = e->state;
	int r = stele_analysis_finish(f->analysis);

	return r < 0 ? r
		     : stele__flame_write(f->analysis, stele__profile_find(e->kind),
					  STELE__FLAME_BOXES_MAX, &f->t);
}

static void flame_free(struct stele__export *e)
{
	stele_analysis_free(((struct flame_export *)e->state)->analysis);
}

const struct stele__format stele__format_flame = {
	.name = "flame",
	.summary = "a flame graph to look at in a browser (SVG); --kind says of what",
	.profile = true,
	.state_bytes = sizeof(struct flame_export),
	.start = flame_start,
	.event = flame_take,
	.finish = flame_finish,
	.free = flame_free,
};
