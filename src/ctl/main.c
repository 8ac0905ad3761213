/*
 * main.c - promptctl: the table of commands, and which row is meant.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/str.h"
#include "ctl/ctl.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unversioned"
#endif

#define ARENA_MAX ((size_t)512 << 20) /* a report of every supplier over years */

static const struct ctl_command commands[] = {
	{"new", "NAME", "write a commented starting file NAME.prompt", new_run, CTL_NOTHING},
	{"lint", "FILE|DIRECTORY… [--config FILE]", "say what is wrong with .prompt files, and where", lint_run, CTL_NOTHING},
	{"render", "FILE [--check] <INPUT", "print the messages that a .prompt file makes of an input", render_run, CTL_NOTHING},
	{"call", "FILE [--config FILE] [--stream | --events] [--verbose] <INPUT", "send a request through the whole pipeline", call_run, CTL_NOTHING},
	{"configtest", "[--config FILE]", "check the settings file and the endpoints it names", configtest_run, CTL_NOTHING},
	{"settings", "[--sample | --manual]", "list every setting with its default", settings_run, CTL_NOTHING},
	{"doctor", "[--config FILE]", "look at everything that has to be right for the pool to answer", doctor_run, CTL_DATABASE},
	{"migrate", "[--sql DIRECTORY] [--worker LOGIN]", "bring the database to this version", migrate_run, CTL_DATABASE},
	{"supplier add", "--tier TIER [--organization UUID] [--id UUID]", "add a supplier and print its id", supplier_add, CTL_DATABASE},
	{"supplier tier", "ID TIER", "put a supplier on another plan", supplier_tier, CTL_DATABASE},
	{"supplier list", "[--json | --csv]", "list the suppliers", supplier_list, CTL_DATABASE | CTL_TABLE},
	{"key create", "SUPPLIER [--name NAME]", "make a key for a supplier and print it, once", key_create, CTL_DATABASE},
	{"key revoke", "ID", "end a key", key_revoke, CTL_DATABASE},
	{"key list", "[SUPPLIER] [--json | --csv]", "list the keys", key_list, CTL_DATABASE | CTL_TABLE},
	{"model list", "[--json | --csv]", "list the models with their prices for a million tokens", model_list, CTL_DATABASE | CTL_TABLE},
	{"model add", "PROVIDER/MODEL --input USD --output USD [--cached USD] [--context TOKENS] [--no-streams]", "make a model known, with its prices", model_add,
	 CTL_DATABASE},
	{"model price", "PROVIDER/MODEL --input USD --output USD [--cached USD]", "give a model other prices, from the next request on", model_price, CTL_DATABASE},
	{"model disable", "PROVIDER/MODEL", "refuse a model from now on", model_disable, CTL_DATABASE},
	{"model enable", "PROVIDER/MODEL", "take a model again", model_enable, CTL_DATABASE},
	{"usage", "[SUPPLIER] [--from DATE] [--to DATE] [--json | --csv]", "report usage by day, feature and model", usage_run, CTL_DATABASE | CTL_TABLE},
	{"invoice", "--month YYYY-MM [--supplier UUID] [--json | --csv]", "print a month's line items, which add up to the ledger", invoice_run,
	 CTL_DATABASE | CTL_TABLE},
	{"refused", "[SUPPLIER] [--from DATE] [--to DATE] [--json | --csv]", "report what was refused, by day, feature and reason", refused_run,
	 CTL_DATABASE | CTL_TABLE},
	{"correct", "ROW|REQUEST --reason TEXT [--prompt-tokens N] [--cached-tokens N] [--completion-tokens N]", "say what a call truly used, after it ended",
	 correct_run, CTL_DATABASE},
	{"ledger archive", "YYYY-MM", "take a month that is over out of the ledger", ledger_archive, CTL_DATABASE},
	{"audit", "[--from DATE] [--to DATE] [--json | --csv]", "compare the ledger with the counters", audit_run, CTL_DATABASE | CTL_TABLE},
};

static void print_help(FILE *out)
{
	fputs("usage: promptctl COMMAND [OPTION…] [OPERAND…]\n\n", out);
	for (size_t i = 0; i < COUNT_OF(commands); i++)
		fprintf(out, "  %-14s  %s\n", commands[i].name, commands[i].about);
	fputs("\npromptctl COMMAND --help says more. Exit status: 0 done, 1 the answer is no, 2 wrong usage or it cannot be done.\n", out);
}

/* How many words of `argv` the name takes; 0 where it is another. */
static int words_matched(const char *name, int argc, char **argv)
{
	const char *space = strchr(name, ' ');
	size_t first = space == NULL ? strlen(name) : (size_t)(space - name);

	if (argc < 1 || strlen(argv[0]) != first || strncmp(argv[0], name, first) != 0)
		return 0;
	if (space == NULL)
		return 1;
	return argc > 1 && str_eq(argv[1], space + 1) ? 2 : 0;
}

static const struct ctl_command *find(int argc, char **argv, int *words)
{
	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		*words = words_matched(commands[i].name, argc, argv);
		if (*words > 0)
			return &commands[i];
	}
	return NULL;
}

/* Whether the word opens two-word commands; prints them. */
static bool print_family(FILE *out, const char *word)
{
	size_t n = strlen(word);
	bool found = false;

	for (size_t i = 0; i < COUNT_OF(commands); i++) {
		if (!str_starts(commands[i].name, word) || commands[i].name[n] != ' ')
			continue;
		fprintf(out, "%s promptctl %s %s\n", found ? "      " : "usage:", commands[i].name, commands[i].synopsis);
		found = true;
	}
	return found;
}

static int written(int status)
{
	return fflush(stdout) != 0 || ferror(stdout) ? (int)ctl_cannot("standard output: cannot be written") : status;
}

static int run(const struct ctl_command *command, int argc, char **argv, const char *database)
{
	struct ctl ctl = {.command = command, .arena = arena_new(ARENA_MAX), .argc = argc, .argv = argv, .database = database};
	int status;

	if (ctl.arena == NULL)
		return ctl_cannot("out of memory");
	status = written(command->run(&ctl));
	arena_free(ctl.arena);
	return status;
}

static int dispatch(int argc, char **argv, const char *database)
{
	int words;
	const struct ctl_command *command = find(argc, argv, &words);
	bool help = argc > 1 && str_eq(argv[1], "--help");

	if (command != NULL) {
		argv[words - 1] = (char *)"promptctl"; /* the name that getopt speaks in */
		return run(command, argc - words + 1, argv + words - 1, database);
	}
	if (argc < 1) {
		print_help(stderr);
		return CTL_CANNOT;
	}
	if (print_family(help ? stdout : stderr, argv[0]))
		return written(help ? CTL_DONE : CTL_CANNOT);
	return ctl_cannot("there is no command \"%s\": promptctl --help lists them", argv[0]);
}

/* Of the three standard streams, one that came closed would be the next file or connection that is opened: what is printed would go to the database.
 * In its place comes what can no more be read, or written, than it. */
static bool fill_streams(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
			return false;
	return true;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{"database", required_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	const char *database = "";
	int option;

	if (!fill_streams())
		return CTL_CANNOT;
	if (secret_keep() != RC_OK) /* the keys of providers, the database's password */
		ctl_cannot("core files cannot be turned off: %s", strerror(errno));
	argv[0] = (char *)"promptctl";
	while ((option = getopt_long(argc, argv, "+h", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			print_help(stdout);
			return written(CTL_DONE);
		case 'v':
			puts("promptctl " PACKAGE_VERSION);
			return written(CTL_DONE);
		case 'd':
			database = optarg;
			break;
		default:
			print_help(stderr);
			return CTL_CANNOT;
		}
	}
	return dispatch(argc - optind, argv + optind, database);
}
