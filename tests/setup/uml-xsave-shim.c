/*
 * A ptrace() for linux.uml on processors with AMX; preloaded by the lab.
 *
 * The host accepts a write of NT_X86_XSTATE only if it covers the whole XSAVE area of this processor (11008 bytes with
 * AMX). User-Mode Linux 6.1 writes a fixed 2696 bytes of it, gets EFAULT, and its PID 1 dies at its first instruction.
 * So a write that is too short is laid over the area as it stands, and the whole of it is written back. Every other
 * request, and every write on a processor whose area is no longer than the given one, goes through untouched.
 *
 * The buffer is static: the caller may stand on a 16 KiB kernel stack of its own, and it traces from one thread.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Intel SDM vol. 1, 13.4: the header of an XSAVE area begins with XSTATE_BV, one bit for each component in use. */
#define XSTATE_BV_OFFSET 512
#define XSTATE_COMPONENTS 63
#define CPUID_XSAVE_LEAF 0xd
#define AREA_MAX 65536

typedef long (*ptrace_fn)(int, pid_t, void *, void *);

static ptrace_fn next_ptrace;
static unsigned char area[AREA_MAX] __attribute__((aligned(64)));

__attribute__((constructor)) static void find_next_ptrace(void)
{
	next_ptrace = (ptrace_fn)dlsym(RTLD_NEXT, "ptrace");
}

/* Components 0 and 1 lie in the first 512 bytes; CPUID.(0DH,i):EBX is the offset of component i. */
static uint64_t components_behind(size_t offset)
{
	uint64_t behind = 0;

	for (unsigned int i = 2; i < XSTATE_COMPONENTS; i++) {
		unsigned int eax, ebx, ecx, edx;

		if (__get_cpuid_count(CPUID_XSAVE_LEAF, i, &eax, &ebx, &ecx, &edx) && eax && ebx >= offset)
			behind |= UINT64_C(1) << i;
	}
	return behind;
}

static long write_xstate(int request, pid_t pid, struct iovec *given)
{
	struct iovec whole = { .iov_base = area, .iov_len = sizeof(area) };
	uint64_t before, after, behind;

	if (given->iov_len < XSTATE_BV_OFFSET + sizeof(before) ||
	    next_ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &whole) < 0 || whole.iov_len <= given->iov_len)
		return next_ptrace(request, pid, (void *)NT_X86_XSTATE, given);

	memcpy(&before, area + XSTATE_BV_OFFSET, sizeof(before));
	memcpy(area, given->iov_base, given->iov_len);
	memcpy(&after, area + XSTATE_BV_OFFSET, sizeof(after));
	behind = components_behind(given->iov_len);
	after = (after & ~behind) | (before & behind);
	memcpy(area + XSTATE_BV_OFFSET, &after, sizeof(after));
	return next_ptrace(request, pid, (void *)NT_X86_XSTATE, &whole);
}

long ptrace(enum __ptrace_request request, ...)
{
	va_list rest;
	pid_t pid;
	void *addr, *data;

	va_start(rest, request);
	pid = va_arg(rest, pid_t);
	addr = va_arg(rest, void *);
	data = va_arg(rest, void *);
	va_end(rest);

	if (!next_ptrace) {
		errno = ENOSYS;
		return -1;
	}
	if (request == PTRACE_SETREGSET && (uintptr_t)addr == NT_X86_XSTATE)
		return write_xstate(request, pid, data);
	return next_ptrace(request, pid, addr, data);
}
