#include "base/self.h"

#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

static pid_t self;

static void forget(void)
{
	self = 0;
}

pid_t process_self(void)
{
	static bool registered;

	if (self == 0) {
		if (!registered)
			registered = pthread_atfork(NULL, NULL, forget) == 0;
		if (!registered)
			return getpid();
		self = getpid();
	}
	return self;
}
