/* The recording cache: names, paths, receiving and replacing files, running tools. */
#include <criterion/criterion.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/mem.h"
#include "transfer/analysis.h"
#include "transfer/cache.h"
#include "transfer/tool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void *mem;
static char root[] = "/tmp/rakkr-cache-XXXXXX";

static void setup(void)
{
	mem = talloc_new(NULL);
	strcpy(root + sizeof(root) - 7, "XXXXXX");
	cr_assert_not_null(mkdtemp(root));
}

static int drop(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

static void teardown(void)
{
	nftw(root, drop, 16, FTW_DEPTH | FTW_PHYS);
	talloc_free(mem);
}

TestSuite(cache, .init = setup, .fini = teardown);

/* ---- names ------------------------------------------------------------------------------------------------------- */

Test(cache, extension)
{
	static const struct {
		const char *name, *type, *want;
	} cases[] = {
	    {"a.b.WAV", NULL, ".wav"},          {".wav", NULL, ".mp3"},
	    {".wav", "audio/flac", ".flac"},    {"x.mp3/", "audio/wav", ".mp3"},
	    {NULL, "audio/x-wav", ".wav"},      {NULL, "application/octet-stream", ".mp3"},
	    {"x.ogg", "AUDIO/WAV", ".mp3"},     {"dir.flac/x", NULL, ".mp3"},
	    {"../../x.FlAc", NULL, ".flac"},    {NULL, NULL, ".mp3"},
	    {"x.wav.exe", "audio/wav", ".wav"}, {"///", "audio/flac", ".flac"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_str_eq(cache_extension(mem, cases[i].name, cases[i].type), cases[i].want, "case %zu", i);
}

Test(cache, path)
{
	cr_assert_str_eq(cache_path(mem, true, "rec_1", ".mp3"), "scheduled/rec_1.mp3");
	cr_assert_str_eq(cache_path(mem, false, "rec_1", ".wav"), "ad-hoc/rec_1.wav");
	cr_assert_null(cache_path(mem, false, "../x", ".wav"));
	cr_assert_null(cache_path(mem, false, "a/b", ".wav"));
	cr_assert_null(cache_path(mem, false, "a\\b", ".wav"));
	cr_assert_null(cache_path(mem, false, "", ".wav"));
}

Test(cache, file_name)
{
	cr_assert_str_eq(cache_file_name(mem, "2026-11-23_22:55_Ad Hoc_Rack/One", "rec_1", "ad-hoc/x.wav"),
	                 "2026-11-23_22_55_Ad Hoc_Rack_One.wav");
	cr_assert_str_eq(cache_file_name(mem, " \xc3\xa9\xf0\x9f\x98\x80 ", "rec_1", NULL), "___.mp3");
	cr_assert_str_eq(cache_file_name(mem, "  ", "rec_1", "x/y"), "rec_1.mp3");
	cr_assert_str_eq(cache_file_name(mem, "a\"b\r\nc", "rec_1", "x/y.flac"), "a_b__c.flac");
	cr_assert_str_eq(cache_file_name_utf8(mem, "Caf\xc3\xa9/x", "rec_1", "y.wav"), "Caf\xc3\xa9_x.wav");
	/* U+0085, U+202E, U+2066, U+2028 */
	cr_assert_str_eq(cache_file_name_utf8(mem, "a\xc2\x85z \xe2\x80\xaevaw.\xe2\x81\xa6\xe2\x80\xa8\xe2\x82\xac",
	                                      "rec_1", "y.wav"),
	                 "a_z _vaw.__\xe2\x82\xac.wav");
	cr_assert_str_eq(cache_mime("a/b.FLAC"), "audio/flac");
	cr_assert_str_eq(cache_mime("a/b.wav"), "audio/wav");
	cr_assert_str_eq(cache_mime("a.wav/b"), "audio/mpeg");
}

/* ---- files ------------------------------------------------------------------------------------------------------- */

struct body {
	const char *data;
	size_t left;
	bool breaks; /* ends with an error instead of an end */
};

static long read_body(void *arg, void *buf, size_t n)
{
	struct body *b = arg;

	if (b->left == 0)
		return b->breaks ? -1 : 0;
	if (n > 3)
		n = 3;
	if (n > b->left)
		n = b->left;
	memcpy(buf, b->data, n);
	b->data += n;
	b->left -= n;
	return (long)n;
}

static status receive(const char *data, bool breaks, int64_t max, struct cache_upload **u)
{
	struct body body = {.data = data, .left = strlen(data), .breaks = breaks};
	const struct cache_reader reader = {.read = read_body, .arg = &body};
	const char *reason;

	return cache_receive(mem, root, NULL, "ad-hoc/rec_1.wav", &reader, max, u, &reason);
}

static int files_in(const char *folder)
{
	DIR *dir = opendir(mem_printf(mem, "%s/%s", root, folder));
	struct dirent *entry;
	int n = 0;

	if (dir == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			n++;
	closedir(dir);
	return n;
}

static const char *content(const char *path)
{
	char *text = mem_array(mem, char, 100);
	int fd = open(mem_printf(mem, "%s/%s", root, path), O_RDONLY);

	if (fd < 0)
		return NULL;
	cr_assert(read(fd, text, 99) >= 0);
	close(fd);
	return text;
}

Test(cache, receive_and_publish)
{
	struct cache_upload *u;
	const char *reason;
	struct stat st;

	umask(077);
	cr_assert_eq(receive("abc", false, 10, &u), ST_OK);
	cr_assert_eq(cache_upload_size(u), 3);
	cr_assert_eq(stat(mem_printf(mem, "%s/ad-hoc", root), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0750);
	cr_assert_str_eq(cache_upload_checksum(u),
	                 "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	cr_assert_eq(stat(cache_upload_file(u), &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0640);
	cr_assert_null(content("ad-hoc/rec_1.wav"));
	cr_assert_eq(cache_publish(u, &reason), ST_OK);
	cache_settle(u, true);
	cr_assert_str_eq(content("ad-hoc/rec_1.wav"), "abc");
	talloc_free(u);
	cr_assert_eq(files_in("ad-hoc"), 1);
}

static void replace_and_come_back(void)
{
	struct cache_upload *u;
	const char *reason;

	cr_assert_eq(receive("old", false, 10, &u), ST_OK);
	cr_assert_eq(cache_publish(u, &reason), ST_OK);
	cache_settle(u, true);
	cr_assert_eq(receive("new", false, 10, &u), ST_OK);
	cr_assert_eq(cache_publish(u, &reason), ST_OK);
	cr_assert_str_eq(content("ad-hoc/rec_1.wav"), "new");
	cache_settle(u, false);
	cr_assert_str_eq(content("ad-hoc/rec_1.wav"), "old");
	cr_assert_eq(receive("new", false, 10, &u), ST_OK);
	cr_assert_eq(cache_publish(u, &reason), ST_OK);
	cache_settle(u, true);
	cr_assert_str_eq(content("ad-hoc/rec_1.wav"), "new");
	cr_assert_eq(files_in("ad-hoc"), 1);
}

Test(cache, replaced_file_comes_back)
{
	replace_and_come_back();
}

/* Three of one size in one second: each has another second, of which the web server makes its ETag. */
Test(cache, files_of_one_size_can_be_told_apart)
{
	time_t seen = 0;

	for (int i = 0; i < 3; i++) {
		struct cache_upload *u;
		const char *reason;
		struct stat st;

		cr_assert_eq(receive("abc", false, 10, &u), ST_OK);
		cr_assert_eq(cache_publish(u, &reason), ST_OK);
		cache_settle(u, true);
		cr_assert_eq(stat(mem_printf(mem, "%s/ad-hoc/rec_1.wav", root), &st), 0);
		cr_expect_gt(st.st_mtime, seen);
		seen = st.st_mtime;
	}
}

/* Some network and user-space file systems have no second names. */
static int link_error;

int link(const char *from, const char *to)
{
	errno = link_error;
	return link_error != 0 ? -1 : linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

Test(cache, replaced_file_comes_back_without_links)
{
	static const int errors[] = {EPERM, EOPNOTSUPP, ENOSYS};

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		link_error = errors[i];
		replace_and_come_back();
		cr_assert_eq(unlink(mem_printf(mem, "%s/ad-hoc/rec_1.wav", root)), 0);
	}
}

/* The name is taken by a folder: nothing moves it. */
Test(cache, what_is_no_file_stays)
{
	struct cache_upload *u;
	const char *reason;

	cr_assert_eq(receive("new", false, 10, &u), ST_OK);
	cr_assert_eq(mkdir(mem_printf(mem, "%s/ad-hoc/rec_1.wav", root), 0700), 0);
	cr_assert_eq(cache_publish(u, &reason), ST_INTERNAL);
	talloc_free(u);
	cr_assert_eq(files_in("ad-hoc"), 1);
}

Test(cache, failures_leave_nothing)
{
	struct cache_upload *u;
	const char *reason;

	cr_assert_eq(receive("abcdef", true, 10, &u), ST_INVALID);
	cr_assert_eq(receive("abcdef", false, 5, &u), ST_TOO_LARGE);
	cr_assert_eq(receive("", false, 5, &u), ST_OK);
	cr_assert_eq(cache_upload_size(u), 0);
	cr_assert_eq(receive("abcdef", false, 10, &u), ST_OK);
	talloc_free(u);
	cr_assert_eq(files_in("ad-hoc"), 0);
	cr_assert_eq(receive("abcdef", false, 10, &u), ST_OK);
	cr_assert_eq(cache_publish(u, &reason), ST_OK);
	cache_settle(u, false);
	cr_assert_eq(files_in("ad-hoc"), 0);
}

static void leave(const char *name)
{
	int fd = open(mem_printf(mem, "%s/ad-hoc/%s", root, name), O_CREAT | O_WRONLY, 0600);

	cr_assert(fd >= 0);
	close(fd);
}

Test(cache, sweep_takes_only_what_was_left_behind)
{
	struct cache_upload *u;

	cr_assert_eq(receive("abcdef", false, 10, &u), ST_OK);
	cr_assert_eq(files_in("ad-hoc"), 1);
	cr_assert_eq(cache_sweep(root, 3600), 0, "somebody is at work");
	leave(".incoming-1-rec_2.wav");
	leave(".incoming-1-rec_2.wav.previous");
	leave("rec_2.wav");
	leave(".hidden");
	cr_assert_eq(cache_sweep(root, 3600), 1);
	cr_assert_eq(cache_sweep(root, -10), 1);
	talloc_free(u);
	cr_assert_eq(cache_sweep(root, -10), 0);
	cr_assert_eq(files_in("ad-hoc"), 2);
}

static const char *locate(const char *path)
{
	char *file, *relative;
	const char *reason;
	int64_t size;

	return cache_locate(mem, root, path, &file, &relative, &size, &reason) ? relative : reason;
}

Test(cache, locate)
{
	struct cache_upload *u;
	const char *reason;
	bool removed;

	cr_assert_str_eq(locate("ad-hoc/rec_1.wav"), CACHE_FILE_MISSING);
	cr_assert_eq(receive("abc", false, 10, &u), ST_OK);
	cr_assert_eq(cache_publish(u, &reason), ST_OK);
	cache_settle(u, true);
	cr_assert_str_eq(locate("ad-hoc/rec_1.wav"), "ad-hoc/rec_1.wav");
	cr_assert_str_eq(locate("ad-hoc\\rec_1.wav"), "ad-hoc/rec_1.wav");
	cr_assert_str_eq(locate("/ad-hoc/../ad-hoc/./rec_1.wav"), "ad-hoc/rec_1.wav");
	cr_assert_str_eq(locate("../../etc/passwd"), CACHE_OUTSIDE_ROOT);
	cr_assert_str_eq(locate("ad-hoc"), CACHE_FILE_MISSING, "a folder is no file");
	cr_assert_eq(symlink("/etc/passwd", mem_printf(mem, "%s/ad-hoc/link.wav", root)), 0);
	cr_assert_str_eq(locate("ad-hoc/link.wav"), CACHE_OUTSIDE_ROOT);
	cr_assert_eq(symlink("/etc", mem_printf(mem, "%s/out", root)), 0);
	cr_assert_str_eq(locate("out/passwd"), CACHE_OUTSIDE_ROOT);
	cr_assert_not(cache_remove(mem, root, "ad-hoc/link.wav", &removed, &reason));
	cr_assert(cache_remove(mem, root, "ad-hoc/rec_1.wav", &removed, &reason));
	cr_assert(removed);
	cr_assert(cache_remove(mem, root, "ad-hoc/rec_1.wav", &removed, &reason));
	cr_assert_not(removed);
}

Test(cache, folder_that_leads_outside)
{
	struct cache_upload *u;

	cr_assert_eq(symlink("/tmp", mem_printf(mem, "%s/ad-hoc", root)), 0);
	cr_assert_eq(receive("abc", false, 10, &u), ST_INTERNAL);
}

/* ---- tools ------------------------------------------------------------------------------------------------------- */

Test(cache, tool_arguments)
{
	const char *const args[] = {"last", NULL};
	const char **v = tool_arguments(mem, "cmd", " [\"a b\", 3, \"c\"] ", args);

	cr_assert_str_eq(v[0], "cmd");
	cr_assert_str_eq(v[1], "a b");
	cr_assert_str_eq(v[2], "c");
	cr_assert_str_eq(v[3], "last");
	cr_assert_null(v[4]);
	v = tool_arguments(mem, "cmd", " -x\t y ", args);
	cr_assert_str_eq(v[1], "-x");
	cr_assert_str_eq(v[2], "y");
	cr_assert_str_eq(v[3], "last");
	v = tool_arguments(mem, "cmd", "[broken", args);
	cr_assert_str_eq(v[1], "last");
}

static bool run(const char *script, int64_t timeout_ms, char *out, size_t room)
{
	const char *const argv[] = {"sh", "-c", script, NULL};
	struct tool t;
	size_t size = 0;
	long got;

	cr_assert(tool_start(&t, argv, timeout_ms));
	while (size < room - 1 && (got = tool_read(&t, out + size, room - 1 - size)) > 0)
		size += (size_t)got;
	out[size] = '\0';
	return tool_finish(&t);
}

Test(cache, tool_runs_alone)
{
	const char *const missing[] = {"/nonexistent/tool", NULL};
	char out[200];
	int64_t begin;
	struct tool t;

	cr_assert(run("cat; echo hello; echo noise >&2; ls /proc/self/fd | wc -l", 5000, out, sizeof(out)));
	cr_assert_str_eq(out, "hello\n4\n", "stdin is empty, stderr gone, nothing else is open: %s", out);
	cr_assert_not(run("echo x; exit 3", 5000, out, sizeof(out)));
	begin = clock_mono_ms();
	cr_assert_not(run("echo x; sleep 60", 200, out, sizeof(out)));
	cr_assert_not(run("trap '' TERM; echo x; sleep 60 & wait; sleep 60", 200, out, sizeof(out)));
	cr_assert_lt(clock_mono_ms() - begin, 5000);
	cr_assert_not(run("yes", 200, out, sizeof(out)), "a tool that never ends its output");
	cr_assert_not(tool_start(&t, missing, 1000));
	cr_assert_not(tool_finish(&t));
}

static struct analysis analyse(struct config *c, const char *script, const char *probe)
{
	struct analysis out;

	config_set(c, CFG_FFMPEG_COMMAND, "sh");
	config_set(c, CFG_FFMPEG_ARGS_PREFIX, mem_printf(mem, "[\"-c\", \"%s\", \"sh\"]", script));
	config_set(c, CFG_FFPROBE_COMMAND, "sh");
	config_set(c, CFG_FFPROBE_ARGS_PREFIX, mem_printf(mem, "[\"-c\", \"%s\", \"sh\"]", probe));
	analyse_file(mem, c, "/dev/null", false, 0, &out);
	return out;
}

#define HEADER                                                                                                         \
	"printf 'RIFF\\\\377\\\\377\\\\377\\\\377WAVEfmt "                                                             \
	"\\\\020\\\\0\\\\0\\\\0\\\\1\\\\0\\\\1\\\\0\\\\200\\\\273\\\\0\\\\0\\\\0\\\\167\\\\1\\\\0\\\\2\\\\0\\\\020\\"  \
	"\\0data\\\\377\\\\377\\\\377\\\\377';"

Test(cache, analysis_by_tools)
{
	struct config *c = config_defaults(mem);
	struct analysis a;

	a = analyse(c, HEADER "printf '\\\\0\\\\0\\\\0\\\\100\\\\0\\\\200\\\\0\\\\040'",
	            "echo '{\\\"format\\\":{\\\"duration\\\":\\\"2.5\\\"}}'");
	cr_assert_eq(a.seconds, 3);
	cr_assert_not_null(a.waveform);
	cr_assert_str_eq(json_compact(mem, json_get(a.waveform, "peaks"), NULL), "[0,0.5,1,0.25]");
	cr_assert_str_eq(json_str(a.waveform, "source"), "ffmpeg_decoded_peak");
	cr_assert_eq(json_int(a.waveform, "sampleCount", 0), 4);
	a = analyse(c, "exit 1", "echo rubbish");
	cr_assert(a.seconds == 0 && a.waveform == NULL);
	a = analyse(c, "echo short", "echo '{\\\"format\\\":{\\\"duration\\\":\\\"-1\\\"}}'");
	cr_assert(a.seconds == 0 && a.waveform == NULL);
	config_set(c, CFG_AUDIO_TOOL_TIMEOUT_MS, "300");
	a = analyse(c, "sleep 20", "echo '{\\\"format\\\":{\\\"duration\\\":7}}'");
	cr_assert_eq(a.seconds, 7, "one tool that hangs does not cost the other's answer");
	config_set(c, CFG_AUDIO_PREVIEW_MAX_BYTES, "10");
	a = analyse(c, HEADER "printf '\\\\0\\\\0\\\\0\\\\100\\\\0\\\\200\\\\0\\\\040'", "exit 1");
	cr_assert_null(a.waveform, "more output than was allowed");
	config_set(c, CFG_FFMPEG_COMMAND, "/nonexistent/ffmpeg");
	config_set(c, CFG_FFPROBE_COMMAND, "/nonexistent/ffprobe");
	analyse_file(mem, c, "/dev/null", true, 0, &a);
	cr_assert(a.seconds == 0 && a.waveform == NULL);
}

/* ---- sizes ------------------------------------------------------------------------------------------------------- */

static void put_file(const char *path, off_t size)
{
	int fd = open(mem_printf(mem, "%s/%s", root, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	cr_assert(fd >= 0 && ftruncate(fd, size) == 0, "%s", path);
	close(fd);
}

/* 09 D-96, D-14: exact, and 0 for whatever cannot or must not be looked at. */
Test(cache, sizes)
{
	static const struct {
		const char *path;
		int64_t size;
	} cases[] = {
	    {"ad-hoc/a.wav", 5},
	    {"ad-hoc/large.wav", INT64_C(6) << 30},
	    {"elsewhere/b.wav", 7},
	    {"elsewhere\\b.wav", 7},
	    {"ad-hoc/inside.wav", 7}, /* a link within the cache */
	    {"", 0},
	    {"ad-hoc/none.wav", 0},
	    {"scheduled/none.wav", 0}, /* there is no such folder */
	    {"ad-hoc", 0},
	    {"ad-hoc/..", 0},
	    {"ad-hoc/../../../../../../etc/passwd", 0},
	    {"/etc/passwd", 0},
	    {"ad-hoc/outside.wav", 0}, /* a link out of it */
	    {"nowhere/a.wav", 0},
	};
	struct cache_sizes *c;

	mkdir(mem_printf(mem, "%s/ad-hoc", root), 0700);
	mkdir(mem_printf(mem, "%s/elsewhere", root), 0700);
	put_file("ad-hoc/a.wav", 5);
	put_file("ad-hoc/large.wav", (off_t)6 << 30);
	put_file("elsewhere/b.wav", 7);
	cr_assert_eq(symlink("/etc/passwd", mem_printf(mem, "%s/ad-hoc/outside.wav", root)), 0);
	cr_assert_eq(symlink("../elsewhere/b.wav", mem_printf(mem, "%s/ad-hoc/inside.wav", root)), 0);
	c = cache_sizes_open(mem, root);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(cache_size(c, cases[i].path), cases[i].size, "%s: %lld", cases[i].path,
		             (long long)cache_size(c, cases[i].path));
	c = cache_sizes_open(mem, mem_printf(mem, "%s/missing", root));
	cr_expect_eq(cache_size(c, "ad-hoc/a.wav"), 0);
	/* a folder that is a link to somewhere else */
	cr_assert_eq(symlink("/etc", mem_printf(mem, "%s/scheduled", root)), 0);
	c = cache_sizes_open(mem, root);
	cr_expect_eq(cache_size(c, "scheduled/passwd"), 0);
	cr_expect_eq(cache_size(c, "ad-hoc/a.wav"), 5);
}
