/*
 * tools/cmd_counters.h - what both ends of a device have counted, "name value" a line.
 *
 *      vbd.3.51712.queue.0.reads 17          the back end's, from its file in the run folder
 *      vbd.3.51712.front.queue.0.reads 17    the front end's, from pages that it grants to Domain-0
 *
 * Trusts   neither: what is read is copied once and checked before anything of it is used.
 */
#ifndef SLUICE_TOOLS_CMD_COUNTERS_H
#define SLUICE_TOOLS_CMD_COUNTERS_H

#include "tools/cmd.h"

/* type: "vif" or "vbd". An end that shows no counters has no lines; one whose counters make no sense has a sentence on standard error. */
void cmd_counters(struct cmd *cmd, const char *type, domid_t domid, unsigned devid);

#endif
