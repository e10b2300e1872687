/* SPDX-License-Identifier: MIT */
/*
 * Locks that are taken one within the other in different orders: those who do it could wait for
 * each other for ever, also where they did not this time.
 *
 * Locks are nodes, and an edge leads from each to those that were taken by who had it. What lies on
 * no cycle is peeled off; then one cycle after the other is found by a search from an edge's end to
 * its beginning, and the edge taken away.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analyze/locks.h"

#define CYCLES_MAX   32
#define SEARCHES_MAX 256 /* then it is enough */
#define NOT_REACHED  UINT32_MAX

struct order_edge {
	struct stele__object *outer, *inner;
	uint32_t outer_taken, inner_taken; /* stacks */
	const struct stele__name *thread;
	uint64_t thread_id;
	bool several; /* threads did it */
	bool gone;    /* it is on no cycle that is still to be found */
};

struct stele__orders {
	struct stele__keymap edges; /* by both locks */
	struct order_edge **list;   /* the same, owned by the map */
	uint32_t count, max;
	struct stele_lock_cycle *cycles;
	uint32_t cycle_count;
};

/* The edges as a graph: node i's are list[first[i]] to list[first[i + 1]]. */
struct order_graph {
	struct stele__orders *orders;
	uint32_t nodes;
	uint32_t *out_first, *out, *in_first, *in; /* edges, by their numbers */
	uint32_t *out_left, *in_left;		   /* edges of each node that are not gone */
	uint32_t *queue, *from; /* of a search: nodes; the edge by which each was reached */
};

struct stele__orders *stele__orders_new(void)
{
	struct stele__orders *orders = calloc(1, sizeof(*orders));

	if (orders)
		stele__keymap_init(&orders->edges);
	return orders;
}

void stele__orders_free(struct stele__orders *orders)
{
	if (!orders)
		return;
	for (uint32_t i = 0; i < orders->cycle_count; i++)
		free((void *)orders->cycles[i].orders);
	free(orders->cycles);
	free(orders->list);
	stele__keymap_free(&orders->edges);
	free(orders);
}

static struct order_edge *orders_edge(struct stele__orders *orders, struct stele__object *outer,
				      struct stele__object *inner)
{
	uint64_t hash = stele__keymap_mix((uintptr_t)outer, (uintptr_t)inner);
	struct order_edge *edge;
	size_t at = 0;

	while ((edge = stele__keymap_next(&orders->edges, hash, &at)))
		if (edge->outer == outer && edge->inner == inner)
			return edge;
	if (stele__list_reserve(&orders->list, orders->count, &orders->max,
				sizeof(struct order_edge *)) < 0)
		return NULL;
	edge = calloc(1, sizeof(*edge));
	if (!edge || stele__keymap_add(&orders->edges, hash, edge) < 0) {
		free(edge);
		return NULL;
	}
	edge->outer = outer;
	edge->inner = inner;
	orders->list[orders->count++] = edge;
	return edge;
}

int stele__orders_detail(struct stele_analysis *a, const struct stele_reader *reader,
			 const struct stele_detail *detail)
{
	struct stele__object *outer = stele__locks_object_at(a, detail->object);
	struct stele__object *inner = stele__locks_object_at(a, detail->inner);
	const struct stele__flow *go = stele__flow_of_thread(a, detail->thread);
	struct order_edge *edge;
	int r;

	if (!outer || !inner)
		return -ENOMEM;
	if (outer == inner)
		return 0;
	edge = orders_edge(a->orders, outer, inner);
	if (!edge)
		return -ENOMEM;
	if (edge->thread) {
		edge->several |= edge->thread_id != detail->thread;
		return 0;
	}
	edge->thread = go ? stele__flow_label(a, go) : a->empty;
	edge->thread_id = detail->thread;
	r = stele__stack_find(a, reader, detail->taken_stack, &edge->outer_taken);
	return r < 0 ? r : stele__stack_find(a, reader, detail->stack, &edge->inner_taken);
}

/* ---- the graph ---- */

static void graph_done(struct order_graph *g)
{
	free(g->out_first);
	free(g->out);
	free(g->in_first);
	free(g->in);
	free(g->out_left);
	free(g->in_left);
	free(g->queue);
	free(g->from);
}

/* Sorts the edges by one of their ends. */
static void graph_index(const struct order_graph *g, uint32_t *first, uint32_t *edges,
			uint32_t *left, bool out)
{
	const struct stele__orders *orders = g->orders;

	for (uint32_t i = 0; i < orders->count; i++)
		left[(out ? orders->list[i]->outer : orders->list[i]->inner)->node]++;
	for (uint32_t i = 0; i < g->nodes; i++)
		first[i + 1] = first[i] + left[i];
	for (uint32_t i = 0; i < orders->count; i++) {
		uint32_t node = (out ? orders->list[i]->outer : orders->list[i]->inner)->node;

		edges[first[node + 1] - left[node]--] = i;
	}
	for (uint32_t i = 0; i < g->nodes; i++)
		left[i] = first[i + 1] - first[i];
}

static int graph_make(struct order_graph *g, struct stele__orders *orders)
{
	size_t nodes, edges = orders->count;

	*g = (struct order_graph){.orders = orders};
	for (uint32_t i = 0; i < orders->count; i++)
		orders->list[i]->outer->node = orders->list[i]->inner->node = NOT_REACHED;
	for (uint32_t i = 0; i < orders->count; i++) {
		struct stele__object *ends[] = {orders->list[i]->outer, orders->list[i]->inner};

		for (int end = 0; end < 2; end++)
			if (ends[end]->node == NOT_REACHED)
				ends[end]->node = g->nodes++;
	}
	nodes = (size_t)g->nodes + 1;
	g->out_first = calloc(nodes, sizeof(uint32_t));
	g->in_first = calloc(nodes, sizeof(uint32_t));
	g->out_left = calloc(nodes, sizeof(uint32_t));
	g->in_left = calloc(nodes, sizeof(uint32_t));
	g->queue = calloc(2 * nodes, sizeof(uint32_t)); /* each may be in it twice */
	g->from = calloc(nodes, sizeof(uint32_t));
	g->out = calloc(edges, sizeof(uint32_t));
	g->in = calloc(edges, sizeof(uint32_t));
	if (!g->out_first || !g->in_first || !g->out_left || !g->in_left || !g->queue || !g->from ||
	    !g->out || !g->in)
		return -ENOMEM;
	graph_index(g, g->out_first, g->out, g->out_left, true);
	graph_index(g, g->in_first, g->in, g->in_left, false);
	return 0;
}

/* Takes an edge away. Nodes that only lead to it, or only from it, follow: pushed when they do. */
static void graph_drop(struct order_graph *g, uint32_t edge, uint32_t *pending)
{
	struct order_edge *e = g->orders->list[edge];

	if (e->gone)
		return;
	e->gone = true;
	if (--g->out_left[e->outer->node] == 0)
		g->queue[(*pending)++] = e->outer->node;
	if (--g->in_left[e->inner->node] == 0 && g->out_left[e->inner->node])
		g->queue[(*pending)++] = e->inner->node;
}

/* Takes away what lies on no cycle, beginning with `pending` nodes in the queue: those that have
 * lost all edges of one side. */
static void graph_peel(struct order_graph *g, uint32_t pending)
{
	while (pending) {
		uint32_t node = g->queue[--pending];

		for (uint32_t i = g->out_first[node]; i < g->out_first[node + 1]; i++)
			graph_drop(g, g->out[i], &pending);
		for (uint32_t i = g->in_first[node]; i < g->in_first[node + 1]; i++)
			graph_drop(g, g->in[i], &pending);
	}
}

/* The edges from node `begin` to node `end`: g->from tells them backwards. */
static bool graph_search(struct order_graph *g, uint32_t begin, uint32_t end)
{
	uint32_t head = 0, tail = 0;

	for (uint32_t i = 0; i < g->nodes; i++)
		g->from[i] = NOT_REACHED;
	g->queue[tail++] = begin;
	while (head < tail && g->from[end] == NOT_REACHED) {
		uint32_t node = g->queue[head++];

		for (uint32_t i = g->out_first[node]; i < g->out_first[node + 1]; i++) {
			const struct order_edge *e = g->orders->list[g->out[i]];

			if (e->gone || e->inner->node == begin ||
			    g->from[e->inner->node] != NOT_REACHED)
				continue;
			g->from[e->inner->node] = g->out[i];
			g->queue[tail++] = e->inner->node;
		}
	}
	return g->from[end] != NOT_REACHED;
}

/* ---- cycles ---- */

static int order_of(struct stele_analysis *a, const struct order_edge *e,
		    struct stele_lock_order *order)
{
	int r = stele__locks_name(a, e->outer);

	if (r == 0)
		r = stele__locks_name(a, e->inner);
	if (r < 0)
		return r;
	*order = (struct stele_lock_order){
		.held = stele__locks_class(e->outer),
		.taken = stele__locks_class(e->inner),
		.held_at = e->outer_taken,
		.taken_at = e->inner_taken,
		.thread =
			e->several ? (struct stele_string){"several threads", 15} : e->thread->text,
	};
	return 0;
}

/* The search found the way back to where `edge` begins. One thread alone cannot meet itself. */
static int cycle_add(struct stele_analysis *a, const struct order_graph *g, uint32_t edge)
{
	struct stele__orders *orders = a->orders;
	const struct order_edge *first = orders->list[edge];
	bool meet = first->several;
	struct stele_lock_order *list;
	size_t count = 1, at;
	int r;

	for (uint32_t node = first->outer->node; node != first->inner->node; count++) {
		const struct order_edge *e = orders->list[g->from[node]];

		meet |= e->several || e->thread_id != first->thread_id;
		node = e->outer->node;
	}
	if (!meet)
		return 0;
	list = calloc(count, sizeof(*list));
	if (!list)
		return -ENOMEM;
	r = order_of(a, first, &list[0]);
	at = count;
	for (uint32_t node = first->outer->node; node != first->inner->node && r == 0;) {
		const struct order_edge *e = orders->list[g->from[node]];

		r = order_of(a, e, &list[--at]);
		node = e->outer->node;
	}
	if (r < 0) {
		free(list);
		return r;
	}
	orders->cycles[orders->cycle_count++] = (struct stele_lock_cycle){list, count};
	return 0;
}

static int orders_search(struct stele_analysis *a, struct order_graph *g)
{
	struct stele__orders *orders = a->orders;
	uint32_t pending = 0, searches = 0;
	int r = 0;

	for (uint32_t i = 0; i < g->nodes; i++)
		if (!g->out_left[i] != !g->in_left[i])
			g->queue[pending++] = i;
	graph_peel(g, pending);
	for (uint32_t i = 0; i < orders->count && r == 0; i++) {
		struct order_edge *e = orders->list[i];

		if (e->gone)
			continue;
		if (searches++ == SEARCHES_MAX || orders->cycle_count == CYCLES_MAX)
			break;
		if (graph_search(g, e->inner->node, e->outer->node))
			r = cycle_add(a, g, i);
		pending = 0;
		graph_drop(g, i, &pending);
		graph_peel(g, pending);
	}
	return r;
}

int stele__orders_finish(struct stele_analysis *a)
{
	struct order_graph graph;
	int r;

	if (!a->orders->count)
		return 0;
	a->orders->cycles = calloc(CYCLES_MAX, sizeof(*a->orders->cycles));
	if (!a->orders->cycles)
		return -ENOMEM;
	r = graph_make(&graph, a->orders);
	if (r == 0)
		r = orders_search(a, &graph);
	graph_done(&graph);
	return r;
}

STELE_EXPORT const struct stele_lock_cycle *
stele_analysis_lock_cycles(const struct stele_analysis *analysis, size_t *ret_count)
{
	*ret_count = analysis->orders->cycle_count;
	return analysis->orders->cycles;
}
