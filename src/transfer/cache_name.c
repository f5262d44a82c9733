/*
 * Names: where a recording's file lies in the cache, and how it is called when it leaves (contract 03 3.13.2-3.13.4).
 */
#include "transfer/cache.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"

#include <string.h>
#include <strings.h>

/* Extension of a path's last component, dot included; "" if it has none or its only dot comes first. */
static const char *extension_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	const char *dot = strrchr(base, '.');

	return dot != NULL && dot != base ? dot : "";
}

char *cache_path_id(const void *ctx, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;

	return mem_strndup(ctx, base, strlen(base) - strlen(extension_of(path)));
}

const char *cache_extension(const void *ctx, const char *file_name, const char *content_type)
{
	static const char *const known[] = {".flac", ".mp3", ".wav"};
	char *name = mem_strdup(ctx, file_name != NULL ? file_name : "");
	const char *extension;

	for (size_t n = strlen(name); n > 0 && name[n - 1] == '/'; n--)
		name[n - 1] = '\0';
	extension = extension_of(name);
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(extension, known[i]) == 0)
			return known[i];
	if (content_type != NULL && strstr(content_type, "flac") != NULL)
		return ".flac";
	if (content_type != NULL && strstr(content_type, "wav") != NULL)
		return ".wav";
	return ".mp3";
}

char *cache_path(const void *ctx, bool scheduled, const char *recording_id, const char *extension)
{
	if (recording_id[0] == '\0' || recording_id[0] == '.' || strpbrk(recording_id, "/\\") != NULL)
		return NULL;
	return mem_printf(ctx, "%s/%s%s", scheduled ? "scheduled" : "ad-hoc", recording_id, extension);
}

const char *cache_mime(const char *path)
{
	const char *extension = extension_of(path);

	if (strcasecmp(extension, ".flac") == 0)
		return "audio/flac";
	return strcasecmp(extension, ".wav") == 0 ? "audio/wav" : "audio/mpeg";
}

static bool plain(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == ' ' ||
	       c == '.' || c == '-';
}

/* One '_' for every UTF-16 code unit that is not plain: none for continuation bytes, two for four-byte sequences. */
static char *ascii_name(const void *ctx, const char *name)
{
	struct buf out;

	buf_init(&out, ctx);
	for (const unsigned char *p = (const unsigned char *)name; *p != '\0'; p++) {
		if (plain(*p))
			buf_putc(&out, (char)*p);
		else if ((*p & 0xc0) != 0x80)
			buf_puts(&out, *p >= 0xf0 ? "__" : "_");
	}
	return text_trim(ctx, out.len > 0 ? out.data : "");
}

static const char *extension_or_mp3(const char *path)
{
	const char *extension = path != NULL ? extension_of(path) : "";

	return extension[0] != '\0' ? extension : ".mp3";
}

char *cache_file_name(const void *ctx, const char *name, const char *recording_id, const char *path)
{
	char *clean = ascii_name(ctx, name);

	return mem_printf(ctx, "%s%s", clean[0] != '\0' ? clean : recording_id, extension_or_mp3(path));
}

/* Length of a character at p that is not seen but changes what is: C1 controls, line separators, writing directions. */
static size_t unseen(const char *p)
{
	const unsigned char *c = (const unsigned char *)p;

	if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f)
		return 2;
	if (c[0] == 0xe2 && c[1] == 0x80 && (c[2] == 0x8e || c[2] == 0x8f || (c[2] >= 0xa8 && c[2] <= 0xae)))
		return 3;
	if (c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa6 && c[2] <= 0xa9)
		return 3;
	return 0;
}

char *cache_file_name_utf8(const void *ctx, const char *name, const char *recording_id, const char *path)
{
	char *clean = text_trim(ctx, text_no_controls(ctx, name)), *to = clean;

	for (const char *p = clean; *p != '\0';) {
		size_t skip = unseen(p);

		*to++ = skip > 0 || *p == '/' || *p == '\\' ? '_' : *p;
		p += skip > 0 ? skip : 1;
	}
	*to = '\0';
	return mem_printf(ctx, "%s%s", clean[0] != '\0' ? clean : recording_id, extension_or_mp3(path));
}
