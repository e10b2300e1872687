/* SPDX-License-Identifier: MIT */
#include "read/window.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/tap.h"

/* Gives the bytes 0, 1, 2 … in small pieces. */
struct drip {
	uint64_t at, bytes;
	int error; /* after the last byte */
};

static int64_t drip_read(void *arg, void *buffer, size_t bytes)
{
	struct drip *d = arg;
	size_t n = bytes < 1000 ? bytes : 1000;

	if (n > d->bytes - d->at)
		n = (size_t)(d->bytes - d->at);
	if (!n)
		return d->error;
	for (size_t i = 0; i < n; i++)
		((uint8_t *)buffer)[i] = (uint8_t)(d->at + i);
	d->at += n;
	return (int64_t)n;
}

static void window_slides_over_a_stream(void)
{
	struct drip drip = {.bytes = 3000000};
	struct stele__window w;

	stele__window_open_stream(&w, drip_read, &drip);
	for (uint64_t at = 0; at + 70000 <= drip.bytes; at += 70000) {
		CHECK_EQ(stele__window_need(&w, at + 70000), 1);
		CHECK_EQ(*stele__window_at(&w, at), (uint8_t)at);
		CHECK_EQ(*stele__window_at(&w, at + 69999), (uint8_t)(at + 69999));
		stele__window_drop(&w, at + 70000);
	}
	CHECK(w.buffer_bytes < 1 << 20);
	CHECK_EQ(stele__window_need(&w, drip.bytes), 1);
	CHECK_EQ(stele__window_need(&w, drip.bytes + 1), 0);
	CHECK(w.complete);
	stele__window_done(&w);
}

static void window_huge_announcement_costs_little(void)
{
	struct drip drip = {.bytes = 5000};
	struct stele__window w;

	stele__window_open_stream(&w, drip_read, &drip);
	CHECK_EQ(stele__window_need(&w, UINT64_C(1) << 50), 0);
	CHECK_EQ(w.end, 5000);
	CHECK(w.buffer_bytes <= 1 << 20);
	stele__window_done(&w);
}

static void window_reports_read_errors(void)
{
	struct drip drip = {.bytes = 10, .error = -EIO};
	struct stele__window w;

	stele__window_open_stream(&w, drip_read, &drip);
	CHECK_EQ(stele__window_need(&w, 11), -EIO);
	CHECK_EQ(stele__window_need(&w, 10), 1);
	stele__window_done(&w);
}

static void window_maps_files(void)
{
	char path[] = "/tmp/stele-window-XXXXXX";
	int fd = mkstemp(path);
	struct stele__window w;

	if (!CHECK(fd >= 0 && write(fd, "hello", 5) == 5))
		return;
	close(fd);
	CHECK_EQ(stele__window_open_file(&w, path), 0);
	CHECK_EQ(stele__window_need(&w, 5), 1);
	CHECK_EQ(stele__window_need(&w, 6), 0);
	CHECK_BYTES(stele__window_at(&w, 1), 4, "ello", 4);
	stele__window_done(&w);
	CHECK_EQ(stele__window_open_file(&w, "/nowhere/at/all"), -ENOENT);
	CHECK_EQ(truncate(path, 0), 0);
	CHECK_EQ(stele__window_open_file(&w, path), 0);
	CHECK_EQ(stele__window_need(&w, 1), 0);
	stele__window_done(&w);
	unlink(path);
}

/* Glances and what was given back show the file's bytes all the same, in whatever order. */
static void window_shows_the_file_wherever_it_is_looked_at(void)
{
	enum { BYTES = 3 << 20 };
	char path[] = "/tmp/stele-window-XXXXXX";
	uint8_t *data = malloc(BYTES);
	int fd = mkstemp(path);
	struct stele__window w;
	size_t seen;

	for (size_t i = 0; i < BYTES; i++)
		data[i] = (uint8_t)(i * 2654435761u >> 13);
	if (!CHECK(fd >= 0 && write(fd, data, BYTES) == BYTES))
		return;
	close(fd);
	CHECK_EQ(stele__window_open_file(&w, path), 0);
	for (uint64_t at = 0; at < BYTES; at += at % 40000 < 200 ? 100 : 20000) {
		const uint8_t *got = stele__window_glance(&w, at, &seen);

		CHECK_EQ(seen, BYTES - at < 64 ? BYTES - at : 64);
		CHECK_BYTES(got, seen, data + at, seen);
		CHECK_EQ(*stele__window_glance(&w, at, &seen), data[at]);
	}
	CHECK_BYTES(stele__window_glance(&w, BYTES - 7, &seen), 7, data + BYTES - 7, 7);
	CHECK_EQ(seen, 7);
	/* Two threads' batches in turn, the second one ahead. */
	for (uint64_t at = 0; at + 80000 < BYTES; at += 40000) {
		uint64_t first = at + (at % 80000 ? 0 : 40000);

		CHECK_BYTES(stele__window_at(&w, first), 39990, data + first, 39990);
		stele__window_release(&w, first, first + 39990);
	}
	CHECK_BYTES(stele__window_at(&w, 0), BYTES, data, BYTES);
	stele__window_done(&w);
	unlink(path);
	free(data);
}

TAP_MAIN(TEST(window_slides_over_a_stream), TEST(window_huge_announcement_costs_little),
	 TEST(window_reports_read_errors), TEST(window_maps_files),
	 TEST(window_shows_the_file_wherever_it_is_looked_at))
