/*
 * schema_format.c - the formats that a string can be held to.
 *
 * Each is one small recogniser over bytes, after the document that defines it; a format that is not in the table is refused at load.
 */
#include <string.h>

#include "base/str.h"
#include "prompt/schema_node.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Two digits at s as a number, or -1. */
static int two(const char *s)
{
	return is_digit(s[0]) && is_digit(s[1]) ? (s[0] - '0') * 10 + (s[1] - '0') : -1;
}

static bool in_range(int n, int least, int most)
{
	return n >= least && n <= most;
}

/* RFC 3339 full-date. */
static bool is_date(const char *s, size_t n)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int year, month, day;

	if (n != 10 || s[4] != '-' || s[7] != '-' || two(s) < 0 || two(s + 2) < 0)
		return false;
	year = two(s) * 100 + two(s + 2);
	month = two(s + 5);
	day = two(s + 8);
	if (!in_range(month, 1, 12) || !in_range(day, 1, days[month - 1]))
		return false;
	return month != 2 || day < 29 || (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
}

/* "Z" or "+01:30"; *minutes is the offset from UTC. */
static bool is_zone(const char *s, size_t n, int *minutes)
{
	*minutes = 0;
	if (n == 1)
		return s[0] == 'Z' || s[0] == 'z';
	if (n != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':' || !in_range(two(s + 1), 0, 23) || !in_range(two(s + 4), 0, 59))
		return false;
	*minutes = (two(s + 1) * 60 + two(s + 4)) * (s[0] == '-' ? -1 : 1);
	return true;
}

/* RFC 3339 full-time: a leap second only where it can be one, at 23:59:60 UTC. */
static bool is_time(const char *s, size_t n)
{
	size_t at = 8;
	int minutes, of_day;

	if (n < 9 || s[2] != ':' || s[5] != ':' || !in_range(two(s), 0, 23) || !in_range(two(s + 3), 0, 59) || !in_range(two(s + 6), 0, 60))
		return false;
	if (s[at] == '.') {
		at++;
		while (at < n && is_digit(s[at]))
			at++;
		if (at == 9)
			return false;
	}
	if (!is_zone(s + at, n - at, &minutes))
		return false;
	of_day = (two(s) * 60 + two(s + 3) - minutes + 2 * 1440) % 1440;
	return two(s + 6) < 60 || of_day == 1439;
}

static bool is_date_time(const char *s, size_t n)
{
	return n > 11 && is_date(s, 10) && (s[10] == 'T' || s[10] == 't') && is_time(s + 11, n - 11);
}

/* One run of "<digits><unit>" over the units in order; *at moves behind it. Units may not skip back; RFC 3339's grammar wants them contiguous. */
static bool is_units(const char *s, size_t n, size_t *at, const char *units)
{
	const char *next = NULL;

	while (*at < n && is_digit(s[*at])) {
		const char *unit;

		while (*at < n && is_digit(s[*at]))
			++*at;
		unit = *at < n ? strchr(units, s[*at]) : NULL;
		if (unit == NULL || *unit == '\0' || (next != NULL && unit != next))
			return false;
		next = unit + 1;
		++*at;
	}
	return next != NULL;
}

/* RFC 3339 appendix A: P1Y2M3DT4H5M6S or P1W. */
static bool is_duration(const char *s, size_t n)
{
	size_t at = 1;

	if (n < 3 || s[0] != 'P')
		return false;
	if (s[1] != 'T') {
		size_t week = 1;

		if (is_units(s, n, &week, "W") && week == n)
			return true;
		if (!is_units(s, n, &at, "YMD"))
			return false;
	}
	if (at == n)
		return true;
	at++;
	return s[at - 1] == 'T' && is_units(s, n, &at, "HMS") && at == n;
}

/* RFC 1123 §2.1: labels of letters, digits and inner hyphens, at most 63 each and 253 in all. */
static bool is_hostname(const char *s, size_t n)
{
	size_t label = 0;

	if (n == 0 || n > 253)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '.') {
			if (label == 0 || s[i - 1] == '-')
				return false;
			label = 0;
			continue;
		}
		if (!(is_letter(s[i]) || is_digit(s[i]) || (s[i] == '-' && label > 0)) || ++label > 63)
			return false;
	}
	return label > 0 && s[n - 1] != '-';
}

/* RFC 2673 §3.2: four decimal numbers without leading zeros. */
static bool is_ipv4(const char *s, size_t n)
{
	size_t at = 0;

	for (int part = 0; part < 4; part++) {
		size_t start = at;
		int number = 0;

		if (part > 0 && (at >= n || s[at++] != '.'))
			return false;
		start = at;
		while (at < n && is_digit(s[at]) && at - start < 3)
			number = number * 10 + (s[at++] - '0');
		if (at == start || number > 255 || (s[start] == '0' && at - start > 1))
			return false;
	}
	return at == n;
}

/* RFC 4291 §2.2: eight groups of up to four hex digits, "::" once for at least one group of zeros, the last two as IPv4. */
static bool is_ipv6(const char *s, size_t n)
{
	size_t at = 0;
	int groups = 0;
	bool gap = false;

	if (n >= 2 && s[0] == ':' && s[1] == ':') {
		gap = true;
		at = 2;
	}
	while (at < n) {
		size_t start = at;

		while (at < n && is_hex(s[at]) && at - start < 4)
			at++;
		if (at < n && s[at] == '.' && at > start)
			return (groups += 2) <= 8 - gap && (gap || groups == 8) && is_ipv4(s + start, n - start);
		if (at == start || ++groups > 8)
			return false;
		if (at == n)
			break;
		if (s[at++] != ':' || at == n)
			return false;
		if (s[at] == ':') {
			if (gap)
				return false;
			gap = true;
			at++;
		}
	}
	return gap ? groups < 8 : groups == 8;
}

/* Of one character or more. */
static bool is_atom(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (is_letter(s[i]) || is_digit(s[i]) || (s[i] != '\0' && strchr("!#$%&'*+/=?^_`{|}~-", s[i]) != NULL))
			continue;
		if (s[i] != '.' || i == 0 || i == n - 1 || s[i - 1] == '.')
			return false;
	}
	return true;
}

static bool is_quoted(const char *s, size_t n)
{
	if (n < 2 || s[0] != '"' || s[n - 1] != '"')
		return false;
	for (size_t i = 1; i < n - 1; i++) {
		i += s[i] == '\\';
		if (i == n - 1 || s[i] < ' ' || s[i] > '~' || (s[i] == '"' && s[i - 1] != '\\'))
			return false;
	}
	return true;
}

/* RFC 5321 §4.1.2 Mailbox: a dot-atom or quoted string, and a host name or an address in brackets. */
static bool is_email(const char *s, size_t n)
{
	const char *host = memrchr(s, '@', n);
	size_t local = host == NULL ? 0 : (size_t)(host - s), len = n - local - 1;

	if (local == 0 || local > 64 || n > 254)
		return false;
	host++;
	if (!is_atom(s, local) && !is_quoted(s, local))
		return false;
	if (len < 3 || host[0] != '[' || host[len - 1] != ']')
		return is_hostname(host, len);
	return len > 7 && strncasecmp(host + 1, "IPv6:", 5) == 0 ? is_ipv6(host + 6, len - 7) : is_ipv4(host + 1, len - 2);
}

/* RFC 9562 §4: 8-4-4-4-12 hex digits. */
static bool is_uuid(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (i == 8 || i == 13 || i == 18 || i == 23 ? s[i] != '-' : !is_hex(s[i]))
			return false;
	return n == 36;
}

/* Characters of RFC 3986 that are in `also`, unreserved, sub-delims, or percent-encoded. */
static bool is_made_of(const char *s, size_t n, const char *also)
{
	for (size_t i = 0; i < n; i++) {
		if (is_letter(s[i]) || is_digit(s[i]) || (s[i] != '\0' && (strchr("-._~!$&'()*+,;=", s[i]) != NULL || strchr(also, s[i]) != NULL)))
			continue;
		if (s[i] != '%' || n - i < 3 || !is_hex(s[i + 1]) || !is_hex(s[i + 2]))
			return false;
		i += 2;
	}
	return true;
}

/* [ userinfo "@" ] host [ ":" port ] */
static bool is_authority(const char *s, size_t n)
{
	const char *at = memchr(s, '@', n);
	size_t host;

	if (at != NULL) {
		if (!is_made_of(s, (size_t)(at - s), ":"))
			return false;
		n -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	for (host = n; host > 0 && is_digit(s[host - 1]); host--)
		;
	if (host > 0 && s[host - 1] == ':')
		n = host - 1;
	if (n > 0 && s[0] == '[')
		return s[n - 1] == ']' && (is_ipv6(s + 1, n - 2) || (n > 4 && (s[1] == 'v' || s[1] == 'V') && is_made_of(s + 1, n - 2, ":")));
	return is_made_of(s, n, "");
}

/* RFC 3986 §3: scheme ":" hier-part [ "?" query ] [ "#" fragment ]. */
static bool is_uri(const char *s, size_t n)
{
	size_t scheme = 0, end;

	while (scheme < n && (is_letter(s[scheme]) || (scheme > 0 && (is_digit(s[scheme]) || (s[scheme] != '\0' && strchr("+-.", s[scheme]) != NULL)))))
		scheme++;
	if (scheme == 0 || scheme == n || s[scheme] != ':')
		return false;
	s += scheme + 1;
	n -= scheme + 1;
	if (n >= 2 && s[0] == '/' && s[1] == '/') {
		for (end = 2; end < n && strchr("/?#", s[end]) == NULL; end++)
			;
		if (!is_authority(s + 2, end - 2))
			return false;
		s += end;
		n -= end;
	}
	for (end = 0; end < n && s[end] != '#'; end++)
		;
	return is_made_of(s, end, ":@/?") && (end == n || is_made_of(s + end + 1, n - end - 1, ":@/?"));
}

const struct schema_format *schema_format_get(const char *name)
{
	static const struct schema_format formats[] = {
		{"date-time", is_date_time, "2027-06-12T14:00:00Z", true},
		{"date", is_date, "2027-06-12", true},
		{"time", is_time, "14:00:00Z", true},
		{"duration", is_duration, "PT2H30M", true},
		{"email", is_email, "sample@example.com", true},
		{"hostname", is_hostname, "www.example.com", true},
		{"ipv4", is_ipv4, "192.0.2.1", true},
		{"ipv6", is_ipv6, "2001:db8::1", true},
		{"uuid", is_uuid, "3f2b8c1e-5d4a-4c6b-9e7f-1a2b3c4d5e6f", true},
		{"uri", is_uri, "https://www.example.com/sample", false},
	};

	for (size_t i = 0; i < COUNT_OF(formats); i++)
		if (str_eq(formats[i].name, name))
			return &formats[i];
	return NULL;
}
