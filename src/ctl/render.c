/*
 * render.c - promptctl render: the messages that a .prompt file makes of an input, without database, provider or server.
 */
#include <unistd.h>

#include "base/str.h"
#include "ctl/ctl.h"
#include "port/json.h"

#define STDIN_MAX ((size_t)16 << 20)
#define OUTPUT_MAX ((size_t)64 << 20) /* TEMPLATE_OUTPUT_MAX, each byte escaped */

static enum rc complain_json(const char *text, const struct json_error *error)
{
	unsigned line = 1, column = 1;

	if (error->offset == JSON_SOMEWHERE) {
		fprintf(stderr, "stdin: %s\n", error->reason);
		return RC_INVALID;
	}
	for (size_t i = 0; i < error->offset; i++) {
		line += text[i] == '\n';
		column = text[i] == '\n' ? 1 : column + (((unsigned char)text[i] & 0xC0) != 0x80);
	}
	fprintf(stderr, "stdin:%u:%u: %s\n", line, column, error->reason);
	return RC_INVALID;
}

static bool is_blank(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r' && text[i] != '\n')
			return false;
	return true;
}

/* What came on standard input; an empty object where nothing did. */
static enum rc read_stdin(struct ctl *ctl, struct value **out)
{
	struct json_error error = {0};
	const char *text = "";
	size_t n = 0;
	enum rc rc = isatty(STDIN_FILENO) ? RC_OK : ctl_read(ctl, "-", STDIN_MAX, &text, &n);

	if (rc != RC_OK)
		return rc;
	if (is_blank(text, n)) {
		*out = value_object(ctl->arena);
		return *out == NULL ? RC_NOMEM : RC_OK;
	}
	rc = json_parse(ctl->arena, text, n, out, &error);
	if (rc == RC_INVALID)
		return complain_json(text, &error);
	if (rc == RC_OK && (*out)->type != VALUE_OBJECT) {
		fprintf(stderr, "stdin:1:1: must be an object such as {\"input\": {}, \"messages\": [], \"context\": {}}\n");
		return RC_INVALID;
	}
	return rc;
}

static enum rc take_member(struct ctl *ctl, const struct value_member *member, struct template_data *data, struct messages *history)
{
	enum value_type wanted = str_eq(member->key, "messages") ? VALUE_ARRAY : VALUE_OBJECT;
	const char *reason;

	if (member->value->type != wanted && member->value->type != VALUE_NULL) {
		fprintf(stderr, "stdin: \"%s\" must be an %s\n", member->key, value_type_name(wanted));
		return RC_INVALID;
	}
	if (member->value->type == VALUE_NULL)
		return RC_OK;
	if (str_eq(member->key, "input"))
		data->input = member->value;
	if (str_eq(member->key, "context"))
		data->context = member->value;
	if (wanted == VALUE_OBJECT)
		return RC_OK;
	if (message_read(ctl->arena, member->value, history, &reason) != RC_OK) {
		fprintf(stderr, "stdin: \"messages\": %s\n", reason);
		return RC_INVALID;
	}
	data->history = history;
	return RC_OK;
}

static enum rc take_data(struct ctl *ctl, const struct value *given, struct template_data *data, struct messages *history)
{
	static const char *const known[] = {"input", "messages", "context"};

	for (size_t i = 0; i < given->u.object.count; i++) {
		const struct value_member *member = &given->u.object.members[i];
		size_t k = 0;

		while (k < COUNT_OF(known) && !str_eq(member->key, known[k]))
			k++;
		if (k == COUNT_OF(known))
			fprintf(stderr, "stdin: warning: \"%s\" is not looked at: input, messages and context are\n", member->key);
		else if (take_member(ctl, member, data, history) != RC_OK)
			return RC_INVALID;
	}
	return RC_OK;
}

/* With --check: what a request with this input would be refused for. */
static enum ctl_status check(struct ctl *ctl, const struct endpoint *endpoint, const struct value *input)
{
	struct schema_faults faults = {0};
	enum rc rc;

	if (endpoint->input == NULL)
		return CTL_DONE;
	rc = schema_check(endpoint->input, ctl->arena, input, NULL, &faults);
	for (unsigned i = 0; i < faults.count; i++)
		fprintf(stderr, "input%s: %s\n", faults.items[i].path, faults.items[i].reason);
	if (rc == RC_OK)
		return CTL_DONE;
	return rc == RC_INVALID ? CTL_NO : ctl_cannot("%s", rc_name(rc));
}

static enum ctl_status render(struct ctl *ctl, const struct endpoint *endpoint, const struct value *given, bool checked)
{
	struct template_data data = {0};
	struct messages history = {0}, messages = {0};
	enum ctl_status status;
	struct buf buf;
	enum rc rc;

	if (take_data(ctl, given, &data, &history) != RC_OK)
		return CTL_CANNOT;
	data.input = endpoint_input(endpoint, ctl->arena, data.input);
	status = data.input == NULL ? ctl_cannot("out of memory") : checked ? check(ctl, endpoint, data.input) : CTL_DONE;
	if (status != CTL_DONE)
		return status;
	rc = endpoint_render(endpoint, ctl->arena, &data, &messages);
	if (rc != RC_OK)
		return ctl_cannot("%s: cannot be rendered: %s", endpoint->file, rc == RC_TOOBIG ? "it grows past the caps on output and loops" : rc_name(rc));
	buf_init(&buf, ctl->arena, OUTPUT_MAX);
	if (message_write(&buf, &messages, false) != RC_OK)
		return ctl_cannot("%s", rc_name(buf.rc));
	puts(buf_text(&buf));
	return CTL_DONE;
}

enum ctl_status render_run(struct ctl *ctl)
{
	bool checked = false;
	const struct ctl_option options[] = {{"check", NULL, "validate the input first, as a request's would be", NULL, &checked}};
	struct endpoint *endpoint;
	struct value *given;

	if (!ctl_options(ctl, options, COUNT_OF(options), 1, 1))
		return ctl->status;
	endpoint = ctl_endpoint(ctl, ctl->operands[0]);
	if (endpoint == NULL)
		return ctl->status;
	if (read_stdin(ctl, &given) != RC_OK)
		ctl->status = CTL_CANNOT;
	else
		ctl->status = render(ctl, endpoint, given, checked);
	endpoint_free(endpoint);
	return ctl->status;
}
