/* SPDX-License-Identifier: MIT */
/* stele status: which processes are being recorded, and how. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/talk.h"
#include "stele/version.h"
#include "supervise/rendezvous.h"

#define STATUS_PLACES_MAX 256

static const char status_help[] =
	"usage: stele status [PID…]\n"
	"\n"
	"Tells of the processes PID, or of all that are being recorded by this user: what is\n"
	"recorded, how many events there are and were lost, where the trace goes, and what a\n"
	"flight recorder ('stele record --ring') keeps and has written.\n"
	"PID is a program's process id or that of its 'stele record'.\n"
	"\n"
	"options:\n"
	"  -h, --help  print this\n"
	"\n"
	"exit status:\n"
	"  0 done, also if nothing is being recorded; 2 wrong usage; 5 nobody records PID\n"
	"\n"
	"examples:\n"
	"  stele status\n"
	"  stele status $(pidof server)\n";

static int status_one(int pid, bool *first)
{
	char answer[STELE_RENDEZVOUS_BYTES_MAX];
	int status = stele__talk(pid, "status", answer, sizeof(answer));

	if (status == STELE_EXIT_OK) {
		printf("%s%s", *first ? "" : "\n", answer);
		*first = false;
	}
	return status;
}

static int status_all(void)
{
	struct stele_rendezvous *places = malloc(STATUS_PLACES_MAX * sizeof(*places));
	int count = places ? stele__rendezvous_list(places, STATUS_PLACES_MAX) : -ENOMEM;
	int status = STELE_EXIT_OK;
	bool first = true;

	if (count < 0) {
		stele__complain("cannot look for recorders: %s", stele_strerror(count));
		status = STELE_EXIT_IO;
	} else if (count == 0) {
		stele__complain("nothing is being recorded by you");
	}
	for (int i = 0; i < count; i++) {
		int one = status_one(places[i].program, &first);

		status = status ? status : one;
	}
	free(places);
	return status;
}

int stele__cmd_status(int argc, char **argv)
{
	int status = STELE_EXIT_OK;
	bool first = true;

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-h") || !strcmp(argv[i], "--help")) {
			fputs(status_help, stdout);
			return STELE_EXIT_OK;
		}
		if (argv[i][0] == '-')
			return stele__usage_error("status", "there is no option '%s'", argv[i]);
		if (!stele__talk_pid(argv[i]))
			return stele__usage_error("status", "'%s' is no process id", argv[i]);
	}
	if (argc == 1)
		return status_all();
	for (int i = 1; i < argc; i++) {
		int one = status_one(stele__talk_pid(argv[i]), &first);

		status = status ? status : one;
	}
	return status;
}
