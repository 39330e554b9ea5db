/*
 * tools/device_nodes.h - the store nodes of a domain's devices, as xl writes them, and the back ends' answers.
 *
 *      /local/domain/N/device/{vif,vbd}/<id>/               the front end's: owned by N, readable by the back end
 *      /local/domain/0/backend/{vif,vbd}/N/<id>/            the back end's: owned by Domain-0, readable by N
 */
#ifndef SLUICE_TOOLS_DEVICE_NODES_H
#define SLUICE_TOOLS_DEVICE_NODES_H

#include "hv/store_client.h"
#include "tools/domain_config.h"

/* Writes both ends' nodes of every device, in one transaction. 0 or -errno. */
int device_nodes_write(struct store_client *store, domid_t domid, const struct domain_config *config);
/*
 * Waits until each back end offers its device (InitWait), at most timeout_ms in all. 0, or -errno with one sentence in *why
 * (heap; NULL when it was the store): the back end's own when it said why, or that nobody answered.
 */
int device_nodes_wait(struct store_client *store, domid_t domid, const struct domain_config *config, int timeout_ms, char **why);

#endif
