/*
 * key_file.c - what is in it goes into a header as it is: better refused at the start than by the provider, whose "401" says nothing of a line that was cut.
 */
#include "request/key_file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static void trim(char *line)
{
	static const char blanks[] = " \t\r\n";
	size_t start = strspn(line, blanks), n = strlen(line);

	while (n > start && strchr(blanks, line[n - 1]) != NULL)
		n--;
	memmove(line, line + start, n - start);
	line[n - start] = '\0';
}

static bool is_plain(const char *key)
{
	for (; *key != '\0'; key++)
		if (*key <= ' ' || *key > '~')
			return false;
	return true;
}

static const char *fault(char *line, bool whole)
{
	if (!whole)
		return "its first line is too long for a key";
	trim(line);
	if (*line == '\0')
		return "its first line, the key, is empty";
	return is_plain(line) ? NULL : "its first line is no key: there are blanks in it, or what is not plain ASCII";
}

enum rc key_file_read(const char *path, char key[KEY_FILE_MAX], const char **why)
{
	FILE *in = fopen(path, "re");
	bool whole;

	if (in == NULL) {
		*why = strerror(errno);
		return RC_SYS;
	}
	if (fgets(key, KEY_FILE_MAX, in) == NULL)
		*key = '\0';
	whole = strlen(key) < KEY_FILE_MAX - 1;
	fclose(in);
	*why = fault(key, whole);
	return *why == NULL ? RC_OK : RC_INVALID;
}
