/* SPDX-License-Identifier: MIT */
#include "supervise/request.h"

#include <string.h>

#include "supervise/eventclasses.h"

static const char *const request_words[] = {
	[STELE_REQUEST_STATUS] = "status",
	[STELE_REQUEST_SNAPSHOT] = "snapshot",
	[STELE_REQUEST_START] = "start",
	[STELE_REQUEST_STOP] = "stop",
};

/* The word that it begins with. False: there is no such word. */
static bool request_word(const char *data, size_t bytes, struct stele_request *request)
{
	for (size_t i = 0; i < STELE_ARRAY_LENGTH(request_words); i++) {
		if (strlen(request_words[i]) == bytes && !memcmp(request_words[i], data, bytes)) {
			request->kind = (enum stele_request_kind)i;
			return true;
		}
	}
	return false;
}

static const char *request_check(struct stele_request *request)
{
	const char *argument = request->argument;

	switch (request->kind) {
	case STELE_REQUEST_SNAPSHOT:
		return !*argument || *argument == '/' ? NULL : "the path is not absolute";
	case STELE_REQUEST_START:
		if (!*argument || stele__classes_parse(argument, &request->events))
			return NULL;
		return "a class of events is one of " STELE_CLASSES_TEXT;
	default:
		return *argument ? "it takes no argument" : NULL;
	}
}

const char *stele__request_parse(const char *data, size_t bytes, struct stele_request *ret_request)
{
	const char *blank = memchr(data, ' ', bytes);
	size_t word = blank ? (size_t)(blank - data) : bytes;
	size_t rest = blank ? bytes - word - 1 : 0;

	*ret_request = (struct stele_request){0};
	if (!request_word(data, word, ret_request))
		return "the recorder does not know this request: is it of another version?";
	if (rest >= sizeof(ret_request->argument))
		return "the argument is too long";
	if (rest)
		memcpy(ret_request->argument, blank + 1, rest);
	if (strlen(ret_request->argument) != rest)
		return "the argument holds a zero byte";
	return request_check(ret_request);
}
