/*
 * option.c - reading a command's options and operands, and saying how it is used.
 */
#include <getopt.h>
#include <stdarg.h>
#include <string.h>

#include "base/str.h"
#include "ctl/ctl.h"

#define OWN 256 /* what getopt returns for options[0] */

enum { HELP = 1, DATABASE, JSON, CSV, FORMAT };

enum ctl_status ctl_cannot(const char *format, ...)
{
	va_list ap;

	fflush(stdout);
	fputs("promptctl: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	return CTL_CANNOT;
}

static void print_usage(FILE *out, const struct ctl *ctl)
{
	fprintf(out, "usage: promptctl %s %s\n", ctl->command->name, ctl->command->synopsis);
}

enum ctl_status ctl_misused(const struct ctl *ctl, const char *format, ...)
{
	va_list ap;

	fputs("promptctl: ", stderr);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	print_usage(stderr, ctl);
	return CTL_CANNOT;
}

static void print_option(const char *name, const char *value, const char *about)
{
	char left[64];

	snprintf(left, sizeof left, "--%s%s%s", name, value != NULL ? " " : "", value != NULL ? value : "");
	printf("  %-22s  %s\n", left, about);
}

static void print_help(const struct ctl *ctl, const struct ctl_option *options, unsigned count)
{
	print_usage(stdout, ctl);
	printf("\nTo %s.\n\n", ctl->command->about);
	for (unsigned i = 0; i < count; i++)
		print_option(options[i].name, options[i].value, options[i].about);
	if (ctl->command->takes & CTL_TABLE) {
		print_option("json", NULL, "print a JSON array of objects");
		print_option("csv", NULL, "print CSV with a heading");
		print_option("format", "FORM", "the same by name: json, csv, or text");
	}
	if (ctl->command->takes & CTL_DATABASE)
		print_option("database", "CONNINFO", "PostgreSQL connection string; without it, the PG* environment");
	print_option("help", NULL, "print this and stop");
}

/* The command's own options, then those that every command has. */
static void fill(struct option *all, const struct ctl *ctl, const struct ctl_option *options, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		all[i] = (struct option){options[i].name, options[i].value != NULL, NULL, OWN + (int)i};
	all[i++] = (struct option){"help", no_argument, NULL, HELP};
	if (ctl->command->takes & CTL_TABLE) {
		all[i++] = (struct option){"json", no_argument, NULL, JSON};
		all[i++] = (struct option){"csv", no_argument, NULL, CSV};
		all[i++] = (struct option){"format", required_argument, NULL, FORMAT};
	}
	if (ctl->command->takes & CTL_DATABASE)
		all[i++] = (struct option){"database", required_argument, NULL, DATABASE};
	all[i] = (struct option){0};
}

static void set(const struct ctl_option *option)
{
	if (option->value != NULL)
		*option->text = optarg;
	else
		*option->flag = true;
}

static bool over(struct ctl *ctl, enum ctl_status status)
{
	ctl->status = status;
	return false;
}

/* A command line is everybody's to read: the process list shows it. */
static bool check_database(struct ctl *ctl)
{
	if (!ctl_has_password(ctl->database))
		return true;
	return over(ctl, ctl_cannot("--database must not hold a password, which the process list would show: put it into a password file"
	                            " (~/.pgpass, or passfile=FILE)"));
}

static bool check_operands(struct ctl *ctl, unsigned least, unsigned most)
{
	ctl->operands = ctl->argv + optind;
	ctl->operand_count = (unsigned)(ctl->argc - optind);
	if (ctl->operand_count < least)
		return over(ctl, ctl_misused(ctl, "something is missing"));
	if (ctl->operand_count > most)
		return over(ctl, ctl_misused(ctl, "\"%s\" is too much", ctl->operands[most]));
	return true;
}

static bool read_form(struct ctl *ctl, const char *name)
{
	static const char *const names[] = {[CTL_TEXT] = "text", [CTL_JSON] = "json", [CTL_CSV] = "csv"};

	for (unsigned i = 0; i < COUNT_OF(names); i++) {
		if (str_eq(names[i], name)) {
			ctl->form = (enum ctl_form)i;
			return true;
		}
	}
	return over(ctl, ctl_misused(ctl, "--format must be json, csv or text"));
}

/* Whether the text has a digit where `form` has a 0, and is the same elsewhere. */
static bool has_form(const char *text, const char *form)
{
	for (; *form != '\0'; text++, form++)
		if (*form == '0' ? *text < '0' || *text > '9' : *text != *form)
			return false;
	return *text == '\0';
}

bool ctl_month(const char *text, char first_day[CTL_DAY_SIZE])
{
	if (!has_form(text, "0000-00"))
		return false;
	snprintf(first_day, CTL_DAY_SIZE, "%s-01", text);
	return (text[5] == '0' && text[6] >= '1') || (text[5] == '1' && text[6] <= '2');
}

bool ctl_days(struct ctl *ctl, const char *const days[2])
{
	for (unsigned i = 0; i < 2; i++) {
		if (days[i] != NULL && !has_form(days[i], "0000-00-00")) {
			ctl->status = ctl_misused(ctl, "\"%s\" is no day such as 2026-11-27", days[i]);
			return false;
		}
	}
	if (days[0] != NULL && days[1] != NULL && strcmp(days[0], days[1]) > 0) {
		ctl->status = ctl_misused(ctl, "--to %s is before --from %s", days[1], days[0]);
		return false;
	}
	return true;
}

bool ctl_options(struct ctl *ctl, const struct ctl_option *options, unsigned count, unsigned least, unsigned most)
{
	struct option all[CTL_OPTIONS_MAX + 6];
	int option;

	fill(all, ctl, options, count);
	optind = 0; /* glibc: start over, the global options have been read with another string */
	while ((option = getopt_long(ctl->argc, ctl->argv, "h", all, NULL)) != -1) {
		switch (option) {
		case HELP:
		case 'h':
			print_help(ctl, options, count);
			return over(ctl, CTL_DONE);
		case DATABASE:
			ctl->database = optarg;
			break;
		case JSON:
		case CSV:
			ctl->form = option == JSON ? CTL_JSON : CTL_CSV;
			break;
		case FORMAT:
			if (!read_form(ctl, optarg))
				return false;
			break;
		case '?':
			print_usage(stderr, ctl);
			return over(ctl, CTL_CANNOT);
		default:
			set(&options[option - OWN]);
		}
	}
	return check_database(ctl) && check_operands(ctl, least, most);
}
