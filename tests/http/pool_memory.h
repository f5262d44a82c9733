/* What the processes of the instance take at most: forget, do something, check. */
#ifndef RAKKR_TESTS_HTTP_POOL_MEMORY_H
#define RAKKR_TESTS_HTTP_POOL_MEMORY_H

/* Peaks count from now on, for the master and its children. */
void pool_forget_peaks(void);
/* Fails the test if one of them took max_kb or more since; not under sanitizers or valgrind, which take their own. */
void pool_check_peaks(long max_kb, const char *what);

#endif
