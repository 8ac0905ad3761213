/*
 * rate.c - reading rates, and the tighter of two.
 */
#include "base/rate.h"

#include <string.h>

#include "base/str.h"

static const char *skip_blanks(const char *s)
{
	return s + strspn(s, " \t");
}

/* A whole number at *s, moved behind it. */
static bool take_number(const char **s, int *out)
{
	char digits[8] = "";
	size_t n = strspn(*s, "0123456789");
	int64_t number;

	if (n == 0 || n >= sizeof digits)
		return false;
	memcpy(digits, *s, n);
	if (str_int(digits, 1, 1000000, &number) != RC_OK)
		return false;
	*out = (int)number;
	*s += n;
	return true;
}

static bool take_unit(const char **s, int *seconds)
{
	static const struct {
		const char *name;
		int seconds;
	} units[] = {{"second", 1}, {"minute", 60}, {"hour", 3600}, {"day", 86400}};

	for (size_t i = 0; i < COUNT_OF(units); i++) {
		if (!str_starts(*s, units[i].name))
			continue;
		*s += strlen(units[i].name);
		*seconds = units[i].seconds;
		return true;
	}
	return false;
}

enum rc rate_parse(const char *text, struct rate *out)
{
	const char *s = skip_blanks(text);
	struct rate rate = {0};
	bool good = take_number(&s, &rate.count);

	s = skip_blanks(s);
	good = good && *s == '/';
	s = good ? skip_blanks(s + 1) : s;
	good = good && take_unit(&s, &rate.period_s);
	s = skip_blanks(s);
	if (good && str_starts(s, "burst")) {
		s = skip_blanks(s + strlen("burst"));
		good = take_number(&s, &rate.burst);
		s = skip_blanks(s);
	}
	if (!good || *s != '\0')
		return RC_INVALID;
	*out = rate;
	return RC_OK;
}

static int places(struct rate rate)
{
	return rate.burst > 0 ? rate.burst : rate.count;
}

bool rate_equal(struct rate a, struct rate b)
{
	return (int64_t)a.count * b.period_s == (int64_t)b.count * a.period_s && places(a) == places(b);
}

/* The slower return of places, and the fewer places. */
struct rate rate_tighter(struct rate a, struct rate b)
{
	struct rate slower;

	if (a.count == 0 || b.count == 0)
		return a.count == 0 ? b : a;
	slower = (int64_t)a.count * b.period_s <= (int64_t)b.count * a.period_s ? a : b;
	slower.burst = places(a) < places(b) ? places(a) : places(b);
	return slower;
}
