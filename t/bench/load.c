/*
 * load.c - makes load on an endpoint and measures what comes back, bounded in count and time.
 *
 *   load plain  --url URL --body TEXT …   callers that keep their connections busy: requests a second and latency
 *   load stream --url URL --body TEXT …   so many streams at once, one each: lag of each piece from its <t=…> stamp
 *   load cut    --url URL --body TEXT …   callers that leave after a random number of bytes
 * One line of key=value on standard output, one for people on standard error. Exit status 0 where no request failed, 1 where one did.
 */
#include <arpa/inet.h>
#include <err.h>
#include <event2/event.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "load_client.h"

#define LIST_MAX 10000

static const char usage[] =
	"usage: load plain|stream|cut --url http://127.0.0.1:PORT/PATH --body TEXT [options]\n"
	"  --body TEXT        of the request, %n in it becomes a number of its own; may be given often, taken in turn\n"
	"  --callers N        connections at once (32); for stream: the number of streams\n"
	"  --requests N       in all, without it until the time is over (stream: one each)\n"
	"  --seconds S        begin no request after so long (10)\n"
	"  --limit S          give up altogether after so long (seconds + 60)\n"
	"  --keys FILE        callers' keys, one a line, taken in turn\n"
	"  --header LINE      a further header; may be given often\n"
	"  --expect TEXT      must stand near the end of a good answer\n"
	"  --cut-max N        cut: leave after 1 to N bytes of body (4000)\n"
	"  --seed N           of what is random (1)\n";

struct list {
	const char *at[LIST_MAX];
	long count;
};

static struct list bodies, keys, headers;
static struct load_plan plan;
static struct load_tally tally;
static const char *mode = "";
static long seconds = 10, limit;

static void add(struct list *list, const char *text)
{
	if (list->count == LIST_MAX)
		errx(2, "more than %d of one kind", LIST_MAX);
	list->at[list->count++] = text;
}

static void read_keys(const char *file)
{
	FILE *in = fopen(file, "r");
	char *line = NULL;
	size_t room = 0;

	if (in == NULL)
		err(2, "%s", file);
	while (getline(&line, &room, in) > 0) {
		line[strcspn(line, "\r\n")] = '\0';
		if (*line != '\0')
			add(&keys, strdup(line));
	}
	free(line);
	fclose(in);
}

static void read_url(const char *url)
{
	char address[64];
	int port = 80, n = 0;

	if (sscanf(url, "http://%63[0-9.]:%d%n", address, &port, &n) < 2 || url[n] != '/')
		errx(2, "%s: must be http://ADDRESS:PORT/PATH", url);
	plan.to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	if (inet_pton(AF_INET, address, &plan.to.sin_addr) != 1)
		errx(2, "%s: not an address", address);
	plan.path = url + n;
	plan.host = strdup(address);
}

enum option_id { URL = 1, BODY, CALLERS, REQUESTS, SECONDS, LIMIT, KEYS, HEADER, EXPECT, CUT_MAX, SEED, HELP };

static void take_option(int id, const char *value)
{
	switch ((enum option_id)id) {
	case URL:
		read_url(value);
		break;
	case BODY:
		add(&bodies, value);
		break;
	case CALLERS:
		plan.callers = atol(value);
		break;
	case REQUESTS:
		plan.requests = atol(value);
		break;
	case SECONDS:
		seconds = atol(value);
		break;
	case LIMIT:
		limit = atol(value);
		break;
	case KEYS:
		read_keys(value);
		break;
	case HEADER:
		add(&headers, value);
		break;
	case EXPECT:
		plan.expect = value;
		break;
	case CUT_MAX:
		plan.cut_max = atol(value);
		break;
	case SEED:
		srandom((unsigned)atol(value));
		break;
	case HELP:
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

static void read_options(int argc, char **argv)
{
	static const struct option table[] = {
		{"url", required_argument, NULL, URL},           {"body", required_argument, NULL, BODY},
		{"callers", required_argument, NULL, CALLERS},   {"requests", required_argument, NULL, REQUESTS},
		{"seconds", required_argument, NULL, SECONDS},   {"limit", required_argument, NULL, LIMIT},
		{"keys", required_argument, NULL, KEYS},         {"header", required_argument, NULL, HEADER},
		{"expect", required_argument, NULL, EXPECT},     {"cut-max", required_argument, NULL, CUT_MAX},
		{"seed", required_argument, NULL, SEED},         {"help", no_argument, NULL, HELP},
		{NULL, 0, NULL, 0},
	};

	plan.callers = 32;
	for (int id; (id = getopt_long(argc, argv, "", table, NULL)) != -1;)
		take_option(id, optarg);
	mode = optind + 1 == argc ? argv[optind] : "";
}

static void finish_plan(void)
{
	struct timespec now;
	bool stream = strcmp(mode, "stream") == 0, cut = strcmp(mode, "cut") == 0;

	if ((!stream && !cut && strcmp(mode, "plain") != 0) || plan.path == NULL || bodies.count == 0 || plan.callers < 1) {
		fputs(usage, stderr);
		exit(2);
	}
	plan.bodies = bodies.at, plan.body_count = bodies.count;
	plan.keys = keys.at, plan.key_count = keys.count;
	plan.headers = headers.at, plan.header_count = headers.count;
	plan.one_each = stream;
	if (!cut)
		plan.cut_max = 0;
	else if (plan.cut_max == 0)
		plan.cut_max = 4000;
	/* Microseconds: no run asks for so many a second that the next one's numbers are reached. */
	clock_gettime(CLOCK_REALTIME, &now);
	plan.first_number = now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000;
	plan.stop_at = stats_now() + seconds * 1000000;
	if (limit == 0)
		limit = seconds + 60;
}

static double ms(struct samples *samples, double percent)
{
	return (double)stats_percentile(samples, percent) / 1000;
}

static long count_failures(void)
{
	return tally.refused + tally.incomplete + tally.unconnected + (tally.begun - tally.ended);
}

static void print_by_status(void)
{
	const char *separator = "";

	printf(" by_status=");
	for (int i = 0; i < LOAD_STATUS_MAX; i++) {
		if (tally.by_status[i] == 0)
			continue;
		printf("%s%d:%ld", separator, i, tally.by_status[i]);
		separator = ",";
	}
	printf("\n");
}

static void print_results(int64_t began)
{
	double wall = (double)(tally.last_end - began) / 1e6, rate = wall > 0 ? (double)tally.good / wall : 0;

	printf("mode=%s begun=%ld good=%ld refused=%ld incomplete=%ld unconnected=%ld unended=%ld retried=%ld left=%ld", mode, tally.begun, tally.good,
	       tally.refused, tally.incomplete, tally.unconnected, tally.begun - tally.ended, tally.retried, tally.left);
	printf(" seconds=%.3f rate=%.1f", wall, rate);
	printf(" p50_ms=%.3f p90_ms=%.3f p99_ms=%.3f max_ms=%.3f first_p50_ms=%.3f first_p99_ms=%.3f", ms(&tally.latency, 50), ms(&tally.latency, 90),
	       ms(&tally.latency, 99), ms(&tally.latency, 100), ms(&tally.first, 50), ms(&tally.first, 99));
	printf(" pieces=%ld lag_p50_ms=%.3f lag_p99_ms=%.3f lag_max_ms=%.3f bytes=%lld", tally.pieces, ms(&tally.lag, 50), ms(&tally.lag, 99),
	       ms(&tally.lag, 100), tally.bytes);
	print_by_status();
	fprintf(stderr, "%s: %ld good of %ld in %.2f s (%.0f/s), latency p50 %.2f p99 %.2f max %.2f ms", mode, tally.good, tally.begun, wall, rate,
	        ms(&tally.latency, 50), ms(&tally.latency, 99), ms(&tally.latency, 100));
	if (tally.pieces > 0)
		fprintf(stderr, "; %ld pieces, lag p50 %.2f p99 %.2f max %.2f ms", tally.pieces, ms(&tally.lag, 50), ms(&tally.lag, 99), ms(&tally.lag, 100));
	fprintf(stderr, "%s\n", count_failures() > 0 ? " - SOME FAILED" : "");
}

static void raise_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct timeval bound = {0};
	int64_t began;

	read_options(argc, argv);
	finish_plan();
	signal(SIGPIPE, SIG_IGN);
	raise_files();
	bound.tv_sec = limit;
	event_base_loopexit(base, &bound);
	began = stats_now();
	load_start(base, &plan, &tally);
	event_base_dispatch(base);
	print_results(began);
	return count_failures() > 0;
}
