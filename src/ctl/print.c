/*
 * print.c - tables for people (aligned columns) and for machines (JSON, CSV).
 */
#include <string.h>

#include "base/buf.h"
#include "base/str.h"
#include "ctl/ctl.h"

static const char *cell(const struct db_table *table, unsigned row, unsigned column)
{
	return table->values[row * table->columns + column];
}

/* The same for people: what is not there is a dash. */
static const char *shown(const struct db_table *table, unsigned row, unsigned column)
{
	const char *text = cell(table, row, column);

	return text == NULL || *text == '\0' ? "-" : text;
}

static int columns_wide(const char *text)
{
	return (int)str_utf8_length(text, strlen(text));
}

static void print_cell(const char *text, int width, bool right, bool last)
{
	int gap = width - columns_wide(text);

	if (right)
		printf("%*s%s", gap, "", text);
	else
		printf("%s%*s", text, last ? 0 : gap, "");
	fputs(last ? "\n" : "  ", stdout);
}

static enum ctl_status print_text(struct ctl *ctl, const struct db_table *table, const char *kinds)
{
	int *width = arena_array(ctl->arena, table->columns + 1, sizeof *width);

	if (width == NULL)
		return ctl_cannot("out of memory");
	for (unsigned c = 0; c < table->columns; c++) {
		width[c] = columns_wide(table->names[c]);
		for (unsigned r = 0; r < table->rows; r++)
			if (columns_wide(shown(table, r, c)) > width[c])
				width[c] = columns_wide(shown(table, r, c));
	}
	for (unsigned c = 0; c < table->columns; c++)
		print_cell(table->names[c], width[c], kinds[c] == 'n', c + 1 == table->columns);
	for (unsigned r = 0; r < table->rows; r++)
		for (unsigned c = 0; c < table->columns; c++)
			print_cell(shown(table, r, c), width[c], kinds[c] == 'n', c + 1 == table->columns);
	return CTL_DONE;
}

static void add_json_cell(struct buf *buf, const char *text, char kind)
{
	if (text == NULL)
		buf_puts(buf, "null");
	else if (kind == 'n')
		buf_puts(buf, text);
	else
		buf_json_string(buf, text, strlen(text));
}

static void print_json_row(struct buf *buf, const struct db_table *table, const char *kinds, unsigned row)
{
	buf_clear(buf);
	for (unsigned c = 0; c < table->columns; c++) {
		buf_puts(buf, c == 0 ? "{" : ", ");
		buf_json_string(buf, table->names[c], strlen(table->names[c]));
		buf_puts(buf, ": ");
		add_json_cell(buf, cell(table, row, c), kinds[c]);
	}
	buf_puts(buf, "}");
}

static enum ctl_status print_json(struct ctl *ctl, const struct db_table *table, const char *kinds)
{
	struct buf buf;

	buf_init(&buf, ctl->arena, 1 << 20);
	putchar('[');
	for (unsigned r = 0; r < table->rows; r++) {
		print_json_row(&buf, table, kinds, r);
		if (buf.rc != RC_OK)
			return ctl_cannot("%s", rc_name(buf.rc));
		printf("%s\n  %s", r == 0 ? "" : ",", buf_text(&buf));
	}
	puts(table->rows == 0 ? "]" : "\n]");
	return CTL_DONE;
}

static void print_csv_cell(const char *text)
{
	if (text[strcspn(text, "\",\r\n")] == '\0') {
		fputs(text, stdout);
		return;
	}
	putchar('"');
	for (; *text != '\0'; text++) {
		if (*text == '"')
			putchar('"');
		putchar(*text);
	}
	putchar('"');
}

static enum ctl_status print_csv(const struct db_table *table)
{
	for (unsigned r = 0; r <= table->rows; r++) {
		for (unsigned c = 0; c < table->columns; c++) {
			const char *text = r == 0 ? table->names[c] : cell(table, r - 1, c);

			if (c > 0)
				putchar(',');
			print_csv_cell(text == NULL ? "" : text);
		}
		fputs("\r\n", stdout);
	}
	return CTL_DONE;
}

enum ctl_status ctl_print(struct ctl *ctl, const struct db_table *table, const char *kinds)
{
	switch (ctl->form) {
	case CTL_JSON:
		return print_json(ctl, table, kinds);
	case CTL_CSV:
		return print_csv(table);
	default:
		return print_text(ctl, table, kinds);
	}
}
