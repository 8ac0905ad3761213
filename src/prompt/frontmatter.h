/*
 * frontmatter.h - what stands between the two "---" lines of a `.prompt` file, into the endpoint it describes.
 */
#ifndef PROMPT_FRONTMATTER_H
#define PROMPT_FRONTMATTER_H

#include "prompt/endpoint.h"

struct frontmatter_body {
	const char *text; /* points into the file's text */
	size_t len;
	unsigned line, column; /* of the file, that it starts at */
};

/* Fills in all settings of an endpoint whose `name`, `arena` and `bounds` are set, defaults for what is not said, and finds the template behind them,
 * without the white space around it.
 * `text` is the whole file, UTF-8, and must live as long as the endpoint. Places in `list` are those of the file. RC_INVALID with the reasons in
 * `list`, RC_NOMEM. */
enum rc frontmatter_read(struct endpoint *endpoint, const char *text, size_t n, struct frontmatter_body *body, struct diagnostics *list) MUST_CHECK;

#endif
