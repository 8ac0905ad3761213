/*
 * template_lex.h - a template's text as tokens.
 */
#ifndef PROMPT_TEMPLATE_LEX_H
#define PROMPT_TEMPLATE_LEX_H

#include <stdbool.h>

#include "base/arena.h"

enum token_kind {
	TOKEN_END,
	TOKEN_TEXT,
	TOKEN_COMMENT,
	TOKEN_OPEN,         /* {{ or {{& */
	TOKEN_OPEN_TRIPLE,  /* {{{ */
	TOKEN_OPEN_BLOCK,   /* {{# */
	TOKEN_OPEN_INVERSE, /* {{^ with a name */
	TOKEN_OPEN_CHAIN,   /* {{else with a name */
	TOKEN_ELSE,         /* {{else}} or {{^}}, whole */
	TOKEN_OPEN_CLOSE,   /* {{/ */
	TOKEN_OPEN_PARTIAL, /* {{> */
	TOKEN_CLOSE,        /* }} */
	TOKEN_CLOSE_TRIPLE, /* }}} */
	TOKEN_ID,
	TOKEN_SEPARATOR, /* . or / */
	TOKEN_DATA,      /* @ */
	TOKEN_STRING,
	TOKEN_NUMBER,
	TOKEN_TRUE,
	TOKEN_FALSE,
	TOKEN_NULL,
	TOKEN_UNDEFINED,
	TOKEN_EQUALS,
	TOKEN_AS, /* as | */
	TOKEN_BAR,
	TOKEN_PAREN_OPEN,
	TOKEN_PAREN_CLOSE,
};

struct token {
	enum token_kind kind;
	size_t at;        /* offset of its first byte */
	const char *text; /* what it says: quotes, brackets and their escapes are gone; not NUL-terminated */
	size_t len;
	bool bracketed;    /* an ID written as [odd key]: never `this` or `..` */
	bool strip_before; /* {{~ */
	bool strip_after;  /* ~}} */
};

struct lexer {
	struct arena *arena;
	const char *text;
	size_t len, at;
	bool inside;    /* between {{ and }} */
	bool escaped;   /* at a {{ that a backslash makes text */
	size_t open_at; /* where the mustache that is open began */

	/* The error, when lexer_next returned RC_INVALID. */
	size_t bad_at;
	const char *reason, *hint;
};

/* `text` must outlive the tokens. */
void lexer_init(struct lexer *lexer, struct arena *arena, const char *text, size_t len);

/* The next token, TOKEN_END at the end (again and again). RC_INVALID with the lexer's reason, RC_NOMEM. */
enum rc lexer_next(struct lexer *lexer, struct token *token) MUST_CHECK;

/* Bytes of the white-space character (ECMAScript's \s) that s begins with, or that its n bytes end with; 0 where there is none. */
size_t lexer_space(const char *s, size_t n);
size_t lexer_space_before(const char *s, size_t n);

/* Whether all n bytes are white space. */
bool lexer_blank(const char *s, size_t n);

#endif
