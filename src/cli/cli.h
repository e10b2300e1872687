/* SPDX-License-Identifier: MIT */
/*
 * What the commands share: exit codes, messages, help. The CLI alone formats messages and chooses
 * exit codes; data goes to stdout, everything else to stderr.
 */
#ifndef STELE_CLI_CLI_H
#define STELE_CLI_CLI_H

#include "base/compiler.h"

enum stele_exit {
	STELE_EXIT_OK = 0,
	STELE_EXIT_FINDINGS = 1,
	STELE_EXIT_USAGE = 2,
	STELE_EXIT_BAD_TRACE = 3, /* not a trace, corrupt or truncated */
	STELE_EXIT_LOSSES = 4,	  /* complete but with losses (--strict) */
	STELE_EXIT_IO = 5,
	/* stele record, as the shell and env(1) do */
	STELE_EXIT_RECORD_FAILED = 125,
	STELE_EXIT_CANNOT_EXECUTE = 126,
	STELE_EXIT_NOT_FOUND = 127,
};

struct stele_command {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv); /* argv[0] is the command's name; returns stele_exit */
};

#define X(name, summary) int stele__cmd_##name(int argc, char **argv);
#include "cli/commands.def"
#undef X

/* "stele: text\n" on stderr. */
void stele__complain(const char *format, ...) STELE_PRINTF(1, 2);

/* Is this a terminal whose user wants colours? */
bool stele__wants_color(int fd);

/*
 * The value of argv[*i] if it is "--name=VALUE", or of "--name VALUE" or "-x VALUE", which moves
 * *i; "" if there is none. letter: "-x" or NULL. NULL: it is another option.
 */
const char *stele__option_value(int argc, char **argv, int *i, const char *name,
				const char *letter);

/* A usage error: the text, then "see 'stele COMMAND --help'"; returns STELE_EXIT_USAGE. */
int stele__usage_error(const char *command, const char *format, ...) STELE_PRINTF(2, 3);

#endif
