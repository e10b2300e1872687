/* SPDX-License-Identifier: MIT */
/* Any bytes that a client sends: they are refused with a sentence, or a request that can be done.
 */
#include "supervise/request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stele_request request;
	const char *refusal = stele__request_parse((const char *)data, size, &request);
	size_t argument = strnlen(request.argument, sizeof(request.argument));

	if (refusal ? !*refusal : argument == sizeof(request.argument))
		abort();
	if (refusal)
		return 0;
	/* What is taken comes from the bytes, and from nowhere else. */
	if (argument > size || memcmp(request.argument, data + size - argument, argument) != 0)
		abort();
	if (request.kind == STELE_REQUEST_SNAPSHOT && argument && request.argument[0] != '/')
		abort();
	if (request.kind != STELE_REQUEST_START && request.events)
		abort();
	return 0;
}
