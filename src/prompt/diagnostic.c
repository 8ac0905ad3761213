/*
 * diagnostic.c - the list of what is wrong with a file.
 */
#include "prompt/diagnostic.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

void diagnostics_init(struct diagnostics *list, struct arena *arena, const char *file)
{
	*list = (struct diagnostics){.arena = arena, .file = file};
}

bool diagnostics_full(const struct diagnostics *list)
{
	return list->errors + list->warnings >= DIAGNOSTIC_MAX;
}

/* What a file is quoted with goes to logs, pages and terminals: its control characters could pass for lines or commands there. */
static char *make_plain(char *text)
{
	for (char *c = text; c != NULL && *c != '\0'; c++) {
		if ((unsigned char)*c < ' ' || *c == 0x7F)
			*c = '?';
		else if ((unsigned char)c[0] == 0xC2 && (c[1] & 0xE0) == 0x80) /* U+0080 to U+009F */
			c[0] = c[1] = '?';
	}
	return text;
}

/* An entry that finds no memory is still counted: a file with an error never loads for lack of the words for it. */
static void add(struct diagnostics *list, struct diagnostic entry, const char *hint, const char *format, va_list ap)
{
	bool full = diagnostics_full(list);
	struct diagnostic *kept;

	if (entry.warning)
		list->warnings++;
	else
		list->errors++;
	if (full)
		return;
	kept = arena_alloc(list->arena, sizeof *kept);
	entry.file = arena_strdup(list->arena, list->file); /* a partial's name lives no longer than what was loaded */
	entry.message = make_plain(arena_vprintf(list->arena, format, ap));
	entry.hint = arena_strdup(list->arena, hint);
	if (kept == NULL || entry.file == NULL || entry.message == NULL)
		return;
	*kept = entry;
	if (list->last == NULL)
		list->first = kept;
	else
		list->last->next = kept;
	list->last = kept;
}

enum rc diagnostics_error(struct diagnostics *list, unsigned line, unsigned column, const char *hint, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add(list, (struct diagnostic){.line = line, .column = column}, hint, format, ap);
	va_end(ap);
	return RC_INVALID;
}

enum rc diagnostics_warning(struct diagnostics *list, unsigned line, unsigned column, const char *hint, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	add(list, (struct diagnostic){.line = line, .column = column, .warning = true}, hint, format, ap);
	va_end(ap);
	return RC_OK;
}

#define QUOTED_MAX 80u

int diagnostics_quoted(const char *text, size_t len)
{
	return (int)str_utf8_whole(text, len < QUOTED_MAX ? len : QUOTED_MAX);
}

#define WORD_MAX 40u /* longer words are nobody's typing errors */

static unsigned least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Levenshtein's distance; both words at most WORD_MAX long. */
static unsigned distance(const char *a, const char *b)
{
	unsigned row[WORD_MAX + 1], diagonal, above;
	size_t n = strlen(b);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; a[i - 1] != '\0'; i++) {
		diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			above = row[j];
			row[j] = least(least(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

const char *diagnostics_suggest(struct diagnostics *list, const char *word, const char *const *names, size_t count, const char *otherwise)
{
	unsigned best = strlen(word) < 4 ? 2 : 3; /* the first distance that is too far */
	const char *found = NULL;

	if (strlen(word) > WORD_MAX)
		return otherwise;
	for (size_t i = 0; i < count; i++) {
		unsigned far = strlen(names[i]) > WORD_MAX ? best : distance(word, names[i]);

		if (far < best) {
			best = far;
			found = names[i];
		}
	}
	return found == NULL ? otherwise : arena_printf(list->arena, "did you mean \"%s\"?", found);
}

const char *diagnostic_text(struct arena *arena, const struct diagnostic *entry)
{
	const char *kind = entry->warning ? "warning" : "error";
	char at[32] = "";

	if (entry->line != 0)
		snprintf(at, sizeof at, "%u:%u:", entry->line, entry->column);
	return arena_printf(arena, "%s:%s %s: %s%s%s%s", entry->file, at, kind, entry->message, entry->hint == NULL ? "" : " [",
	                    entry->hint == NULL ? "" : entry->hint, entry->hint == NULL ? "" : "]");
}
