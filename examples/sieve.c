/* SPDX-License-Identifier: MIT */
/*
 * The prime sieve over channels: a fiber for each prime, each of which passes on what it does not
 * divide.
 *
 * usage: sieve [COUNT]
 */
#include <stdio.h>
#include <stdlib.h>

#include <stele/fiber.h>

struct stage {
	struct stele_channel *in, *out;
	int prime;
};

static void generate(void *arg)
{
	int i = 2;

	while (stele_channel_send(arg, &i))
		i++;
}

static void filter(void *arg)
{
	struct stage *s = arg;
	int value;

	while (stele_channel_receive(s->in, &value))
		if (value % s->prime && !stele_channel_send(s->out, &value))
			break;
}

static struct stele_channel *channel(void)
{
	struct stele_channel *c = stele_channel_new(sizeof(int), 0);

	if (!c) {
		fprintf(stderr, "sieve: no memory\n");
		exit(1);
	}
	return c;
}

static void sieve(void *arg)
{
	int count = *(int *)arg;
	struct stage *stages = stele_heap_alloc((size_t)count * sizeof(*stages));
	struct stele_channel *in = channel();
	struct stele_fiber **fibers =
		stele_heap_alloc((size_t)(count + 1) * sizeof(struct stele_fiber *));

	fibers[count] = stele_fiber_spawn_with(0, "generator", generate, in);
	for (int i = 0; i < count; i++) {
		struct stage *s = &stages[i];

		*s = (struct stage){.in = in, .out = channel()};
		stele_channel_receive(in, &s->prime);
		fibers[i] = stele_fiber_spawn_with(0, "filter", filter, s);
		in = s->out;
	}
	printf("prime %d is %d\n", count, stages[count - 1].prime);
	/* Each end that is closed ends who uses it. */
	for (int i = 0; i < count; i++)
		stele_channel_close(stages[i].in);
	stele_channel_close(in);
	for (int i = 0; i <= count; i++)
		stele_fiber_join(fibers[i]);
	for (int i = 0; i < count; i++)
		stele_channel_free(stages[i].in);
	stele_channel_free(in);
	stele_heap_free(stages);
	stele_heap_free(fibers);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1000;

	if (count < 1) {
		fprintf(stderr, "usage: sieve [COUNT]\n");
		return 2;
	}
	return stele_fiber_run(NULL, sieve, &count) < 0;
}
