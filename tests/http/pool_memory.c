#include "http/pool_memory.h"

#include "http/harness.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static long status_kb(const char *pid, const char *key)
{
	char line[256];
	long kb = -1;
	FILE *f = fopen(fmt("/proc/%s/status", pid), "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, key, strlen(key)) == 0)
			kb = strtol(line + strlen(key), NULL, 10);
	if (f != NULL)
		fclose(f);
	return kb;
}

static bool instrumented(const char *pid)
{
	char line[512];
	bool found = false;
	FILE *f = fopen(fmt("/proc/%s/maps", pid), "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		found |= strstr(line, "libasan") != NULL || strstr(line, "memcheck") != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

static void each_process(void (*each)(const char *pid, long max_kb, const char *what), long max_kb, const char *what)
{
	char master[32] = "";
	FILE *f = fopen(fmt("%s/pid/pool", instance_dir()), "r");
	DIR *proc = opendir("/proc");
	cr_assert(f != NULL && fscanf(f, "%31s", master) == 1);
	fclose(f);
	each(master, max_kb, what);
	for (struct dirent *e = readdir(proc); e != NULL; e = readdir(proc))
		if (e->d_name[0] > '0' && e->d_name[0] <= '9' &&
		    status_kb(e->d_name, "PPid:") == strtol(master, NULL, 10))
			each(e->d_name, max_kb, what);
	closedir(proc);
}

static void forget_peak(const char *pid, long max_kb, const char *what)
{
	FILE *f = fopen(fmt("/proc/%s/clear_refs", pid), "w");
	(void)max_kb;
	(void)what;
	if (f == NULL)
		return;
	fputs("5", f);
	fclose(f);
}

static void check_peak(const char *pid, long max_kb, const char *what)
{
	long kb = status_kb(pid, "VmHWM:");
	cr_expect(kb < max_kb || instrumented(pid), "%s: process %s took %ld KiB", what, pid, kb);
}

void pool_forget_peaks(void)
{
	each_process(forget_peak, 0, NULL);
}

void pool_check_peaks(long max_kb, const char *what)
{
	each_process(check_peak, max_kb, what);
}
