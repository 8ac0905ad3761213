/*
 * main.c - the daemon's command line.
 */
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/secret.h"
#include "daemon/master.h"
#include "port/fcgi.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif
#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif
#define CONFIG_FILE SYSCONFDIR "/prompt-fpm/prompt-fpm.conf"

static const char usage[] = "Usage: prompt-fpm [OPTION]...\n"
                            "Serves .prompt endpoints over FastCGI, on the socket that the settings name, or on descriptor 0\n"
                            "where a web server or spawn-fcgi put a listening socket there.\n\n"
                            "  -c, --config FILE  read the settings from FILE (" CONFIG_FILE ")\n"
                            "  -t, --test         check the settings and end\n"
                            "  -F, --foreground   stay in the foreground, whatever the settings say\n"
                            "  -R, --allow-root   let the workers run as root\n"
                            "  -v, --version      print the version and end\n"
                            "  -h, --help         print this and end\n\n"
                            "SIGTERM ends it once the requests in hand are answered, SIGHUP or SIGUSR2 reloads settings and endpoints,\n"
                            "SIGUSR1 reopens error_log and slowlog.\n";

/* Where whoever started us has closed one of the first three descriptors, the next file to be opened would be taken for standard input or output. */
static void open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Hundreds of threads that mostly wait: glibc's arenas and caches for each of them scatter what requests free over all, and never give it back. With
 * a thousand streams at once that is a quarter of the memory, and it makes nothing faster here. The caches can be turned off before a program starts
 * and at no other time, so it starts itself again; an operator's own GLIBC_TUNABLES stand. */
static void tune_malloc(char **argv)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

	mallopt(M_ARENA_MAX, 2);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024);
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	if (n <= 0 || getenv("GLIBC_TUNABLES") != NULL || setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0", 1) != 0)
		return;
	path[n] = '\0';
	execv(path, argv);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'}, {"test", no_argument, NULL, 't'},    {"foreground", no_argument, NULL, 'F'},
		{"allow-root", no_argument, NULL, 'R'},   {"version", no_argument, NULL, 'v'}, {"help", no_argument, NULL, 'h'},
		{"allow-to-run-as-root", no_argument, NULL, 'R'}, /* as PHP-FPM has it */
		{NULL, 0, NULL, 0},
	};
	struct master_options wanted = {.config = CONFIG_FILE, .inherited = fcgi_inherited()};
	bool test = false;

	open_standard();
	if (secret_keep() != RC_OK) /* the keys of providers, the database's password */
		perror("prompt-fpm: core files cannot be turned off");
	for (int option; (option = getopt_long(argc, argv, "c:tFRvh", options, NULL)) != -1;) {
		switch (option) {
		case 'c':
			wanted.config = optarg;
			break;
		case 't':
			test = true;
			break;
		case 'F':
			wanted.foreground = true;
			break;
		case 'R':
			wanted.allow_root = true;
			break;
		case 'v':
			puts("prompt-fpm " PACKAGE_VERSION);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs("Try: prompt-fpm --help\n", stderr);
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "prompt-fpm: %s: no such operand\nTry: prompt-fpm --help\n", argv[optind]);
		return 2;
	}
	tune_malloc(argv);
	return test ? master_test(&wanted) : master_run(&wanted);
}
