/*
 * rings/copy_frame.h - copies a frame between buffers.   [hot]
 *
 * Most frames are short. What a call of memcpy costs (through a linker's table, a choice by length) is more than what it does for
 * them; here they are moved 16 bytes at a time, the last 16 over what is there already.
 *
 * Trusts   that nobody decides by the source's bytes before they are copied: some are read twice.
 * Runs in  any thread.
 */
#ifndef SLUICE_RINGS_COPY_FRAME_H
#define SLUICE_RINGS_COPY_FRAME_H

#include <stdint.h>
#include <string.h>

#define COPY_FRAME_SHORT 256u

static inline void copy_long(void *to, const void *from, size_t bytes)
{
#if defined(__x86_64__)
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes)::"memory");
#else
	memcpy(to, from, bytes);
#endif
}

static inline void copy_frame(void *to, const void *from, uint32_t bytes)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	if (bytes > COPY_FRAME_SHORT) {
		copy_long(d, s, bytes);
		return;
	}
	if (bytes < 16) {
		memcpy(d, s, bytes);
		return;
	}
	for (uint32_t i = 0; i < bytes - 16; i += 16)
		__builtin_memcpy(d + i, s + i, 16);
	__builtin_memcpy(d + bytes - 16, s + bytes - 16, 16);
}

#endif
