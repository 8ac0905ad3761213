/*
 * endpoint.c - a `.prompt` file with its partials, read and compiled into an endpoint.
 */
#include "prompt/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "port/token.h"
#include "prompt/endpoint_trace.h"
#include "prompt/frontmatter.h"
#include "prompt/template_lex.h"

#define ARENA_MAX (16u << 20)
#define FILE_MAX (256 << 10)
#define SUFFIX ".prompt"

struct loading {
	struct endpoint *endpoint;
	struct diagnostics *list;
	struct endpoint_trace *trace;
	const struct endpoint_text *given; /* texts to load from; NULL: from files */
	unsigned given_count;
	struct endpoint_text *texts; /* the file's, then its partials' as in the trace */
};

static void stamp_from(const struct stat *st, struct endpoint_stamp *stamp)
{
	*stamp = (struct endpoint_stamp){
		.device = st->st_dev, .inode = st->st_ino, .size = st->st_size, .modified = st->st_mtim, .changed = st->st_ctim};
}

/* The part of a path in front of the file's name, with its slash. */
static int folder_length(const char *file)
{
	const char *slash = strrchr(file, '/');

	return slash == NULL ? 0 : (int)(slash - file) + 1;
}

static char *partial_path(struct arena *arena, const char *file, const char *name)
{
	return arena_printf(arena, "%.*s_%s" SUFFIX, folder_length(file), file, name);
}

static enum rc system_error(struct loading *ld, const char *file, const char *what)
{
	int error = errno;
	const char *usual = ld->list->file;

	ld->list->file = file;
	diagnostics_error(ld->list, 0, 0, NULL, "%s: %s", what, strerror(error));
	ld->list->file = usual;
	ld->trace->unread = true;
	errno = error;
	return RC_SYS;
}

static enum rc error_at(struct loading *ld, const char *file, unsigned line, unsigned column, const char *what)
{
	const char *usual = ld->list->file;

	ld->list->file = file;
	diagnostics_error(ld->list, line, column, NULL, "%s", what);
	ld->list->file = usual;
	return RC_INVALID;
}

static enum rc file_error(struct loading *ld, const char *file, const char *what)
{
	return error_at(ld, file, 0, 0, what);
}

/* Of the character that the text begins with: 0 where it is none, or a NUL. */
static size_t character_length(const char *text, size_t n)
{
	for (size_t len = 1; len <= 4 && len <= n && text[0] != '\0'; len++)
		if (str_utf8_valid(text, len))
			return len;
	return 0;
}

static enum rc not_text(struct loading *ld, const char *file, const char *bytes, size_t n)
{
	unsigned line = 1, column = 1;

	for (size_t at = 0, len; at < n && (len = character_length(bytes + at, n - at)) > 0; at += len) {
		bool ends = bytes[at] == '\n' || (bytes[at] == '\r' && (at + 1 == n || bytes[at + 1] != '\n'));

		line += ends;
		column = ends ? 1 : column + 1;
	}
	return error_at(ld, file, line, column, "the file is not UTF-8 text");
}

/* What the file held when its size was asked for. One that is written to just now is found changed, and read again, when it is next asked for. */
static enum rc read_all(struct loading *ld, int fd, const char *file, size_t size, struct endpoint_text *out)
{
	char *bytes = arena_alloc(ld->endpoint->arena, size + 1);
	size_t len = 0;
	ssize_t n = 1;

	if (bytes == NULL)
		return RC_NOMEM;
	while (n != 0 && len < size) {
		n = read(fd, bytes + len, size - len);
		if (n < 0 && errno != EINTR)
			return system_error(ld, file, "cannot be read");
		len += n > 0 ? (size_t)n : 0;
	}
	if (len == 0) /* as it is for a moment while an editor saves */
		return file_error(ld, file, "the file is empty");
	if (!str_utf8_valid(bytes, len) || memchr(bytes, '\0', len) != NULL)
		return not_text(ld, file, bytes, len);
	*out = (struct endpoint_text){.bytes = bytes, .len = len};
	return RC_OK;
}

static enum rc read_regular(struct loading *ld, int fd, const char *file, struct endpoint_stamp *stamp, struct endpoint_text *out)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return system_error(ld, file, "cannot be read");
	stamp_from(&st, stamp);
	ld->trace->linked |= st.st_nlink > 1;
	if (!S_ISREG(st.st_mode))
		return file_error(ld, file, "it is not a regular file");
	if (st.st_size > FILE_MAX)
		return file_error(ld, file, "the file is larger than 256 KiB");
	return read_all(ld, fd, file, (size_t)st.st_size, out);
}

/* O_NONBLOCK: opening a FIFO that somebody put there must not hang. */
static enum rc read_file(struct loading *ld, const char *file, struct endpoint_stamp *stamp, struct endpoint_text *out)
{
	struct statx st;
	enum rc rc;
	int fd;

	if (statx(AT_FDCWD, file, AT_SYMLINK_NOFOLLOW, STATX_TYPE, &st) == 0 && (S_ISLNK(st.stx_mode) || (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0))
		ld->trace->linked = true;
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return system_error(ld, file, "cannot be opened");
	rc = read_regular(ld, fd, file, stamp, out);
	close(fd);
	return rc;
}

/* A text that was given; the arena's copy, since it lives as long as the endpoint. */
static enum rc take_given(struct loading *ld, const char *name, struct endpoint_text *out)
{
	for (unsigned i = 0; i < ld->given_count; i++) {
		if (!str_eq(ld->given[i].name, name))
			continue;
		out->bytes = arena_strndup(ld->endpoint->arena, ld->given[i].bytes, ld->given[i].len);
		out->len = ld->given[i].len;
		return out->bytes == NULL ? RC_NOMEM : RC_OK;
	}
	return RC_NOTFOUND;
}

static enum rc read_partial_file(struct loading *ld, const char *path, struct endpoint_stamp *stamp, struct endpoint_text *out)
{
	struct stat st;
	enum rc rc;

	if (stat(path, &st) != 0 && (errno == ENOENT || errno == ENOTDIR))
		return RC_NOTFOUND;
	rc = read_file(ld, path, stamp, out);
	return rc == RC_SYS ? RC_INVALID : rc;
}

static enum rc read_partial(void *user, struct arena *arena, const char *name, const char **text, size_t *len)
{
	struct loading *ld = user;
	struct endpoint_trace *trace = ld->trace;
	unsigned i = trace->partial_count;
	struct endpoint_text *out = &ld->texts[1 + i];
	char *path;
	enum rc rc;

	if (!endpoint_name_valid(name, strlen(name), true))
		return RC_NOTFOUND;
	path = partial_path(arena, ld->endpoint->file, name);
	if (path == NULL)
		return RC_NOMEM;
	if (i == ENDPOINT_PARTIALS_MAX)
		return file_error(ld, path, "one partial too many: a file may use 32");
	trace->partial_count++;
	snprintf(trace->partials[i].name, sizeof trace->partials[i].name, "%s", name);
	rc = ld->given != NULL ? take_given(ld, name, out) : read_partial_file(ld, path, &trace->partials[i].stamp, out);
	out->name = arena_strdup(ld->endpoint->arena, name);
	*text = out->bytes;
	*len = out->len;
	return rc == RC_OK && out->name == NULL ? RC_NOMEM : rc;
}

static enum rc make_version(struct loading *ld)
{
	struct token_piece pieces[2 * (1 + ENDPOINT_PARTIALS_MAX)];
	size_t count = 0;

	for (unsigned i = 0; i <= ld->trace->partial_count; i++) {
		pieces[count++] = (struct token_piece){.bytes = ld->texts[i].name, .len = strlen(ld->texts[i].name)};
		pieces[count++] = (struct token_piece){.bytes = ld->texts[i].bytes, .len = ld->texts[i].len};
	}
	return token_sha256_pieces(pieces, count, ld->endpoint->version);
}

/* A file may be there for its front matter alone (render prints no message for it); an endpoint without a word has nothing to send. */
static enum rc compile_body(struct loading *ld, const struct frontmatter_body *body)
{
	const struct template_partials partials = {.read = read_partial, .user = ld};
	struct template *template = NULL;
	enum rc rc;

	ld->endpoint->blank = lexer_blank(body->text, body->len);
	if (ld->endpoint->blank)
		diagnostics_warning(ld->list, body->line, body->column, "write what the model is told; {{history}} alone passes a conversation on",
				    "the file has no body: no request can be answered");
	rc = template_compile(ld->endpoint->arena, body->text, body->len, body->line, body->column, &partials, &template, ld->list);
	ld->endpoint->template = template;
	ld->endpoint->converses |= rc == RC_OK && template_has_history(template);
	return rc;
}

/* Front matter and template are both looked at whatever is wrong with the first, so that all errors are told at once. */
static enum rc compile(struct loading *ld)
{
	struct frontmatter_body body = {.text = NULL};
	enum rc rc = frontmatter_read(ld->endpoint, ld->texts[0].bytes, ld->texts[0].len, &body, ld->list), body_rc;

	if (rc == RC_NOMEM || body.text == NULL)
		return rc;
	body_rc = compile_body(ld, &body);
	rc = rc == RC_OK ? body_rc : rc;
	return rc == RC_OK ? make_version(ld) : rc;
}

bool endpoint_name_valid(const char *name, size_t n, bool partial)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	for (size_t i = 0; i < n; i++)
		if (name[i] == '\0' || strchr(allowed, name[i]) == NULL)
			return false;
	return n > 0 && n <= ENDPOINT_NAME_MAX && strchr(partial ? "." : "-_.", name[0]) == NULL;
}

static enum rc set_name(struct loading *ld, const char *file)
{
	struct endpoint *endpoint = ld->endpoint;
	const char *base = file + folder_length(file);
	size_t n = strlen(base), suffix = strlen(SUFFIX);

	endpoint->file = arena_strdup(endpoint->arena, file);
	if (n > suffix && str_eq(base + n - suffix, SUFFIX))
		n -= suffix;
	endpoint->name = arena_strndup(endpoint->arena, base, n);
	if (endpoint->file == NULL || endpoint->name == NULL)
		return RC_NOMEM;
	if (!endpoint_name_valid(base, n, false))
		return file_error(ld, file, "a file's name must be of letters, digits, '-', '_' and '.', at most 64, and begin with a letter or digit");
	return RC_OK;
}

static enum rc load(struct loading *ld, const char *file)
{
	struct endpoint *endpoint = ld->endpoint;
	enum rc rc = set_name(ld, file);

	ld->texts = arena_array(endpoint->arena, 1 + ENDPOINT_PARTIALS_MAX, sizeof *ld->texts);
	if (ld->texts == NULL)
		return RC_NOMEM;
	if (rc == RC_OK)
		rc = ld->given != NULL ? take_given(ld, "", &ld->texts[0]) : read_file(ld, file, &ld->trace->file, &ld->texts[0]);
	ld->texts[0].name = "";
	if (rc == RC_OK)
		rc = compile(ld);
	endpoint->texts = ld->texts;
	endpoint->text_count = 1 + ld->trace->partial_count;
	return rc;
}

/* `ld` names the trace and the list, and the texts where they are given. */
static enum rc load_within(struct loading *ld, const char *file, const struct endpoint_bounds *bounds, struct endpoint **out)
{
	struct arena *arena = arena_new(ARENA_MAX);
	enum rc rc;

	*ld->trace = (struct endpoint_trace){.linked = false};
	ld->endpoint = arena == NULL ? NULL : arena_alloc(arena, sizeof *ld->endpoint);
	if (ld->endpoint == NULL) {
		arena_free(arena);
		return RC_NOMEM;
	}
	ld->endpoint->arena = arena;
	ld->endpoint->bounds = bounds;
	rc = load(ld, file);
	if (rc == RC_NOMEM && arena_full(arena)) /* it is the file: each try would end so */
		rc = file_error(ld, file, "the file takes more memory than an endpoint may have: it has too many mustaches, keys or parts");
	if (rc == RC_OK) {
		*out = ld->endpoint;
	} else {
		int error = errno;

		arena_free(arena);
		errno = error;
	}
	return rc;
}

enum rc endpoint_load_traced(const char *file, const struct endpoint_bounds *bounds, struct endpoint **out, struct diagnostics *list,
                             struct endpoint_trace *trace)
{
	struct loading ld = {.list = list, .trace = trace};

	return load_within(&ld, file, bounds, out);
}

enum rc endpoint_load_texts(const char *file, const struct endpoint_bounds *bounds, const struct endpoint_text *texts, unsigned count,
                            struct endpoint **out, struct diagnostics *list)
{
	struct endpoint_trace trace;
	struct loading ld = {.list = list, .trace = &trace, .given = texts, .given_count = count};

	return load_within(&ld, file, bounds, out);
}

enum rc endpoint_load(const char *file, const struct endpoint_bounds *bounds, struct endpoint **out, struct diagnostics *list)
{
	struct endpoint_trace trace;

	return endpoint_load_traced(file, bounds, out, list, &trace);
}

void endpoint_free(struct endpoint *endpoint)
{
	if (endpoint != NULL)
		arena_free(endpoint->arena);
}

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool is_unchanged(const char *path, const struct endpoint_stamp *before)
{
	struct endpoint_stamp now = {.size = 0};
	struct stat st;

	if (stat(path, &st) == 0)
		stamp_from(&st, &now);
	return now.device == before->device && now.inode == before->inode && now.size == before->size && same_time(&now.modified, &before->modified) &&
	       same_time(&now.changed, &before->changed);
}

/* Another file in its place came without a word where something was mounted there. */
static bool has_one_name(const char *path, const struct endpoint_stamp *before)
{
	struct stat st;

	return before->inode == 0 || stat(path, &st) != 0 || (st.st_nlink == 1 && st.st_ino == before->inode && st.st_dev == before->device);
}

static bool holds_for_all(const char *file, const struct endpoint_trace *trace, bool (*holds)(const char *path, const struct endpoint_stamp *before))
{
	char path[4096];

	if (!holds(file, &trace->file))
		return false;
	for (unsigned i = 0; i < trace->partial_count; i++) {
		int n = snprintf(path, sizeof path, "%.*s_%s" SUFFIX, folder_length(file), file, trace->partials[i].name);

		if (n < 0 || (size_t)n >= sizeof path || !holds(path, &trace->partials[i].stamp))
			return false;
	}
	return true;
}

bool endpoint_trace_holds(const char *file, const struct endpoint_trace *trace)
{
	return holds_for_all(file, trace, is_unchanged);
}

bool endpoint_trace_linked(const char *file, const struct endpoint_trace *trace)
{
	return trace->linked || !holds_for_all(file, trace, has_one_name);
}

const struct value *endpoint_input(const struct endpoint *endpoint, struct arena *arena, const struct value *sent)
{
	const struct value *standard = endpoint->input_default;
	struct value *both;

	if (standard == NULL)
		return sent != NULL ? sent : value_object(arena);
	both = value_object(arena);
	for (size_t i = 0; i < standard->u.object.count && both != NULL; i++) {
		const struct value_member *member = &standard->u.object.members[i];
		const struct value *own = value_getn(sent, member->key, member->key_len);

		if (value_add(arena, both, member->key, member->key_len, own != NULL ? (struct value *)(uintptr_t)own : member->value) != RC_OK)
			return NULL;
	}
	for (size_t i = 0; sent != NULL && i < sent->u.object.count && both != NULL; i++) {
		const struct value_member *member = &sent->u.object.members[i];

		if (value_getn(standard, member->key, member->key_len) == NULL && value_add(arena, both, member->key, member->key_len, member->value) != RC_OK)
			return NULL;
	}
	return both;
}

enum rc endpoint_render(const struct endpoint *endpoint, struct arena *arena, const struct template_data *data, struct messages *out)
{
	struct template_data given = *data;

	if (given.prompt == NULL)
		given.prompt = endpoint->prompt;
	return template_render(endpoint->template, arena, &given, out);
}
