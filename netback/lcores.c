/*
 * netback/lcores.c - reads lists of processors.
 */
#include "netback/lcores.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#define MAX_CPU 1023

/* A number at *text, which moves behind it. */
static int take_cpu(const char **text)
{
	char *end;
	unsigned long n;

	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	n = strtoul(*text, &end, 10);
	*text = end;
	return n <= MAX_CPU ? (int)n : -EINVAL;
}

static int add(struct lcores *l, int cpu)
{
	for (unsigned i = 0; i < l->nr; i++)
		if (l->cpu[i] == cpu)
			return -EINVAL;
	if (l->nr == LCORES_MAX)
		return -E2BIG;
	l->cpu[l->nr++] = cpu;
	return 0;
}

int lcores_parse(const char *text, struct lcores *out)
{
	struct lcores l = {0};

	for (;; text++) {
		int first = take_cpu(&text), last = first, err = 0;

		if (*text == '-') {
			text++;
			last = take_cpu(&text);
		}
		if (first < 0 || last < first)
			return -EINVAL;
		for (int cpu = first; cpu <= last && !err; cpu++)
			err = add(&l, cpu);
		if (err)
			return err;
		if (*text != ',')
			break;
	}
	if (*text)
		return -EINVAL;
	*out = l;
	return 0;
}
