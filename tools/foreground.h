/*
 * tools/foreground.h - what sluice create does once the domain runs: nothing, its console (-c), waiting for its end (-F), both.
 */
#ifndef SLUICE_TOOLS_FOREGROUND_H
#define SLUICE_TOOLS_FOREGROUND_H

#include "tools/cmd.h"

struct foreground {
	struct cmd *cmd;
	domid_t domid;
	bool owns;           /* -F: the domain waits for us with its reason when it ends */
	evtchn_port_t virq;  /* -F: says that some domain ended */
	int console;         /* -c: the console's socket; -1 otherwise */
};

/* Before the domain runs, so that nothing of it is missed. 0 or an exit status. */
int foreground_prepare(struct foreground *f, struct cmd *cmd, domid_t domid, bool owns, bool with_console);
/* Returns the exit status: with -F, 0 only when the domain powered itself off. */
int foreground_run(struct foreground *f, const char *name);

#endif
