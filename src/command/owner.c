#include "command/owner.h"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

bool owner_become(const struct config *c, const char **error)
{
	const struct passwd *p;
	struct stat folder;
	gid_t group;

	if (geteuid() != 0 || stat(config_str(c, CFG_DATA_DIR), &folder) != 0 || folder.st_uid == 0)
		return true;
	p = getpwuid(folder.st_uid);
	group = p != NULL ? p->pw_gid : folder.st_gid;
	*error = "cannot go on as the owner of the data folder";
	if (p != NULL ? initgroups(p->pw_name, group) != 0 : setgroups(0, NULL) != 0)
		return false;
	return setgid(group) == 0 && setuid(folder.st_uid) == 0;
}
