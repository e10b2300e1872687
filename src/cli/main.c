/* SPDX-License-Identifier: MIT */
/* The program: finds the command and runs it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "stele/version.h"

static const struct stele_command commands[] = {
#define X(name, summary) {#name, summary, stele__cmd_##name},
#include "cli/commands.def"
#undef X
	{NULL, NULL, NULL},
};

void stele__complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("stele: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

bool stele__wants_color(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

const char *stele__option_value(int argc, char **argv, int *i, const char *name, const char *letter)
{
	const char *arg = argv[*i];
	size_t length = strlen(name);

	if (!strncmp(arg, name, length) && arg[length] == '=')
		return arg + length + 1;
	if (strcmp(arg, name) && (!letter || strcmp(arg, letter)))
		return NULL;
	return *i + 1 < argc ? argv[++*i] : "";
}

int stele__usage_error(const char *command, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "stele %s: ", command);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\nsee 'stele %s --help'\n", command);
	va_end(args);
	return STELE_EXIT_USAGE;
}

static void help(FILE *out)
{
	fputs("usage: stele COMMAND [OPTION…] [ARGUMENT…]\n\n"
	      "Records and reads execution traces of C programs, in the format of Go's tracer.\n\n"
	      "commands:\n",
	      out);
	for (const struct stele_command *c = commands; c->name; c++)
		fprintf(out, "  %-11s %s\n", c->name, c->summary);
	fputs("\n'stele COMMAND --help' explains one; start with: stele record -- PROGRAM\n", out);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		help(stderr);
		return STELE_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		help(stdout);
		return STELE_EXIT_OK;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("stele %s\n", STELE_VERSION);
		return STELE_EXIT_OK;
	}
	for (const struct stele_command *c = commands; c->name; c++)
		if (!strcmp(c->name, argv[1]))
			return c->run(argc - 1, argv + 1);
	stele__complain("there is no command '%s'; 'stele --help' lists them", argv[1]);
	return STELE_EXIT_USAGE;
}
