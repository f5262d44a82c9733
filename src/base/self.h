/* The process that runs. */
#ifndef RAKKR_BASE_SELF_H
#define RAKKR_BASE_SELF_H

#include <sys/types.h>

/* getpid() without a system call; also right after a fork. */
pid_t process_self(void);

#endif
