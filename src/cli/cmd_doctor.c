/* SPDX-License-Identifier: MIT */
/* stele doctor: what can be recorded here, and what will be missing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/talk.h"
#include "cli/verdict.h"
#include "supervise/diagnosis.h"

static const char doctor_help[] =
	"usage: stele doctor [--json] [CMD [ARG…] | PID]\n"
	"\n"
	"Tells what can be recorded on this machine, and of the program CMD, without running it, "
	"or\n"
	"of the process PID: a line a subject, what reports will lack, and what to do about it.\n"
	"\n"
	"options:\n"
	"  --json      one JSON object: \"findings\", each with health (good, less, bad), "
	"subject,\n"
	"              what, and remedy if there is one\n"
	"  -h, --help  prints this help\n"
	"\n"
	"health:\n"
	"  ok          as it should be\n"
	"  less        recording works, but something will be missing, or it is slower\n"
	"  NO          nothing can be recorded\n"
	"\n"
	"exit status: 0 it can be recorded; 1 it cannot; 2 wrong usage\n"
	"\n"
	"examples:\n"
	"  stele doctor\n"
	"  stele doctor redis-server\n"
	"  stele doctor $(pidof redis-server)\n";

static void doctor_text(const struct stele_finding *findings, size_t count)
{
	static const char *const words[] = {
		[STELE_HEALTH_GOOD] = "ok",
		[STELE_HEALTH_LESS] = "less",
		[STELE_HEALTH_BAD] = "NO",
	};

	for (size_t i = 0; i < count; i++) {
		const struct stele_finding *f = &findings[i];

		printf("%-5s %-10s %s\n", words[f->health], f->subject, f->what);
		if (f->remedy[0])
			printf("%17s→ %s\n", "", f->remedy);
	}
}

static void doctor_json(const struct stele_finding *findings, size_t count)
{
	static const char *const words[] = {
		[STELE_HEALTH_GOOD] = "good",
		[STELE_HEALTH_LESS] = "less",
		[STELE_HEALTH_BAD] = "bad",
	};

	fputs("{\"schema\": 1, \"findings\": [", stdout);
	for (size_t i = 0; i < count; i++) {
		const struct stele_finding *f = &findings[i];

		printf("%s\n{\"health\": \"%s\", \"subject\": \"%s\", \"what\": ", i ? "," : "",
		       words[f->health], f->subject);
		stele__json_string(stdout, f->what, strlen(f->what));
		if (f->remedy[0]) {
			fputs(", \"remedy\": ", stdout);
			stele__json_string(stdout, f->remedy, strlen(f->remedy));
		}
		fputc('}', stdout);
	}
	fputs("]}\n", stdout);
}

int stele__cmd_doctor(int argc, char **argv)
{
	struct stele_finding findings[STELE_FINDINGS_MAX];
	size_t count = 0;
	bool json = false, bad = false;
	int i = 1, pid;

	for (; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			return fputs(doctor_help, stdout) < 0 ? STELE_EXIT_IO : STELE_EXIT_OK;
		if (strcmp(argv[i], "--json") != 0)
			return stele__usage_error("doctor", "unknown option '%s'", argv[i]);
		json = true;
	}
	stele__diagnose_machine(findings, &count);
	pid = i < argc ? stele__talk_pid(argv[i]) : 0;
	if (pid && !stele__diagnose_process(pid, findings, &count))
		return stele__usage_error("doctor", "there is no process %d", pid);
	if (!pid && i < argc)
		stele__diagnose_program(argv[i], getenv("PATH"), findings, &count);
	if (json)
		doctor_json(findings, count);
	else
		doctor_text(findings, count);
	for (size_t k = 0; k < count; k++)
		bad |= findings[k].health == STELE_HEALTH_BAD;
	return fflush(stdout) ? STELE_EXIT_IO : bad ? STELE_EXIT_FINDINGS : STELE_EXIT_OK;
}
