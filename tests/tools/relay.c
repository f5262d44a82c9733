/*
 * A TCP door to a server that listens on a Unix socket, for tests that take the network away. Run in a network
 *namespace of its own, its answers can be made to vanish (a black hole for the client's address); stopped (SIGSTOP), it
 *keeps connections open and says nothing.
 *
 *	tool-relay ADDRESS PORT SOCKET
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define MOST 128 /* connections */

struct way {
	int from, to; /* -1: free */
};
static struct way ways[2 * MOST]; /* two for a connection, one after the other */

static int connect_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strncpy(a.sun_path, path, sizeof(a.sun_path) - 1);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void open_ways(int client, const char *path)
{
	size_t i = 0;
	int server;

	while (i < 2 * MOST && ways[i].from >= 0)
		i += 2;
	server = i < 2 * MOST ? connect_unix(path) : -1;
	if (server < 0) {
		close(client);
		return;
	}
	ways[i] = (struct way){client, server};
	ways[i + 1] = (struct way){server, client};
}

static void close_ways(size_t i)
{
	i -= i % 2;
	close(ways[i].from);
	close(ways[i].to);
	ways[i] = ways[i + 1] = (struct way){-1, -1};
}

static void carry(size_t i)
{
	char data[65536];
	ssize_t n = read(ways[i].from, data, sizeof(data)), done = 0, some;

	while (n > 0 && done < n && (some = write(ways[i].to, data + done, (size_t)(n - done))) > 0)
		done += some;
	if (n <= 0 || done < n)
		close_ways(i);
}

int main(int argc, char **argv)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	struct pollfd fds[2 * MOST + 1];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	if (argc != 4 || inet_pton(AF_INET, argv[1], &a.sin_addr) != 1)
		return 2;
	a.sin_port = htons((unsigned short)atoi(argv[2]));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 64) != 0) {
		perror("relay");
		return 1;
	}
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (size_t i = 0; i < 2 * MOST; i++)
		ways[i] = (struct way){-1, -1};
	for (;;) {
		for (size_t i = 0; i < 2 * MOST; i++)
			fds[i] = (struct pollfd){.fd = ways[i].from, .events = POLLIN};
		fds[2 * MOST] = (struct pollfd){.fd = fd, .events = POLLIN};
		if (poll(fds, 2 * MOST + 1, -1) < 0 && errno != EINTR)
			return 1;
		for (size_t i = 0; i < 2 * MOST; i++)
			if (fds[i].revents != 0 && ways[i].from == fds[i].fd)
				carry(i);
		if (fds[2 * MOST].revents != 0)
			open_ways(accept(fd, NULL, NULL), argv[3]);
	}
}
