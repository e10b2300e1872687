/* SPDX-License-Identifier: MIT */
/*
 * The values of counters, as the strings that Go's viewers show. They are mostly distinct, so they
 * are written at once and forgotten; a small cache keeps those that come again and again short.
 */
#include <errno.h>
#include <stdlib.h>

#include "drain/machine.h"

#define DIGITS_MAX 24

static size_t decimal_put(char *end, int64_t signed_value)
{
	uint64_t value = signed_value < 0 ? 0 - (uint64_t)signed_value : (uint64_t)signed_value;
	char *at = end;

	do {
		*--at = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	if (signed_value < 0)
		*--at = '-';
	return (size_t)(end - at);
}

int stele__decimals_init(struct stele_decimals *decimals)
{
	decimals->data = malloc(STELE_BATCH_BUFFER_BYTES);
	return decimals->data ? 0 : -ENOMEM;
}

void stele__decimals_done(struct stele_decimals *decimals)
{
	free(decimals->data);
}

static void decimal_open(struct stele_drain *d)
{
	struct stele_decimals *decimals = &d->tables.decimals;

	decimals->batch = stele__batch(decimals->data, STELE_BATCH_BUFFER_BYTES);
	stele__batch_begin(&decimals->batch, d->generation, STELE_NONE_ID, d->floor);
}

uint32_t stele__intern_decimal(struct stele_drain *d, int64_t value)
{
	struct stele_decimals *decimals = &d->tables.decimals;
	struct stele_decimal *known = &decimals->known[(uint64_t)value % STELE_DECIMALS];
	char digits[DIGITS_MAX];
	size_t bytes;
	uint32_t wire;

	if (known->generation == d->generation && known->value == value)
		return known->wire;
	bytes = decimal_put(digits + DIGITS_MAX, value);
	wire = ++d->tables.string_ids;
	if (!stele__batch_is_open(&decimals->batch))
		decimal_open(d);
	if (stele__batch_string(&decimals->batch, wire, digits + DIGITS_MAX - bytes, bytes) < 0) {
		stele__outlet_batch(&d->outlet, &decimals->batch);
		decimal_open(d);
		stele__batch_string(&decimals->batch, wire, digits + DIGITS_MAX - bytes, bytes);
	}
	*known = (struct stele_decimal){value, d->generation, wire};
	return wire;
}

void stele__decimals_write(struct stele_drain *d)
{
	struct stele_decimals *decimals = &d->tables.decimals;

	if (stele__batch_is_open(&decimals->batch))
		stele__outlet_batch(&d->outlet, &decimals->batch);
	decimals->batch = (struct stele_batch){0};
}
