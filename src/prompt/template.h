/*
 * template.h - Dotprompt's subset of Handlebars: compiled at load, rendered into messages.
 */
#ifndef PROMPT_TEMPLATE_H
#define PROMPT_TEMPLATE_H

#include "base/value.h"
#include "prompt/diagnostic.h"
#include "prompt/message.h"

struct template;

/* Where partials come from: fills in the text of `_name.prompt` (arena's), or RC_NOTFOUND. `user` is the loader's own. */
struct template_partials {
	enum rc (*read)(void *user, struct arena *arena, const char *name, const char **text, size_t *len);
	void *user;
};

/* Compiles; `first_line` and `first_column` are the place in its file that the text starts at. `partials` may be NULL (then each partial is an error). The result is const,
 * fit for many threads, and lives in the arena. RC_INVALID with the reasons in `list`, RC_NOMEM. */
enum rc template_compile(struct arena *arena, const char *text, size_t n, unsigned first_line, unsigned first_column, const struct template_partials *partials,
                         struct template **out, struct diagnostics *list) MUST_CHECK;

/* Whether it, or a partial of it, has a {{history}}. */
bool template_has_history(const struct template *template);

struct template_data {
	const struct value *input;         /* an object (defaults merged in already); NULL for none */
	const struct value *context;       /* @name values; NULL for none */
	const struct value *prompt;        /* @metadata.prompt; NULL for none */
	const struct messages *history;    /* inserted at {{history}}, or where Dotprompt says without one; NULL for none */
};

/* Caps on one rendering. */
#define TEMPLATE_OUTPUT_MAX (1u << 20)
#define TEMPLATE_LOOPS_MAX 100000u
#define TEMPLATE_DEPTH_MAX 64u

/* Renders. Values go in as they are (no HTML escaping), always into the message that is open. RC_TOOBIG past a cap, RC_NOMEM. */
enum rc template_render(const struct template *template, struct arena *arena, const struct template_data *data, struct messages *out) MUST_CHECK;

#endif
