/*
 * hv/domctl.h - a domain in the toolstack's words.
 */
#ifndef SLUICE_HV_DOMCTL_H
#define SLUICE_HV_DOMCTL_H

#include "rings/types.h"

#include <xen/domctl.h>

struct domain;

void domctl_describe(const struct domain *d, struct xen_domctl_getdomaininfo *info);

#endif
