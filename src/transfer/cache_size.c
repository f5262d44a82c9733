#include "base/mem.h"
#include "transfer/cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder of the cache, known to be one of its own: opened, so that a look at a file in it is one call. */
struct known_folder {
	const char *name;
	int fd; /* -1: there is none */
};

struct cache_sizes {
	const char *root;
	struct known_folder folders[4];
	size_t count;
};

static int close_folders(struct cache_sizes *c)
{
	for (size_t i = 0; i < c->count; i++)
		if (c->folders[i].fd >= 0)
			close(c->folders[i].fd);
	return 0;
}

struct cache_sizes *cache_sizes_open(const void *ctx, const char *root)
{
	struct cache_sizes *c = mem_new(ctx, struct cache_sizes);
	int top = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	c->root = root;
	talloc_set_destructor(c, close_folders);
	for (size_t i = 0; top >= 0 && cache_folder(i) != NULL && c->count < 4; i++) {
		int fd = openat(top, cache_folder(i), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

		if (fd >= 0 || errno == ENOENT) /* a link is looked at with every file in it */
			c->folders[c->count++] = (struct known_folder){cache_folder(i), fd};
	}
	if (top >= 0)
		close(top);
	return c;
}

/* The folder that path is in, and the plain name in it; NULL for any other path. */
static const struct known_folder *folder_of(const struct cache_sizes *c, const char *path, const char **name)
{
	for (size_t i = 0; i < c->count; i++) {
		size_t n = strlen(c->folders[i].name);

		if (strncmp(path, c->folders[i].name, n) != 0 || path[n] != '/' || strpbrk(path + n + 1, "/\\") != NULL)
			continue;
		*name = path + n + 1;
		return &c->folders[i];
	}
	return NULL;
}

int64_t cache_size(struct cache_sizes *c, const char *cache_path)
{
	const struct known_folder *folder;
	const char *name, *reason = NULL;
	char *file, *relative;
	struct stat st;
	int64_t size = 0;
	void *ctx;

	if (cache_path[0] == '\0' || c->root == NULL)
		return 0;
	folder = folder_of(c, cache_path, &name);
	if (folder != NULL) {
		if (folder->fd < 0 || fstatat(folder->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return 0;
		if (S_ISREG(st.st_mode))
			return (int64_t)st.st_size;
	}
	/* a link, another folder, a path that leads out of the cache */
	ctx = talloc_new(NULL);
	if (!cache_locate(ctx, c->root, cache_path, &file, &relative, &size, &reason))
		size = 0;
	talloc_free(ctx);
	return size;
}
