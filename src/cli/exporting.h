/* SPDX-License-Identifier: MIT */
/* A command that writes a trace in the format of another tool: export, and those of one format. */
#ifndef STELE_CLI_EXPORTING_H
#define STELE_CLI_EXPORTING_H

struct stele__exporting {
	const char *name;
	void (*help)(void);
	const char *to; /* NULL: --to says it */
	const char
		*extension; /* the output is FILE.KIND.EXTENSION unless said; NULL: must be said */
};

/* Exit status. */
int stele__exporting(const struct stele__exporting *command, int argc, char **argv);

#endif
