/*
 * new.c - promptctl new: a commented starting file, so that a first endpoint is an edit and not a blank page.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "ctl/ctl.h"
#include "prompt/endpoint_trace.h"

static const char start[] =
	"---\n"
	"# An AI endpoint. Lines that begin with # are comments; prompt(5) explains every key.\n"
	"\n"
	"# The model as provider/model; without the line, the pool's default_model.\n"
	"# model: openai/gpt-4o-mini\n"
	"\n"
	"# Models that are asked in turn where that one cannot be had.\n"
	"# fpm.fallback: [anthropic/claude-haiku-4-5]\n"
	"\n"
	"config:\n"
	"  temperature: 0.7       # 0 to 2: higher is more varied\n"
	"  maxOutputTokens: 500   # the longest answer\n"
	"\n"
	"# What a caller sends as a JSON object. Anything else is refused before it costs anything.\n"
	"# \"?\" makes a member optional; what follows the comma tells people what it is for.\n"
	"input:\n"
	"  schema:\n"
	"    question: string, what the visitor wants to know\n"
	"    tone?: string, how the answer should sound\n"
	"    stream?: boolean, send the answer piece by piece\n"
	"  default:\n"
	"    tone: friendly\n"
	"\n"
	"# The member of the JSON answer that holds the result: {\"answer\": \"...\", \"usage\": {...}}\n"
	"fpm.answer: answer\n"
	"\n"
	"# The feature of the caller's plan that requests count for. One that the plan does not know has\n"
	"# a small limit: 2 a day, 10 a month.\n"
	"fpm.feature: chatbot\n"
	"\n"
	"# At most this many requests of one supplier, on top of its plan.\n"
	"# fpm.rate: 30/hour\n"
	"\n"
	"# Who shares a cached answer (supplier, organization, shared: everybody; off), and for how long.\n"
	"# fpm.cache: { scope: supplier, ttl: 24h }\n"
	"---\n"
	"{{role \"system\"}}\n"
	"You answer questions of visitors of our web site. Answer in a {{tone}} tone, in at most three\n"
	"sentences. If you do not know the answer, say so.\n"
	"{{role \"user\"}}\n"
	"{{question}}\n";

static enum ctl_status write_out(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	ssize_t n;

	if (fd < 0 && errno == EEXIST)
		return ctl_cannot("%s: is there already, and is left as it is", path);
	if (fd < 0)
		return ctl_cannot("%s: %s", path, strerror(errno));
	n = write(fd, start, sizeof start - 1);
	if (close(fd) < 0 || n != (ssize_t)(sizeof start - 1)) {
		int reason = errno;

		unlink(path);
		return ctl_cannot("%s: %s", path, strerror(reason));
	}
	return CTL_DONE;
}

enum ctl_status new_run(struct ctl *ctl)
{
	const char *given, *slash, *name, *path;
	size_t n, suffix;

	if (!ctl_options(ctl, NULL, 0, 1, 1))
		return ctl->status;
	given = ctl->operands[0];
	slash = strrchr(given, '/');
	name = slash == NULL ? given : slash + 1;
	n = strlen(name);
	suffix = ctl_is_prompt(name) ? strlen(".prompt") : 0;
	if (!endpoint_name_valid(name, n - suffix, false))
		return ctl_misused(ctl, "\"%s\" is no name for an endpoint: letters, digits, \"-\", \"_\" and \".\", at most %u, a letter or digit first", name,
		                   ENDPOINT_NAME_MAX);
	path = arena_printf(ctl->arena, "%s%s", given, suffix > 0 ? "" : ".prompt");
	if (path == NULL)
		return ctl_cannot("out of memory");
	if (write_out(path) != CTL_DONE)
		return CTL_CANNOT;
	printf("wrote %s\n", path);
	printf("next: edit it, then  promptctl lint %s  and put it into the document root or the pool's endpoints directory\n", path);
	return CTL_DONE;
}
