/* SPDX-License-Identifier: MIT */
#include "read/world.h"

#include <string.h>

#include "read/vector.h"

int stele__world_init(struct stele__world *world)
{
	uint32_t none;

	memset(world, 0, sizeof(*world));
	stele__idmap_init(&world->thread_ids);
	stele__idmap_init(&world->goroutine_ids);
	stele__idmap_init(&world->proc_ids);
	stele__idmap_init(&world->task_ids);
	return stele__world_thread(world, STELE_NONE_ID, &none);
}

void stele__world_done(struct stele__world *world)
{
	stele__idmap_done(&world->thread_ids);
	stele__idmap_done(&world->goroutine_ids);
	stele__idmap_done(&world->proc_ids);
	stele__idmap_done(&world->task_ids);
	free(world->threads);
	free(world->goroutines);
	free(world->procs);
	free(world->tasks);
	free(world->opens);
	stele__kept_done(&world->kept);
	memset(world, 0, sizeof(*world));
}

int stele__world_thread(struct stele__world *world, uint64_t id, uint32_t *ret_index)
{
	uint32_t index = stele__world_find_thread(world, id);
	int r;

	if (index == STELE__NOTHING) {
		index = world->thread_count;
		r = stele__vector_reserve(&world->threads, &world->thread_capacity,
					  (uint64_t)index + 1, sizeof(*world->threads));
		if (r >= 0)
			r = stele__idmap_put(&world->thread_ids, id, index + 1);
		if (r < 0)
			return r;
		world->threads[index] = (struct stele__thread){.id = id,
							       .proc_id = STELE_NONE_ID,
							       .goroutine = STELE_NONE_ID,
							       .goroutine_hint = STELE__NOTHING,
							       .proc = STELE__NOTHING};
		world->thread_count++;
	}
	*ret_index = index;
	return 0;
}

int stele__world_add_goroutine(struct stele__world *world, uint64_t id, uint32_t *ret_index)
{
	uint32_t index = world->goroutine_free ? world->goroutine_free - 1 : world->goroutine_count;
	int r = stele__vector_reserve(&world->goroutines, &world->goroutine_capacity,
				      (uint64_t)index + 1, sizeof(*world->goroutines));

	if (r >= 0)
		r = stele__idmap_put(&world->goroutine_ids, id, index + 1);
	if (r < 0)
		return r;
	if (world->goroutine_free)
		world->goroutine_free = world->goroutines[index].regions;
	else
		world->goroutine_count++;
	world->goroutines[index] = (struct stele__goroutine){.id = id};
	*ret_index = index;
	return 0;
}

void stele__world_drop_goroutine(struct stele__world *world, uint32_t index)
{
	struct stele__goroutine *go = &world->goroutines[index];

	while (go->regions)
		stele__world_drop_open(world, &go->regions);
	while (go->stops)
		stele__world_drop_open(world, &go->stops);
	stele__idmap_drop(&world->goroutine_ids, go->id);
	*go = (struct stele__goroutine){.id = STELE_NONE_ID, .regions = world->goroutine_free};
	world->goroutine_free = index + 1;
}

int stele__world_add_proc(struct stele__world *world, uint64_t id, uint32_t *ret_index)
{
	uint32_t index = world->proc_count;
	int r = stele__vector_reserve(&world->procs, &world->proc_capacity, (uint64_t)index + 1,
				      sizeof(*world->procs));

	if (r >= 0)
		r = stele__idmap_put(&world->proc_ids, id, index + 1);
	if (r < 0)
		return r;
	world->procs[index] = (struct stele__proc){.id = id, .holder = STELE__NOTHING};
	world->proc_count++;
	*ret_index = index;
	return 0;
}

int stele__world_add_task(struct stele__world *world, uint64_t id, uint64_t parent, uint32_t name)
{
	uint32_t index = world->task_free ? world->task_free - 1 : world->task_count;
	int r = stele__vector_reserve(&world->tasks, &world->task_capacity, (uint64_t)index + 1,
				      sizeof(*world->tasks));

	if (r >= 0)
		r = stele__idmap_put(&world->task_ids, id, index + 1);
	if (r < 0)
		return r;
	if (world->task_free)
		world->task_free = world->tasks[index].next_free;
	else
		world->task_count++;
	stele__kept_hold(&world->kept, name);
	world->tasks[index] = (struct stele__task){.id = id, .parent = parent, .name = name};
	return 0;
}

void stele__world_drop_task(struct stele__world *world, uint32_t index)
{
	struct stele__task *task = &world->tasks[index];

	stele__idmap_drop(&world->task_ids, task->id);
	stele__kept_release(&world->kept, task->name);
	*task = (struct stele__task){.next_free = world->task_free};
	world->task_free = index + 1;
}

int stele__world_push_open(struct stele__world *world, uint32_t *list, uint64_t id, uint32_t text)
{
	uint32_t index = world->open_free ? world->open_free - 1 : world->open_count;
	int r = stele__vector_reserve(&world->opens, &world->open_capacity, (uint64_t)index + 1,
				      sizeof(*world->opens));

	if (r < 0)
		return r;
	if (world->open_free)
		world->open_free = world->opens[index].next;
	else
		world->open_count++;
	stele__kept_hold(&world->kept, text);
	world->opens[index] = (struct stele__open){.id = id, .text = text, .next = *list};
	*list = index + 1;
	return 0;
}

void stele__world_drop_open(struct stele__world *world, uint32_t *link)
{
	uint32_t index = *link - 1;
	struct stele__open *open = &world->opens[index];

	*link = open->next;
	stele__kept_release(&world->kept, open->text);
	open->next = world->open_free;
	world->open_free = index + 1;
}
