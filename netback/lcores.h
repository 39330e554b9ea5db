/*
 * netback/lcores.h - which processors: a person's list, as in "2,3" or "2-5,8".
 */
#ifndef SLUICE_NETBACK_LCORES_H
#define SLUICE_NETBACK_LCORES_H

#define LCORES_MAX 16

struct lcores {
	unsigned nr;
	int cpu[LCORES_MAX];
};

/* -EINVAL: no such list, or one twice; -E2BIG: more than LCORES_MAX. */
int lcores_parse(const char *text, struct lcores *out);

#endif
