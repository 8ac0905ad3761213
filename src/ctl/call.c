/*
 * call.c - promptctl call: one request through the whole pipeline, for a file that need not be deployed yet.
 *
 * A child process is the application, with the pool's settings but this file's directory; this process is the web server. So the caller's key, the
 * limits, the cache, the provider and the ledger are the real ones, and no daemon has to run. When this process is interrupted, the child notices it
 * as it would notice a caller who left, and settles.
 */
#include <errno.h>
#include <libgen.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"
#include "ctl/ctl.h"
#include "ctl/fastcgi.h"
#include "port/json.h"
#include "request/pipeline.h"

#define PREFIX "/call"
#define INPUT_MAX ((size_t)64 << 20)
#define HEAD_MAX 65536
#define DRAIN_MS 5000

struct call {
	struct ctl *ctl;
	struct settings settings;
	const char *name; /* of the endpoint */
	const char *body;
	size_t body_len;
	bool stream, events, verbose;
	struct buf head; /* of the answer, until its empty line */
	bool head_done;
	int status;
};

/* The application's side. */
static int serve(struct call *call, int listen_fd)
{
	char worker[SERVICE_WORKER_SIZE];
	struct service *service = NULL;
	struct fcgi *fcgi = NULL;
	enum rc rc;

	signal(SIGINT, SIG_IGN);
	log_open(STDERR_FILENO, call->verbose ? LOG_DEBUG_ : LOG_ERROR_);
	snprintf(worker, sizeof worker, "promptctl:%ld", (long)getpid());
	rc = fcgi_init();
	if (rc == RC_OK)
		rc = fcgi_new(listen_fd, &fcgi);
	if (rc == RC_OK)
		rc = service_new(&call->settings, worker, NULL, &service);
	if (rc == RC_OK)
		rc = fcgi_accept(fcgi);
	if (rc == RC_OK) {
		pipeline_serve(service, fcgi);
		rc = service_drain(service, DRAIN_MS);
	}
	service_free(service);
	fcgi_free(fcgi);
	return rc == RC_OK ? 0 : 1;
}

static enum rc put(const char *bytes, size_t n)
{
	return fwrite(bytes, 1, n, stdout) == n && fflush(stdout) == 0 ? RC_OK : RC_GONE;
}

/* The head goes to standard error with --verbose, the body to standard output as it comes. */
static enum rc take_stdout(void *user, const char *bytes, size_t n)
{
	struct call *call = user;
	const char *end, *status;

	if (call->head_done)
		return put(bytes, n);
	if (buf_add(&call->head, bytes, n) != RC_OK)
		return RC_PROTOCOL;
	end = strstr(buf_text(&call->head), "\r\n\r\n");
	if (end == NULL)
		return RC_OK;
	call->head_done = true;
	end += 4;
	status = strstr(buf_text(&call->head), "Status: ");
	call->status = status != NULL && status < end ? atoi(status + 8) : 200;
	if (call->verbose)
		fprintf(stderr, "%.*s", (int)(end - buf_text(&call->head)), buf_text(&call->head));
	return put(end, call->head.len - (size_t)(end - buf_text(&call->head)));
}

static enum rc take_stderr(void *user, const char *bytes, size_t n)
{
	(void)user;
	fwrite(bytes, 1, n, stderr);
	return RC_OK;
}

static enum rc send_all(int fd, const struct buf *bytes)
{
	for (size_t sent = 0; sent < bytes->len;) {
		ssize_t n = send(fd, bytes->data + sent, bytes->len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR)
			return RC_GONE;
		sent += n < 0 ? 0 : (size_t)n;
	}
	return RC_OK;
}

static enum rc receive_all(struct call *call, int fd)
{
	struct fastcgi_reader reader = {.on_stdout = take_stdout, .on_stderr = take_stderr, .user = call};
	char piece[16384];
	enum rc rc = RC_OK;

	while (rc == RC_OK && !reader.ended) {
		ssize_t n = recv(fd, piece, sizeof piece, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return RC_PROTOCOL;
		rc = fastcgi_feed(&reader, piece, (size_t)n);
	}
	return rc;
}

static enum rc build(struct call *call, struct buf *out)
{
	struct arena *arena = call->ctl->arena;
	const char *key = getenv("PROMPT_FPM_KEY");
	const char *authorization = arena_printf(arena, "Bearer %s", key == NULL ? "" : key);
	const char *uri = arena_printf(arena, PREFIX "/%s", call->name), *length = arena_printf(arena, "%zu", call->body_len);
	const struct fastcgi_param params[] = {
		{"REQUEST_METHOD", "POST"},       {"SERVER_PROTOCOL", "HTTP/1.1"},
		{"REMOTE_ADDR", "127.0.0.1"},     {"GATEWAY_INTERFACE", "CGI/1.1"},
		{"CONTENT_TYPE", "application/json"}, {"HTTP_ACCEPT", call->events ? "text/event-stream" : "*/*"},
		{"REQUEST_URI", uri},             {"SCRIPT_NAME", uri},
		{"CONTENT_LENGTH", length},       {"HTTP_AUTHORIZATION", authorization},
	};

	if (authorization == NULL || uri == NULL || length == NULL)
		return RC_NOMEM;
	return fastcgi_request(out, params, COUNT_OF(params), call->body, call->body_len);
}

/* The web server's side. */
static enum rc exchange(struct call *call, int fd)
{
	struct buf out;
	enum rc rc;

	buf_init(&out, call->ctl->arena, INPUT_MAX + (1u << 20));
	buf_init(&call->head, call->ctl->arena, HEAD_MAX);
	rc = build(call, &out);
	if (rc == RC_OK)
		rc = send_all(fd, &out);
	return rc == RC_OK ? receive_all(call, fd) : rc;
}

/* A listening socket that this process has connected to already, and that nobody else can find. */
static enum rc make_sockets(int *listen_fd, int *fd)
{
	char directory[] = "/tmp/promptctl-XXXXXX";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	bool good;

	if (mkdtemp(directory) == NULL)
		return RC_SYS;
	snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", directory);
	*listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	good = *listen_fd >= 0 && *fd >= 0 && bind(*listen_fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(*listen_fd, 1) == 0 &&
	       connect(*fd, (struct sockaddr *)&address, sizeof address) == 0;
	unlink(address.sun_path);
	rmdir(directory);
	return good ? RC_OK : RC_SYS;
}

static enum ctl_status verdict(const struct call *call, enum rc rc, int ended)
{
	if (ferror(stdout))
		return CTL_CANNOT; /* main says so */
	if (!call->head_done)
		return ctl_cannot("no answer came%s", call->verbose ? "" : ": --verbose shows the log");
	if (rc != RC_OK)
		return ctl_cannot("the answer broke off");
	if (ended != 0)
		ctl_cannot("the request could not be settled: it is ended by the next sweep");
	return call->status < 400 ? CTL_DONE : CTL_NO;
}

static enum ctl_status run(struct call *call)
{
	int listen_fd = -1, fd = -1, ended = 0;
	enum rc rc = make_sockets(&listen_fd, &fd);
	pid_t child = rc == RC_OK ? fork() : -1;

	if (child < 0)
		return ctl_cannot("%s", strerror(errno));
	if (child == 0) {
		close(fd);
		exit(serve(call, listen_fd));
	}
	close(listen_fd);
	rc = exchange(call, fd);
	close(fd);
	while (waitpid(child, &ended, 0) < 0 && errno == EINTR)
		;
	return verdict(call, rc, ended);
}

/* The pool's settings, except for where its endpoints are and stand. */
static enum ctl_status configure(struct call *call, const char *config, const char *file)
{
	char *copy = arena_strdup(call->ctl->arena, file), *directory = copy == NULL ? NULL : arena_strdup(call->ctl->arena, dirname(copy));
	enum ctl_status status = ctl_settings(config, &call->settings);

	if (status != CTL_DONE)
		return status;
	if (directory == NULL || settings_set(&call->settings, call->settings.pool, "endpoints", directory, 0) != NULL ||
	    settings_set(&call->settings, call->settings.pool, "prefix", PREFIX, 0) != NULL)
		return ctl_cannot("out of memory");
	return CTL_DONE;
}

/* With --stream: the body with `"stream": true` in it. */
static enum ctl_status add_stream(struct call *call)
{
	struct arena *arena = call->ctl->arena;
	struct value *body;
	struct buf out;

	if (json_parse(arena, call->body, call->body_len, &body, NULL) != RC_OK || body->type != VALUE_OBJECT)
		return ctl_cannot("standard input: is not a JSON object");
	buf_init(&out, arena, INPUT_MAX * 2);
	if (value_set(arena, body, "stream", 6, value_bool(arena, true)) != RC_OK || value_write(&out, body, 0) != RC_OK)
		return ctl_cannot("out of memory");
	call->body = buf_text(&out);
	call->body_len = out.len;
	return CTL_DONE;
}

static enum ctl_status prepare(struct call *call, const char *config)
{
	const char *file = call->ctl->operands[0];
	struct endpoint *endpoint;
	enum ctl_status status;

	if (!ctl_is_prompt(file))
		return ctl_cannot("%s: an endpoint's file is named *.prompt", file);
	endpoint = ctl_endpoint(call->ctl, file);
	if (endpoint == NULL)
		return call->ctl->status;
	call->name = arena_strdup(call->ctl->arena, endpoint->name);
	endpoint_free(endpoint);
	if (call->name == NULL)
		return ctl_cannot("out of memory");
	status = configure(call, config, file);
	if (status != CTL_DONE)
		return status;
	if (!isatty(STDIN_FILENO) && ctl_read(call->ctl, "-", INPUT_MAX, &call->body, &call->body_len) != RC_OK)
		return CTL_CANNOT;
	if (call->body_len == 0) {
		call->body = "{}";
		call->body_len = 2;
	}
	return call->stream || call->events ? add_stream(call) : CTL_DONE;
}

enum ctl_status call_run(struct ctl *ctl)
{
	const char *config = ctl_settings_file;
	struct call call = {.ctl = ctl};
	const struct ctl_option options[] = {
		{"config", "FILE", "the settings file, where it is not the installed one", &config, NULL},
		{"stream", NULL, "ask for a stream, and show it as it comes", NULL, &call.stream},
		{"events", NULL, "ask for it as server-sent events, with the usage at its end", NULL, &call.events},
		{"verbose", NULL, "show the answer's head and the log on standard error", NULL, &call.verbose},
	};
	enum ctl_status status;

	if (!ctl_options(ctl, options, COUNT_OF(options), 1, 1))
		return ctl->status;
	if (getenv("PROMPT_FPM_KEY") == NULL)
		return ctl_cannot("PROMPT_FPM_KEY must hold a caller's key, such as promptctl key create makes");
	settings_init(&call.settings);
	status = prepare(&call, config);
	if (status == CTL_DONE)
		status = run(&call);
	settings_free(&call.settings);
	return status;
}
