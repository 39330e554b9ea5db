/*
 * tools/terminal.h - this terminal as a guest's console: raw while attached, as it was afterwards; Ctrl-] leaves.
 */
#ifndef SLUICE_TOOLS_TERMINAL_H
#define SLUICE_TOOLS_TERMINAL_H

#include <stdbool.h>

#define TERMINAL_ESCAPE 0x1d /* Ctrl-] */

struct terminal {
	int console;   /* the guest's console, a stream socket; -1 when it ended */
	bool input_on; /* standard input is still passed on */
	bool is_raw;
};

/* Makes standard input raw when it is a terminal; it is restored by terminal_detach, at exit, and when a signal ends us. */
void terminal_attach(struct terminal *t, int console);
void terminal_detach(struct terminal *t);
/* Standard input is readable: passes it on. False: the user typed the escape. */
bool terminal_input(struct terminal *t);
/* The console is readable: prints it. False: the console has ended. */
bool terminal_output(struct terminal *t);

#endif
