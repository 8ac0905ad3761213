/*
 * template_lex.c - cuts a template into tokens, as Handlebars 4 does.
 *
 * What a character means depends on where it stands: outside of mustaches all is text up to the next {{, and backslashes
 * before it count; inside, white space parts the tokens.
 */
#include "prompt/template_lex.h"

#include <string.h>

/* ECMA-262 WhiteSpace and LineTerminator beyond ASCII, in UTF-8. */
static const char *const wide_spaces[] = {
	"\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84",
	"\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
	"\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF",
};

static bool is_ascii_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

size_t lexer_space(const char *s, size_t n)
{
	if (n == 0)
		return 0;
	if ((unsigned char)s[0] < 0x80)
		return is_ascii_space(s[0]) ? 1 : 0;
	for (size_t i = 0; i < COUNT_OF(wide_spaces); i++) {
		size_t len = strlen(wide_spaces[i]);

		if (n >= len && memcmp(s, wide_spaces[i], len) == 0)
			return len;
	}
	return 0;
}

size_t lexer_space_before(const char *s, size_t n)
{
	if (n == 0)
		return 0;
	if ((unsigned char)s[n - 1] < 0x80)
		return is_ascii_space(s[n - 1]) ? 1 : 0;
	for (size_t i = 0; i < COUNT_OF(wide_spaces); i++) {
		size_t len = strlen(wide_spaces[i]);

		if (n >= len && memcmp(s + n - len, wide_spaces[i], len) == 0)
			return len;
	}
	return 0;
}

bool lexer_blank(const char *s, size_t n)
{
	for (size_t i = 0, len; i < n; i += len) {
		len = lexer_space(s + i, n - i);
		if (len == 0)
			return false;
	}
	return true;
}

void lexer_init(struct lexer *lx, struct arena *arena, const char *text, size_t len)
{
	*lx = (struct lexer){.arena = arena, .text = text, .len = len};
}

static enum rc bad(struct lexer *lx, size_t at, const char *reason, const char *hint)
{
	lx->bad_at = at;
	lx->reason = reason;
	lx->hint = hint;
	return RC_INVALID;
}

static enum rc fail_unclosed(struct lexer *lx)
{
	return bad(lx, lx->open_at, "mustache is not closed", "it ends with }}");
}

static bool looking_at(const struct lexer *lx, size_t at, const char *s)
{
	size_t n = strlen(s);

	return at <= lx->len && lx->len - at >= n && memcmp(lx->text + at, s, n) == 0;
}

static size_t skip_space(const struct lexer *lx, size_t at)
{
	for (size_t len; (len = lexer_space(lx->text + at, lx->len - at)) != 0;)
		at += len;
	return at;
}

/* Where `s` is next, at or behind `at`; the end of the text where it is not. */
static size_t find(const struct lexer *lx, size_t at, const char *s)
{
	const char *hit = at < lx->len ? memmem(lx->text + at, lx->len - at, s, strlen(s)) : NULL;

	return hit == NULL ? lx->len : (size_t)(hit - lx->text);
}

static void take(struct lexer *lx, struct token *token, enum token_kind kind, size_t n)
{
	token->kind = kind;
	token->at = lx->at;
	token->text = lx->text + lx->at;
	token->len = n;
	lx->at += n;
}

/* Text that starts with an escaped {{ ends before the next {{, and before the backslashes that belong to that one. */
static void take_escaped(struct lexer *lx, struct token *token)
{
	size_t end = find(lx, lx->at + 2, "{{");

	for (unsigned i = 0; i < 2 && end < lx->len && end - 1 >= lx->at + 2 && lx->text[end - 1] == '\\'; i++)
		end--;
	lx->escaped = false;
	take(lx, token, TOKEN_TEXT, end - lx->at);
}

/* Text up to the next {{. Two backslashes before it are one backslash of text; a single one makes the {{ text. */
static bool take_text(struct lexer *lx, struct token *token)
{
	size_t end = find(lx, lx->at, "{{"), n = end - lx->at;
	const char *s = lx->text + lx->at;

	take(lx, token, TOKEN_TEXT, n);
	if (end == lx->len)
		return n != 0;
	if (n >= 1 && s[n - 1] == '\\') {
		lx->escaped = !(n >= 2 && s[n - 2] == '\\');
		token->len--;
	}
	return token->len != 0;
}

/* Behind the first --}} or --~}} from `at` on, or behind the end of the text. */
static size_t dashed_end(const struct lexer *lx, size_t at)
{
	for (at = find(lx, at, "--"); at < lx->len; at = find(lx, at + 1, "--")) {
		if (looking_at(lx, at + 2, "}}"))
			return at + 4;
		if (looking_at(lx, at + 2, "~}}"))
			return at + 5;
	}
	return lx->len + 1;
}

/* {{!-- up to --}}, so that it may hold mustaches; {{! up to }}. */
static enum rc take_comment(struct lexer *lx, struct token *token, size_t bang)
{
	bool dashed = looking_at(lx, bang + 1, "--");
	size_t end = dashed ? dashed_end(lx, lx->at) : find(lx, bang + 1, "}}") + 2;

	if (end > lx->len)
		return bad(lx, lx->at, "comment is not closed", dashed ? "it ends with --}}" : "it ends with }}");
	take(lx, token, TOKEN_COMMENT, end - lx->at);
	token->strip_after = lx->text[end - 3] == '~';
	return RC_OK;
}

/* {{else}} and {{^}} whole, from behind their word; false where more follows. */
static bool take_else(struct lexer *lx, struct token *token, size_t at)
{
	at = skip_space(lx, at);
	token->strip_after = looking_at(lx, at, "~");
	at += token->strip_after;
	if (!looking_at(lx, at, "}}")) {
		token->strip_after = false;
		return false;
	}
	take(lx, token, TOKEN_ELSE, at + 2 - lx->at);
	return true;
}

static void take_open(struct lexer *lx, struct token *token, enum token_kind kind, size_t n)
{
	lx->inside = true;
	lx->open_at = lx->at;
	take(lx, token, kind, n);
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static enum rc refuse_open(struct lexer *lx, size_t at)
{
	if (looking_at(lx, lx->at, "{{{{"))
		return bad(lx, lx->at, "raw blocks are not supported", "write \\{{ for a {{ that is meant as text");
	if (looking_at(lx, at, "#>"))
		return bad(lx, lx->at, "partial blocks are not supported", "use {{> name}} with a file _name.prompt");
	if (looking_at(lx, at, "#*"))
		return bad(lx, lx->at, "inline partials and decorators are not supported", "put a partial into a file of its own, _name.prompt");
	if (looking_at(lx, at, "*"))
		return bad(lx, lx->at, "decorators are not supported", NULL);
	return RC_OK;
}

/* At a {{ that opens something. */
static enum rc next_open(struct lexer *lx, struct token *token)
{
	bool strips = looking_at(lx, lx->at + 2, "~");
	size_t at = lx->at + 2 + strips, n = at - lx->at, word = skip_space(lx, at);
	enum rc rc = refuse_open(lx, at);
	char c = at < lx->len ? lx->text[at] : '\0';

	if (rc != RC_OK)
		return rc;
	token->strip_before = strips;
	if (c == '!')
		return take_comment(lx, token, at);
	if ((c == '^' && take_else(lx, token, at + 1)) || (looking_at(lx, word, "else") && take_else(lx, token, word + 4)))
		return RC_OK;
	if (looking_at(lx, word, "else") && !(word + 4 < lx->len && is_word(lx->text[word + 4])))
		take_open(lx, token, TOKEN_OPEN_CHAIN, word + 4 - lx->at);
	else if (c == '>')
		take_open(lx, token, TOKEN_OPEN_PARTIAL, n + 1);
	else if (c == '#')
		take_open(lx, token, TOKEN_OPEN_BLOCK, n + 1);
	else if (c == '/')
		take_open(lx, token, TOKEN_OPEN_CLOSE, n + 1);
	else if (c == '^')
		take_open(lx, token, TOKEN_OPEN_INVERSE, n + 1);
	else if (c == '{')
		take_open(lx, token, TOKEN_OPEN_TRIPLE, n + 1);
	else
		take_open(lx, token, TOKEN_OPEN, n + (c == '&'));
	return RC_OK;
}

/* Whether what stands at `at` may follow a word: one of `stops`, or white space. */
static bool ends_word(const struct lexer *lx, size_t at, const char *stops)
{
	return at < lx->len && ((lx->text[at] != '\0' && strchr(stops, lx->text[at]) != NULL) || lexer_space(lx->text + at, lx->len - at) != 0);
}

static bool is_keyword(const struct lexer *lx, const char *word)
{
	return looking_at(lx, lx->at, word) && ends_word(lx, lx->at + strlen(word), "~})");
}

static size_t digits(const struct lexer *lx, size_t at)
{
	while (at < lx->len && lx->text[at] >= '0' && lx->text[at] <= '9')
		at++;
	return at;
}

/* Length of the number here, 0 where there is none: a sign, digits, and perhaps a fraction. */
static size_t number_length(const struct lexer *lx)
{
	size_t start = lx->at + looking_at(lx, lx->at, "-"), at = digits(lx, start), fraction;

	if (at == start)
		return 0;
	if (looking_at(lx, at, ".")) {
		fraction = digits(lx, at + 1);
		if (fraction > at + 1)
			at = fraction;
	}
	return ends_word(lx, at, "~})") ? at - lx->at : 0;
}

static enum rc take_id(struct lexer *lx, struct token *token)
{
	size_t at = lx->at;

	while (at < lx->len && lx->text[at] != '\0' && strchr("!\"#%&'()*+,./;<=>@[\\]^`{|}~", lx->text[at]) == NULL &&
	       lexer_space(lx->text + at, lx->len - at) == 0)
		at++;
	if (at == lx->len)
		return fail_unclosed(lx);
	if (at == lx->at || !ends_word(lx, at, "=~}/.)|"))
		return bad(lx, at, "a mustache cannot hold this character here", "an odd key is written in brackets: {{[odd key]}}");
	take(lx, token, TOKEN_ID, at - lx->at);
	return RC_OK;
}

/* Drops the backslashes before the characters in `escapable`. */
static enum rc unescape(struct lexer *lx, struct token *token, const char *escapable)
{
	char *text;
	size_t n = 0;

	if (memchr(token->text, '\\', token->len) == NULL)
		return RC_OK;
	text = arena_alloc(lx->arena, token->len + 1);
	if (text == NULL)
		return RC_NOMEM;
	for (size_t i = 0; i < token->len; i++) {
		if (token->text[i] == '\\' && i + 1 < token->len && strchr(escapable, token->text[i + 1]) != NULL)
			i++;
		text[n++] = token->text[i];
	}
	token->text = text;
	token->len = n;
	return RC_OK;
}

/* What stands between this character and `end`, where a backslash before `end` escapes it. */
static enum rc take_quoted(struct lexer *lx, struct token *token, enum token_kind kind, char end)
{
	const char escapable[] = {end, kind == TOKEN_ID ? '\\' : '\0', '\0'};
	size_t start = lx->at + 1, at = start;

	while (at < lx->len && lx->text[at] != end)
		at += lx->text[at] == '\\' && at + 1 < lx->len && lx->text[at + 1] == end ? 2 : 1;
	if (at >= lx->len)
		return bad(lx, lx->at, end == ']' ? "[ is not closed" : "string is not closed", NULL);
	take(lx, token, kind, at + 1 - lx->at);
	token->text = lx->text + start;
	token->len = at - start;
	token->bracketed = kind == TOKEN_ID;
	return unescape(lx, token, escapable);
}

/* A `}`, or a `~` that belongs to one. */
static bool take_close(struct lexer *lx, struct token *token)
{
	static const struct {
		const char *text;
		enum token_kind kind;
		bool strips;
	} closes[] = {{"}}}", TOKEN_CLOSE_TRIPLE, false}, {"}~}}", TOKEN_CLOSE_TRIPLE, true}, {"}}", TOKEN_CLOSE, false}, {"~}}", TOKEN_CLOSE, true}};

	for (size_t i = 0; i < COUNT_OF(closes); i++) {
		if (looking_at(lx, lx->at, closes[i].text)) {
			take(lx, token, closes[i].kind, strlen(closes[i].text));
			token->strip_after = closes[i].strips;
			lx->inside = false;
			return true;
		}
	}
	return false;
}

static bool take_keyword(struct lexer *lx, struct token *token)
{
	static const struct {
		const char *word;
		enum token_kind kind;
	} keywords[] = {{"true", TOKEN_TRUE}, {"false", TOKEN_FALSE}, {"null", TOKEN_NULL}, {"undefined", TOKEN_UNDEFINED}};

	for (size_t i = 0; i < COUNT_OF(keywords); i++) {
		if (is_keyword(lx, keywords[i].word)) {
			take(lx, token, keywords[i].kind, strlen(keywords[i].word));
			return true;
		}
	}
	return false;
}

static bool take_sign(struct lexer *lx, struct token *token)
{
	static const struct {
		char sign;
		enum token_kind kind;
	} signs[] = {{'=', TOKEN_EQUALS}, {'.', TOKEN_SEPARATOR}, {'/', TOKEN_SEPARATOR}, {'@', TOKEN_DATA},
	             {'|', TOKEN_BAR},    {'(', TOKEN_PAREN_OPEN}, {')', TOKEN_PAREN_CLOSE}};

	for (size_t i = 0; i < COUNT_OF(signs); i++) {
		if (lx->text[lx->at] == signs[i].sign) {
			take(lx, token, signs[i].kind, 1);
			return true;
		}
	}
	return false;
}

/* `as |`, which begins block parameters. */
static bool take_as(struct lexer *lx, struct token *token)
{
	size_t at;

	if (!looking_at(lx, lx->at, "as"))
		return false;
	at = skip_space(lx, lx->at + 2);
	if (at == lx->at + 2 || !looking_at(lx, at, "|"))
		return false;
	take(lx, token, TOKEN_AS, at + 1 - lx->at);
	return true;
}

static enum rc next_inside(struct lexer *lx, struct token *token)
{
	size_t n;

	lx->at = skip_space(lx, lx->at);
	if (lx->at >= lx->len)
		return fail_unclosed(lx);
	if (looking_at(lx, lx->at, "..")) {
		take(lx, token, TOKEN_ID, 2);
		return RC_OK;
	}
	if (looking_at(lx, lx->at, ".") && ends_word(lx, lx->at + 1, "=~}/.)|")) {
		take(lx, token, TOKEN_ID, 1);
		return RC_OK;
	}
	if (looking_at(lx, lx->at, "}}}}"))
		return bad(lx, lx->at, "}}}} closes a raw block, and raw blocks are not supported", "put a blank before a } that is meant as text");
	if (take_sign(lx, token) || take_close(lx, token))
		return RC_OK;
	if (lx->text[lx->at] == '"' || lx->text[lx->at] == '\'')
		return take_quoted(lx, token, TOKEN_STRING, lx->text[lx->at]);
	if (lx->text[lx->at] == '[')
		return take_quoted(lx, token, TOKEN_ID, ']');
	if (take_keyword(lx, token))
		return RC_OK;
	n = number_length(lx);
	if (n != 0) {
		take(lx, token, TOKEN_NUMBER, n);
		return RC_OK;
	}
	if (take_as(lx, token))
		return RC_OK;
	return take_id(lx, token);
}

enum rc lexer_next(struct lexer *lx, struct token *token)
{
	*token = (struct token){.kind = TOKEN_END, .at = lx->at};
	if (lx->inside)
		return next_inside(lx, token);
	if (lx->at >= lx->len)
		return RC_OK;
	if (lx->escaped) {
		take_escaped(lx, token);
		return RC_OK;
	}
	if (take_text(lx, token))
		return RC_OK;
	*token = (struct token){.kind = TOKEN_END, .at = lx->at};
	return lx->escaped ? (take_escaped(lx, token), RC_OK) : lx->at >= lx->len ? RC_OK : next_open(lx, token);
}
