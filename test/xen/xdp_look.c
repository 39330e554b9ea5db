/*
 * test/xen/xdp_look.c - an XDP program on an interface of the guest, until it is killed: it passes frames of the usual EtherTypes, and
 * drops all others.
 *
 *      xdp-look INTERFACE     prints "attached"
 *
 * Linux's netfront gives the program what lies behind the headroom that it has asked for. A back end that leaves none has the program
 * look at something else, and nothing passes.
 *
 * Fails    1, and why on standard error: kernel without BPF, no such interface, or a driver without XDP.
 * Spec     linux/bpf.h.
 */
#include <linux/bpf.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOAD(size, to, from, at) {.code = BPF_LDX | BPF_MEM | (size), .dst_reg = (to), .src_reg = (from), .off = (at)}
#define IF_TYPE_IS(value, skip) {.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = BPF_REG_5, .off = (skip), .imm = (value)}
#define RETURN(value) {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = (value)}, {.code = BPF_JMP | BPF_EXIT}

/* EtherTypes as a little-endian load sees them: IPv4, ARP, IPv6. */
static const struct bpf_insn program[] = {
	LOAD(BPF_W, BPF_REG_2, BPF_REG_1, 0), /* data */
	LOAD(BPF_W, BPF_REG_3, BPF_REG_1, 4), /* its end */
	{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_4, .src_reg = BPF_REG_2},
	{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_4, .imm = 14},
	{.code = BPF_JMP | BPF_JGT | BPF_X, .dst_reg = BPF_REG_4, .src_reg = BPF_REG_3, .off = 4}, /* no header */
	LOAD(BPF_H, BPF_REG_5, BPF_REG_2, 12),
	IF_TYPE_IS(0x0008, 4),
	IF_TYPE_IS(0x0608, 3),
	IF_TYPE_IS(0xdd86, 2),
	RETURN(XDP_DROP),
	RETURN(XDP_PASS),
};

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof(*attr));
}

int main(int argc, char **argv)
{
	union bpf_attr load = {.prog_type = BPF_PROG_TYPE_XDP, .insns = (uintptr_t)program, .license = (uintptr_t)"GPL"};
	union bpf_attr link = {.link_create.attach_type = BPF_XDP};
	unsigned index = argc == 2 ? if_nametoindex(argv[1]) : 0;
	int fd;

	if (!index) {
		fputs("usage: xdp-look INTERFACE\n", stderr);
		return 1;
	}
	load.insn_cnt = sizeof(program) / sizeof(program[0]);
	fd = bpf(BPF_PROG_LOAD, &load);
	link.link_create.prog_fd = (uint32_t)fd;
	link.link_create.target_ifindex = index;
	if (fd < 0 || bpf(BPF_LINK_CREATE, &link) < 0) {
		perror(fd < 0 ? "the program is not loaded" : "the program is not attached");
		return 1;
	}
	puts("attached");
	fflush(stdout);
	for (;;)
		pause(); /* the link goes with the process */
}
