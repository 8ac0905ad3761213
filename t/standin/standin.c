/*
 * standin.c - a provider that is not one: speaks OpenAI's and Anthropic's protocols on the loopback address, counts what it
 * saw and misbehaves on request, so that tests and measurements need no network and no money.
 *
 * control.h has the paths that a test asks, directive.c the words that a message may hold. Prints "listening PORT" and goes on until SIGTERM.
 */
#include <err.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "call.h"
#include "control.h"
#include "counts.h"
#include "record.h"

static const char usage[] =
	"usage: standin [--port N] [--key KEY] [--cert FILE --key-file FILE] [--delay-ms N] [--piece-delay-ms N] [--pieces N] [--record]\n"
	"  --port N            on 127.0.0.1; 0, the default: any, as \"listening PORT\" tells\n"
	"  --key KEY           what callers must present\n"
	"  --cert, --key-file  speak TLS with these PEM files\n"
	"  --delay-ms N        pause before an answer\n"
	"  --piece-delay-ms N  pause between the pieces of a stream\n"
	"  --pieces N          pieces of a reply (8)\n"
	"  --record            keep what became of each call, for GET /_calls\n";

struct options {
	int port;
	const char *cert, *key_file;
};

static void handle(struct http_conn *conn, const struct http_request *request)
{
	static const struct protocol *const protocols[] = {&openai_protocol, &anthropic_protocol};
	static const char unknown[] = "{\"error\": {\"message\": \"no such path; " STANDIN_SECRET "\"}}\n";

	if (strncmp(request->path, "/_", 2) == 0) {
		control_answer(conn, request);
		return;
	}
	control_remember(request);
	for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++) {
		if (strcmp(request->path, protocols[i]->path) == 0 && strcmp(request->method, "POST") == 0) {
			call_begin(conn, request, protocols[i]);
			return;
		}
	}
	counts_status(404);
	http_answer(conn, 404, "", "application/json", unknown, sizeof unknown - 1);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	event_base_loopbreak(arg);
}

static void raise_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void read_options(int argc, char **argv, struct options *options, struct call_defaults *defaults)
{
	static const struct option table[] = {
		{"port", required_argument, NULL, 'p'},     {"key", required_argument, NULL, 'k'},
		{"cert", required_argument, NULL, 'c'},     {"key-file", required_argument, NULL, 'f'},
		{"delay-ms", required_argument, NULL, 'd'}, {"piece-delay-ms", required_argument, NULL, 'e'},
		{"pieces", required_argument, NULL, 'n'},   {"record", no_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
	};

	for (int c; (c = getopt_long(argc, argv, "", table, NULL)) != -1;) {
		if (c == 'p')
			options->port = atoi(optarg);
		else if (c == 'k')
			defaults->key = optarg;
		else if (c == 'c')
			options->cert = optarg;
		else if (c == 'f')
			options->key_file = optarg;
		else if (c == 'd')
			defaults->plan.start_ms = atol(optarg);
		else if (c == 'e')
			defaults->piece_ms = atol(optarg);
		else if (c == 'n')
			defaults->plan.pieces = atol(optarg);
		else if (c == 'r')
			record_start();
		else
			errx(c == 'h' ? 0 : 2, "\n%s", usage);
	}
}

static struct event_base *open_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	if (base == NULL)
		errx(1, "libevent does not start");
	return base;
}

int main(int argc, char **argv)
{
	struct options options = {0};
	struct call_defaults defaults = {0};
	int port;

	plan_init(&defaults.plan);
	read_options(argc, argv, &options, &defaults);
	signal(SIGPIPE, SIG_IGN);
	raise_files();
	defaults.base = open_base();
	call_setup(&defaults);
	control_setup(defaults.base);
	evsignal_add(evsignal_new(defaults.base, SIGTERM, on_signal, defaults.base), NULL);
	evsignal_add(evsignal_new(defaults.base, SIGINT, on_signal, defaults.base), NULL);
	port = http_listen(defaults.base, options.port, options.cert, options.key_file, handle);
	printf("listening %d\n", port);
	fflush(stdout);
	event_base_dispatch(defaults.base);
	return 0;
}
