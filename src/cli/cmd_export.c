/* SPDX-License-Identifier: MIT */
/* stele export: a trace in the format of another tool. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/source.h"
#include "cli/verdict.h"
#include "export/export.h"
#include "stele/version.h"

struct export_options {
	const char *path, *output, *to, *kind;
	bool force;
};

static void export_help(void)
{
	fputs("usage: stele export --to=FORMAT [OPTION…] -o OUT FILE\n\n"
	      "Writes a trace in the format of another tool. FILE may be '-' (stdin), and may be\n"
	      "compressed by gzip or zstd.\n\n"
	      "options:\n"
	      "  --to=FORMAT      one of the formats below\n"
	      "  --kind=KIND      what the stacks of folded are of, see below\n"
	      "  -o, --output=OUT where it goes; '-' is standard output\n"
	      "  -f, --force      replace OUT if it exists\n"
	      "  -h, --help       print this\n\n"
	      "formats:\n",
	      stdout);
	for (size_t i = 0; stele__formats[i]; i++)
		printf("  %-10s %s\n", stele__formats[i]->name, stele__formats[i]->summary);
	fputs("\nkinds:\n"
	      "  sync       waits for locks, conditions, channels (default)\n"
	      "  wait       all waits\n"
	      "  net        waits for the network\n"
	      "  syscall    system calls\n"
	      "  sched      ready, but not running\n"
	      "  cpu        CPU samples; the weight is their number\n\n"
	      "Weights are ns of what had ended before the trace did, as in Go's profiles.\n\n"
	      "exit status:\n"
	      "  0 done; 2 usage; 3 the trace is corrupt or truncated (what came before is in "
	      "OUT);\n"
	      "  5 a file cannot be read or written\n\n"
	      "examples:\n"
	      "  stele export --to=perfetto -o xz.pftrace xz.trace\n"
	      "  stele export --to=folded --kind=syscall -o - xz.trace | flamegraph.pl >xz.svg\n",
	      stdout);
}

static int export_all(struct stele__export *e, struct stele__source *source,
		      struct stele_reader *reader)
{
	const struct stele_event *event;
	int r = stele__export_start(e);

	while (r >= 0 && stele__source_next(source, &event) > 0)
		r = e->format->event(e, reader, event);
	return r < 0 ? r : e->format->finish(e);
}

/* Opens OUT; the trace being read is never overwritten. */
static int export_open(const struct export_options *options, const struct stele__format *format,
		       struct stele_output *ret_output)
{
	struct stele_input input = {0};
	struct stat st;
	bool known = strcmp(options->path, "-") && stat(options->path, &st) == 0;

	if (!format->binary && !strcmp(options->output, "-")) {
		stele__outfile_open_text(ret_output);
		return 0;
	}
	if (known) {
		input.device = st.st_dev;
		input.inode = st.st_ino;
	}
	return stele__outfile_open(options->output, options->force, known ? &input : NULL,
				   ret_output);
}

static int export_run(const struct export_options *options, const struct stele__format *format)
{
	static struct stele_output output; /* too big for the stack */
	struct stele__export e = {
		.format = format,
		.write = stele__outfile_write,
		.arg = &output,
		.kind = options->kind,
	};
	struct stele__source *source;
	struct stele_reader *reader;
	int exit = stele__source_open(options->path, NULL, &source, &reader);
	int r, closed;

	if (exit)
		return exit;
	exit = export_open(options, format, &output);
	if (exit)
		goto out;
	r = export_all(&e, source, reader);
	stele__export_free(&e);
	closed = stele__outfile_close(&output);
	if (r < 0 && !closed) {
		stele__complain("%s: %s", options->path, stele_strerror(r));
		closed = STELE_EXIT_IO;
	}
	stele__verdict_complain(options->path, stele_reader_diag(reader));
	exit = closed ? closed : stele__verdict_exit(reader, NULL, false);
out:
	stele__source_close(source);
	return exit;
}

static bool export_has_kind(const struct stele__format *format, const char *kind)
{
	for (size_t i = 0; format->kinds && format->kinds[i]; i++)
		if (!strcmp(format->kinds[i], kind))
			return true;
	return false;
}

static int export_check(const struct export_options *options)
{
	const struct stele__format *format;

	if (!options->to)
		return stele__usage_error("export", "which format? (--to)");
	format = stele__format_find(options->to);
	if (!format)
		return stele__usage_error("export", "there is no format '%s'", options->to);
	if (options->kind && !export_has_kind(format, options->kind))
		return stele__usage_error("export", "%s has no kind '%s'", options->to,
					  options->kind);
	if (!options->path)
		return stele__usage_error("export", "which file?");
	if (!options->output)
		return stele__usage_error("export", "where to? (-o)");
	return export_run(options, format);
}

/* The value of "--name=VALUE", "--name VALUE" or "-x VALUE"; NULL if it is another option. */
static const char *export_value(int argc, char **argv, int *i, const char *name, const char *letter)
{
	const char *arg = argv[*i];
	size_t length = strlen(name);

	if (!strncmp(arg, name, length) && arg[length] == '=')
		return arg + length + 1;
	if (strcmp(arg, name) && (!letter || strcmp(arg, letter)))
		return NULL;
	return *i + 1 < argc ? argv[++*i] : "";
}

int stele__cmd_export(int argc, char **argv)
{
	struct export_options options = {0};
	bool only_files = false;
	const char *value;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];

		if (only_files || arg[0] != '-' || !arg[1]) {
			if (options.path)
				return stele__usage_error("export", "one file at a time");
			options.path = arg;
		} else if (!strcmp(arg, "--help") || !strcmp(arg, "-h")) {
			export_help();
			return STELE_EXIT_OK;
		} else if ((value = export_value(argc, argv, &i, "--to", NULL))) {
			options.to = value;
		} else if ((value = export_value(argc, argv, &i, "--kind", NULL))) {
			options.kind = value;
		} else if ((value = export_value(argc, argv, &i, "--output", "-o"))) {
			options.output = value;
		} else if (!strcmp(arg, "-f") || !strcmp(arg, "--force")) {
			options.force = true;
		} else if (!strcmp(arg, "--")) {
			only_files = true;
		} else {
			return stele__usage_error("export", "unknown option '%s'", arg);
		}
	}
	return export_check(&options);
}
