/*
 * diagnostic.h - what is wrong with a `.prompt` file, and where: the list that lint prints and the log repeats.
 */
#ifndef PROMPT_DIAGNOSTIC_H
#define PROMPT_DIAGNOSTIC_H

#include <stdbool.h>

#include "base/arena.h"

struct diagnostic {
	const char *file;      /* as it was named by whoever loaded it */
	unsigned line, column; /* from 1; 0 where the whole file is meant */
	bool warning;          /* the file loads all the same */
	const char *message;   /* "unknown helper \"foo\"" */
	const char *hint;      /* what to do about it, or NULL */
	struct diagnostic *next;
};

/* In the order of discovery; everything in it belongs to the arena. At most DIAGNOSTIC_MAX are kept. */
#define DIAGNOSTIC_MAX 50

struct diagnostics {
	struct arena *arena;
	const char *file;
	struct diagnostic *first, *last;
	unsigned errors, warnings;
};

void diagnostics_init(struct diagnostics *list, struct arena *arena, const char *file);

/* Add one. Each returns RC_INVALID for an error and RC_OK for a warning, so that a caller can `return diagnostics_error(…)`. `hint` may be NULL. */
enum rc diagnostics_error(struct diagnostics *list, unsigned line, unsigned column, const char *hint, const char *format, ...) PRINTF_LIKE(5, 6);
enum rc diagnostics_warning(struct diagnostics *list, unsigned line, unsigned column, const char *hint, const char *format, ...) PRINTF_LIKE(5, 6);

/* Whether those that come now are counted and no more. */
bool diagnostics_full(const struct diagnostics *list);

/* How many bytes of a text are shown where it is quoted ("%.*s"): at most 80, and whole characters. */
int diagnostics_quoted(const char *text, size_t len);

/* "did you mean \"x\"?" where one of the names is nearly the word, else `otherwise` (which may be NULL). In the list's arena; NULL also when out of
 * memory. */
const char *diagnostics_suggest(struct diagnostics *list, const char *word, const char *const *names, size_t count, const char *otherwise);

/* "file:line:column: error: message" of one entry, the hint in brackets behind it. Arena's; NULL when out of memory. */
const char *diagnostic_text(struct arena *arena, const struct diagnostic *entry);

#endif
