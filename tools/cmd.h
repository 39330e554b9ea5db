/*
 * tools/cmd.h - what sluice's commands share: the connection, finding a domain, complaining.
 *
 * Each command is one function in cmd_<noun>.c: it parses its own options, prints its result to standard output, one sentence
 * to standard error when it cannot, and returns the exit status.
 */
#ifndef SLUICE_TOOLS_CMD_H
#define SLUICE_TOOLS_CMD_H

#include "hv/hv.h"
#include "hv/store_client.h"
#include "hv/toolstack.h"

#define CMD_USAGE 2 /* exit status: the command line makes no sense */

struct cmd {
	const char *run_dir; /* NULL: the default */
	struct hv *hv;       /* after cmd_open */
	struct store_client *store;
};

/* Prints "sluice: sentence" to standard error; returns 1, an exit status. */
int cmd_fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Connects to sluiced and its store. 0, or an exit status with the sentence printed. */
int cmd_open(struct cmd *cmd);
void cmd_close(struct cmd *cmd);
/* name: a domain's name or number. 0, or an exit status with the sentence printed. */
int cmd_find(struct cmd *cmd, const char *name, domid_t *domid);
/* The domain of this name; -ESRCH. Says nothing. */
int cmd_name_to_domid(struct cmd *cmd, const char *name, domid_t *domid);
/* Heap; "?" when it has none, NULL without memory. */
char *cmd_domain_name(struct cmd *cmd, domid_t domid);
/* Every domain, heap: *nr of them. 0 or an exit status. */
int cmd_domains(struct cmd *cmd, struct toolstack_info **infos, unsigned *nr);
/* One domain; -ESRCH when it is gone. Says nothing. */
int cmd_domain_info(struct cmd *cmd, domid_t domid, struct toolstack_info *info);

int cmd_create(struct cmd *cmd, int argc, char **argv);
int cmd_list(struct cmd *cmd, int argc, char **argv);
int cmd_destroy(struct cmd *cmd, int argc, char **argv);
int cmd_shutdown(struct cmd *cmd, int argc, char **argv);
int cmd_pause(struct cmd *cmd, int argc, char **argv);
int cmd_unpause(struct cmd *cmd, int argc, char **argv);
int cmd_domid(struct cmd *cmd, int argc, char **argv);
int cmd_domname(struct cmd *cmd, int argc, char **argv);
int cmd_console(struct cmd *cmd, int argc, char **argv);
int cmd_network_list(struct cmd *cmd, int argc, char **argv);
int cmd_block_list(struct cmd *cmd, int argc, char **argv);
int cmd_block_limit(struct cmd *cmd, int argc, char **argv);
int cmd_block_resize(struct cmd *cmd, int argc, char **argv);
int cmd_capture(struct cmd *cmd, int argc, char **argv);
int cmd_mirror(struct cmd *cmd, int argc, char **argv);
int cmd_dmesg(struct cmd *cmd, int argc, char **argv);
int cmd_info(struct cmd *cmd, int argc, char **argv);

#endif
