/* SPDX-License-Identifier: MIT */
/* stele raw: binary to text, entry by entry. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "format/textform.h"

static const char raw_help[] =
	"usage: stele raw [--exact] FILE|-\n"
	"\n"
	"Prints every entry of a trace as it stands in the file, one a line, on standard output:\n"
	"a first line 'Trace Go1.NN', then what 'go tool trace -d=wire' prints too. It is what\n"
	"'stele assemble' reads. Nothing is interpreted or checked, so broken traces can be\n"
	"looked at, up to the damage.\n"
	"FILE is a trace of Go 1.22 or newer, or of Stele; - is standard input.\n"
	"\n"
	"options:\n"
	"  --exact     an integer that takes more bytes than it needs is shown with its width,\n"
	"              as in size=24/10; 'stele assemble' then gives the same file, bit by bit\n"
	"  -h, --help  prints this help\n"
	"\n"
	"exit status: 0 done; 2 wrong usage; 3 no trace, damaged or cut off (what lies before is\n"
	"printed, and the place of the damage); 5 reading or writing failed\n";

static void raw_complain(const struct stele_input *input, const struct stele_cursor *c,
			 const uint8_t *entry, unsigned version)
{
	const uint8_t *data = input->data;
	const struct stele_spec *spec = stele__spec(*entry);
	const size_t begin = (size_t)(entry - data), at = (size_t)(c->at - data);

	if (c->error == STELE_E_UNSUPPORTED && spec->name && *entry != STELE_EV_NONE)
		stele__complain("%s: byte %zu: %s needs the header of Go 1.%u, this is 1.%u",
				input->name, begin, spec->name, spec->since, version);
	else if (c->error == STELE_E_UNSUPPORTED)
		stele__complain("%s: byte %zu: there is no entry with the number %u", input->name,
				begin, *entry);
	else if (c->error == STELE_E_TRUNCATED)
		stele__complain("%s: byte %zu: the trace ends in the middle of the %s that "
				"began at byte %zu",
				input->name, at, spec->name, begin);
	else
		stele__complain("%s: byte %zu: an integer of the %s that began at byte %zu has "
				"more than 64 bits",
				input->name, at, spec->name, begin);
}

static int raw_print(const struct stele_input *input, unsigned version, bool exact,
		     struct stele_output *output)
{
	const uint8_t *data = input->data;
	struct stele_cursor c =
		stele__cursor(data + STELE_HEADER_BYTES, input->bytes - STELE_HEADER_BYTES);
	struct stele_text_out out;
	const uint8_t *begin = c.at;
	struct stele_wire_entry entry;
	int result;

	stele__text_out_init(&out, stele__outfile_write, output);
	stele__text_put_header(&out, version);
	while ((result = stele__entry_next(&c, version, &entry)) > 0 && !out.error) {
		stele__text_put_entry(&out, &entry, exact);
		begin = c.at;
	}
	if (stele__text_out_flush(&out) == 0 && result < 0) {
		raw_complain(input, &c, begin, version);
		return STELE_EXIT_BAD_TRACE;
	}
	return STELE_EXIT_OK; /* a failure of the output is told when that is closed */
}

static int raw_run(const struct stele_input *input, bool exact)
{
	int version = input->bytes < STELE_HEADER_BYTES ? STELE_E_NOT_TRACE
							: stele__header_get(input->data);
	struct stele_output output;
	int result, closed;

	if (version == STELE_E_UNSUPPORTED)
		stele__complain("%s: a trace of another Go version; 1.22 to 1.26 are known",
				input->name);
	else if (version < 0)
		stele__complain("%s: not a Go or Stele execution trace", input->name);
	if (version < 0)
		return STELE_EXIT_BAD_TRACE;
	stele__outfile_open_text(&output);
	result = raw_print(input, (unsigned)version, exact, &output);
	closed = stele__outfile_close(&output);
	return closed ? closed : result;
}

int stele__cmd_raw(int argc, char **argv)
{
	static const struct option options[] = {
		{"exact", no_argument, NULL, 'e'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct stele_input input;
	bool exact = false;
	int option, result;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (option == 'h')
			return fputs(raw_help, stdout) < 0 ? STELE_EXIT_IO : STELE_EXIT_OK;
		if (option != 'e')
			return stele__usage_error("raw", "unknown option '%s'", argv[optind - 1]);
		exact = true;
	}
	if (optind + 1 != argc)
		return stele__usage_error("raw", "one file is needed");
	result = stele__input_open_or_complain(argv[optind], &input);
	if (result)
		return result;
	result = raw_run(&input, exact);
	stele__input_close(&input);
	return result;
}
