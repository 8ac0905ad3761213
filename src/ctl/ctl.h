/*
 * ctl.h - what the commands of promptctl share: their row in the table, how options are read, how results are printed.
 *
 * A command is one function in a file of its own and one row in main.c. It reads its options, does one thing, and returns an exit status that a
 * script can act on. What a person asked for goes to standard output; everything that is about it (errors, notes) goes to standard error.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/settings.h"
#include "port/db_session.h"
#include "prompt/endpoint.h"

enum ctl_status {
	CTL_DONE = 0,   /* done; the answer is yes */
	CTL_NO = 1,     /* done; the answer is no: errors or differences were found */
	CTL_CANNOT = 2, /* wrong usage, or it could not be done */
};

/* How a table is printed. */
enum ctl_form { CTL_TEXT, CTL_JSON, CTL_CSV };

struct ctl;

/* What a command takes beside its own options. */
enum ctl_takes {
	CTL_NOTHING = 0,
	CTL_DATABASE = 1, /* --database */
	CTL_TABLE = 2,    /* --json, --csv and --format */
};

struct ctl_command {
	const char *name;     /* "lint", or "key create" */
	const char *synopsis; /* what follows the name */
	const char *about;    /* a line for the list */
	enum ctl_status (*run)(struct ctl *ctl);
	unsigned takes;       /* enum ctl_takes, together */
};

/* One call of one command. */
struct ctl {
	const struct ctl_command *command;
	struct arena *arena; /* lives as long as the call */
	int argc;            /* the words behind the command's name; argv[0] is the program */
	char **argv;
	const char *database; /* --database; "" for the PG* environment */
	enum ctl_form form;   /* after ctl_options: what --json or --csv asked for */
	char **operands;      /* after ctl_options: argv's words that are no options */
	unsigned operand_count;
	enum ctl_status status; /* after ctl_options said no: what to return */
};

/* Options are long ones: "--name" sets *flag, "--name VALUE" sets *text. */
struct ctl_option {
	const char *name;
	const char *value; /* how help names the value; NULL for a flag */
	const char *about;
	const char **text;
	bool *flag;
};

#define CTL_OPTIONS_MAX 8

/* "2026-11" as its first day, "2026-11-01"; false for what is no month. */
#define CTL_DAY_SIZE 11
bool ctl_month(const char *text, char first_day[CTL_DAY_SIZE]) MUST_CHECK;

/* Whether --from and --to, where they are given, are days in that form, and in that order: the database would take more, each server in its own way. False when the
 * command is over, as below. */
bool ctl_days(struct ctl *ctl, const char *const days[2]) MUST_CHECK;

/* Reads the options, which may stand before, between and behind the operands. False when the command is over: help was printed, or the usage is wrong
 * (and has been said); ctl->status says which. */
bool ctl_options(struct ctl *ctl, const struct ctl_option *options, unsigned count, unsigned least, unsigned most) MUST_CHECK;

/* "promptctl: …" on standard error. Returns CTL_CANNOT, so that a command can `return ctl_cannot(…)`. */
enum ctl_status ctl_cannot(const char *format, ...) PRINTF_LIKE(1, 2);

/* The same, with the command's usage behind it. */
enum ctl_status ctl_misused(const struct ctl *ctl, const char *format, ...) PRINTF_LIKE(2, 3);

/* Reads all of a file ("-" for standard input), at most `max` bytes. What goes wrong is said. */
enum rc ctl_read(struct ctl *ctl, const char *path, size_t max, const char **text, size_t *len) MUST_CHECK;

/* Reads the settings file into `settings` (initialised) and checks it; everything that is wrong is said as "file:line: …". CTL_NO where it is
 * wrong, CTL_CANNOT where it cannot be read. */
enum ctl_status ctl_settings(const char *file, struct settings *settings) MUST_CHECK;

/* The settings file where none is named. */
extern const char ctl_settings_file[];

/* Whether a name, or a path, ends in .prompt with something before it. */
bool ctl_is_prompt(const char *name);

/* Loads a .prompt file, or says what is wrong with it: NULL then, with ctl->status set. The caller owns it: endpoint_free. */
struct endpoint *ctl_endpoint(struct ctl *ctl, const char *file) MUST_CHECK;

/* Whether a connection string, of either form, holds a password. */
bool ctl_has_password(const char *conninfo);

/* Connects to the database, or says why it cannot: NULL then. The caller owns the session: db_close. */
struct db_session *ctl_connect(struct ctl *ctl) MUST_CHECK;

/* What the server said of the last failure. */
const char *ctl_reason(const struct db_session *session);

/* One statement. What goes wrong is said; false then. */
bool ctl_query(struct ctl *ctl, struct db_session *session, const char *sql, const char *const *params, unsigned count,
               struct db_table *table) MUST_CHECK;

/* The same in a session of its own. */
bool ctl_ask(struct ctl *ctl, const char *sql, const char *const *params, unsigned count, struct db_table *table) MUST_CHECK;

/* Prints a table in the form asked for: aligned columns with a heading, a JSON array of objects, or CSV (RFC 4180). `kinds` has a character for each
 * column: 'n' is a number (aligned to the right, bare in JSON, digit for digit as the database gave it), anything else text. */
enum ctl_status ctl_print(struct ctl *ctl, const struct db_table *table, const char *kinds) MUST_CHECK;

/* The commands. */
enum ctl_status audit_run(struct ctl *ctl);
enum ctl_status call_run(struct ctl *ctl);
enum ctl_status configtest_run(struct ctl *ctl);
enum ctl_status correct_run(struct ctl *ctl);
enum ctl_status doctor_run(struct ctl *ctl);
enum ctl_status invoice_run(struct ctl *ctl);
enum ctl_status key_create(struct ctl *ctl);
enum ctl_status key_list(struct ctl *ctl);
enum ctl_status key_revoke(struct ctl *ctl);
enum ctl_status ledger_archive(struct ctl *ctl);
enum ctl_status lint_run(struct ctl *ctl);
enum ctl_status migrate_run(struct ctl *ctl);
enum ctl_status model_add(struct ctl *ctl);
enum ctl_status model_disable(struct ctl *ctl);
enum ctl_status model_enable(struct ctl *ctl);
enum ctl_status model_list(struct ctl *ctl);
enum ctl_status model_price(struct ctl *ctl);
enum ctl_status new_run(struct ctl *ctl);
enum ctl_status refused_run(struct ctl *ctl);
enum ctl_status render_run(struct ctl *ctl);
enum ctl_status settings_run(struct ctl *ctl);
enum ctl_status supplier_add(struct ctl *ctl);
enum ctl_status supplier_list(struct ctl *ctl);
enum ctl_status supplier_tier(struct ctl *ctl);
enum ctl_status usage_run(struct ctl *ctl);

/* Lints the file, or the files of the directory, and prints what it finds; counts files and errors up. RC_SYS when it cannot be read (said). */
struct lint_count {
	const struct endpoint_bounds *bounds; /* what the files are held to; NULL for nothing */
	unsigned files, errors, warnings;
	void (*on_endpoint)(void *user, const char *file, const struct endpoint *endpoint); /* of each file that loads; the endpoint is gone after. May be NULL */
	void *user;
};
enum rc lint_path(struct arena *arena, const char *path, struct lint_count *count) MUST_CHECK;

#endif
