/*
 * rings/types.h - Xen's public headers, included once and in one way.
 *
 * Spec     xen/xen.h, xen/grant_table.h, xen/event_channel.h (package libxen-dev): they are the
 *          specification, byte for byte. Nothing here or above redefines a wire struct.
 */
#ifndef SLUICE_RINGS_TYPES_H
#define SLUICE_RINGS_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 4.14's interface: the last in which a header changed its shape for us; without it ring.h wants mb(). */
#ifndef __XEN_INTERFACE_VERSION__
#define __XEN_INTERFACE_VERSION__ 0x00040e00
#endif

#include <xen/xen.h>
#include <xen/event_channel.h>
#include <xen/grant_table.h>

#define PAGE_BYTES 4096u
#define PAGE_SHIFT_BITS 12

static inline size_t pages_to_bytes(size_t pages)
{
	return pages << PAGE_SHIFT_BITS;
}

static inline size_t bytes_to_pages(size_t bytes)
{
	return (bytes + PAGE_BYTES - 1) >> PAGE_SHIFT_BITS;
}

#endif
