/*
 * The last known answers. Each statement that reads is kept with its parameters as the key and its rows as the text, so
 * there is one mechanism for documents, lists, counts and expansions. Answers are only looked up when a read has failed
 * because the connection has; they never get into a unit of work, and never into the database.
 */
#include "store/pg/pg.h"

#include "base/clock.h"
#include "base/crypto.h"
#include "store/live.h"
#include "store/recall.h"

#include <string.h>

#define NULL_CELL UINT32_MAX

/* ---- topics ------------------------------------------------------------------------------------------------------ */

/* Who may do what is never answered from here; sessions have a ring and limits of their own. */
static bool is_secret(const struct model *m)
{
	return m == &model_users || m == &model_access_groups || m == &model_access_policies || m == &model_sessions ||
	       m == &model_oidc_states || m == &model_credentials;
}

uint64_t topic_of(const struct model *m)
{
	for (unsigned i = 0; models[i] != NULL; i++)
		if (models[i] == m)
			return is_secret(m) ? TOPICS_NONE : UINT64_C(1) << i;
	return TOPICS_NONE;
}

uint64_t topics_of_query(const struct model *m, const struct query *q)
{
	uint64_t topic = topic_of(m);

	return q->scope != NULL && topic != TOPICS_NONE ? topic | topic_of(&model_recordings) : topic;
}

uint64_t topics_of_patch(const struct model *m, json_object *patch)
{
	static const struct {
		const struct model *model;
		const char *mark; /* what makes it a sign of life */
		const char *members[8];
	} signs[] = {
	    {&model_nodes,
	     "lastSeenAt",
	     {"agentVersion", "hostname", "ipAddresses", "lastSeenAt", "runtime", "status", "updatedAt"}},
	    {&model_jobs, "lastHeartbeatAt", {"claimedBy", "lastHeartbeatAt", "leaseExpiresAt"}},
	};

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		bool only = signs[i].model == m && json_has(patch, signs[i].mark);

		json_object_object_foreach(patch, key, value)
		{
			bool known = false;

			(void)value;
			for (size_t k = 0; k < 8 && signs[i].members[k] != NULL; k++)
				known = known || strcmp(key, signs[i].members[k]) == 0;
			only = only && known;
		}
		if (only)
			return TOPICS_NONE;
	}
	return topic_of(m);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

static struct recall *answers(const struct pg *p)
{
	return p->outage.live != NULL ? live_answers(p->outage.live) : NULL;
}

static struct recall *sessions(const struct pg *p)
{
	return p->outage.live != NULL ? live_sessions(p->outage.live) : NULL;
}

static int64_t auth_limit_ms(const struct pg *p)
{
	return config_int(p->config, CFG_AUTH_STALE_SECONDS) * 1000;
}

/* True if this request may be answered from memory: its connection is gone, and it only reads. */
static bool may_recall(const struct pg *p)
{
	return p->outage.how != NULL && p->outage.how->allowed && p->conn == NULL && !p->unit && p->failed == ST_OK;
}

static void mark(struct pg *p, int64_t known_ms)
{
	struct degrade *how = p->outage.how;

	if (!how->recalled || known_ms < how->known_ms)
		how->known_ms = known_ms;
	how->recalled = true;
}

uint64_t stale_clock(const struct pg *p)
{
	return answers(p) != NULL ? recall_clock(answers(p)) : 0;
}

static void put_length(struct buf *b, size_t n)
{
	uint32_t length = (uint32_t)n;

	buf_add(b, &length, sizeof(length));
}

/* Statement and parameters, each with its length in front. */
static struct recall_key key_of(const void *ctx, const struct call *c)
{
	struct recall_key key;
	struct buf b;

	buf_init(&b, ctx);
	put_length(&b, strlen(c->sql));
	buf_puts(&b, c->sql);
	for (int i = 0; i < c->count; i++) {
		put_length(&b, c->values[i] == NULL ? NULL_CELL : strlen(c->values[i]));
		buf_puts(&b, c->values[i] == NULL ? "" : c->values[i]);
	}
	crypto_sha256(key.bytes, b.data, b.len);
	return key;
}

static size_t packed_size(const PGresult *r)
{
	size_t n = 2 * sizeof(uint32_t);

	for (int row = 0; row < PQntuples(r); row++)
		for (int column = 0; column < PQnfields(r); column++)
			n += sizeof(uint32_t) + (size_t)PQgetlength(r, row, column);
	return n;
}

static void pack(struct buf *b, const PGresult *r)
{
	put_length(b, (size_t)PQntuples(r));
	put_length(b, (size_t)PQnfields(r));
	for (int row = 0; row < PQntuples(r); row++)
		for (int column = 0; column < PQnfields(r); column++) {
			bool null = PQgetisnull(r, row, column);

			put_length(b, null ? NULL_CELL : (size_t)PQgetlength(r, row, column));
			if (!null)
				buf_add(b, PQgetvalue(r, row, column), (size_t)PQgetlength(r, row, column));
		}
}

static uint32_t take_length(const char **at)
{
	uint32_t n;

	memcpy(&n, *at, sizeof(n));
	*at += sizeof(n);
	return n;
}

/* The rows as libpq would give them; NULL if memory is short. */
static PGresult *unpack(const void *ctx, const char *at)
{
	uint32_t rows = take_length(&at), columns = take_length(&at);
	PGresAttDesc *names = mem_array(ctx, PGresAttDesc, columns);
	PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	char unnamed[] = "";
	bool good;

	for (uint32_t i = 0; i < columns; i++)
		names[i] = (PGresAttDesc){.name = unnamed};
	good = r != NULL && PQsetResultAttrs(r, (int)columns, names);
	for (uint32_t row = 0; row < rows && good; row++)
		for (uint32_t column = 0; column < columns && good; column++) {
			uint32_t n = take_length(&at);
			bool null = n == NULL_CELL;

			/* libpq only reads the value */
			good = PQsetvalue(r, (int)row, (int)column, null ? NULL : (char *)(uintptr_t)at,
			                  null ? -1 : (int)n);
			at += null ? 0 : n;
		}
	if (!good) {
		PQclear(r);
		return NULL;
	}
	return r;
}

void stale_keep(struct pg *p, const struct batch *b, uint64_t asked)
{
	struct recall *ring = answers(p);
	void *ctx;

	if (ring == NULL || p->unit)
		return;
	ctx = talloc_new(NULL);
	for (size_t i = 0; i < b->count; i++) {
		const struct call *c = &b->calls[i];
		struct recall_note note = {
		    .topics = p->outage.reading | c->reads, .asked = asked, .mono_ms = clock_mono_ms()};
		struct recall_key key;
		struct buf rows;

		if (note.topics == TOPICS_NONE || c->result == NULL || packed_size(c->result) > recall_longest(ring))
			continue;
		key = key_of(ctx, c);
		buf_init(&rows, ctx);
		pack(&rows, c->result);
		recall_put(ring, &key, &note, rows.data, rows.len);
	}
	talloc_free(ctx);
}

/*
 * Since when an answer must be known to count. What other hosts change is not known here: what is older than their last
 * presence is worth as little as what is known of access.
 */
static int64_t oldest_allowed(const struct pg *p)
{
	int64_t limit = clock_mono_ms() - auth_limit_ms(p), alone = hosts_alone_since(p);

	return p->outage.how->access || alone > limit ? limit : alone;
}

static bool recall_call(struct pg *p, const void *ctx, struct call *c)
{
	struct recall_key key;
	int64_t known_ms;
	PGresult *rows;
	char *data;
	size_t n;

	key = key_of(ctx, c);
	if (!recall_get(answers(p), ctx, &key, oldest_allowed(p), &data, &n, &known_ms))
		return false;
	rows = unpack(ctx, data);
	if (rows == NULL)
		return false;
	c->result = keep_result(ctx, rows);
	mark(p, known_ms);
	return true;
}

bool stale_recall(struct pg *p, struct batch *b)
{
	if (!may_recall(p) || answers(p) == NULL || (p->outage.how->access && auth_limit_ms(p) == 0))
		return false;
	for (size_t i = 0; i < b->count; i++) {
		bool kept = (p->outage.reading | b->calls[i].reads) != TOPICS_NONE;

		if (!(kept && recall_call(p, b->ctx, &b->calls[i])) && !b->calls[i].optional)
			return false;
	}
	return true;
}

bool stale_may_write(const struct pg *p)
{
	return p->outage.how == NULL || !p->outage.how->recalled;
}

/* ---- sessions ---------------------------------------------------------------------------------------------------- */

uint64_t stale_session_clock(const struct pg *p)
{
	return sessions(p) != NULL ? recall_clock(sessions(p)) : 0;
}

static struct recall_key key_of_text(const char *text)
{
	struct recall_key key;

	crypto_sha256(key.bytes, text, strlen(text));
	return key;
}

static uint64_t owner_of(const char *user_id)
{
	struct recall_key key = key_of_text(user_id);
	uint64_t owner;

	memcpy(&owner, key.bytes, sizeof(owner));
	return owner;
}

void stale_session_keep(struct pg *p, const char *token_hash, json_object *session, const char *expires, uint64_t asked)
{
	struct recall *ring = sessions(p);
	struct recall_key key;
	struct buf text;
	int64_t expires_ms;
	void *ctx;

	if (ring == NULL || p->unit || auth_limit_ms(p) == 0 || !clock_parse_pg(expires, &expires_ms))
		return;
	ctx = talloc_new(NULL);
	key = key_of_text(token_hash);
	buf_init(&text, ctx);
	buf_add(&text, &expires_ms, sizeof(expires_ms));
	buf_puts(&text, json_compact(ctx, session, NULL));
	recall_put(ring, &key,
	           &(struct recall_note){.asked = asked,
	                                 .owner = owner_of(json_str_or(json_object_at(session, "user"), "id", "")),
	                                 .mono_ms = clock_mono_ms()},
	           text.data, text.len);
	talloc_free(ctx);
}

void stale_session_gone(struct pg *p, const char *token_hash)
{
	struct recall_key key;

	if (sessions(p) == NULL)
		return;
	key = key_of_text(token_hash);
	if (recall_holds(sessions(p), &key))
		recall_forget(sessions(p), &key);
}

bool stale_session_recall(struct pg *p, const void *ctx, const char *token_hash, int64_t now_ms, json_object **session)
{
	struct recall_key key = key_of_text(token_hash);
	int64_t known_ms, expires_ms, limit_ms = auth_limit_ms(p);
	char *data;
	size_t n;

	if (!may_recall(p) || sessions(p) == NULL || limit_ms == 0 ||
	    !recall_get(sessions(p), ctx, &key, clock_mono_ms() - limit_ms, &data, &n, &known_ms))
		return false;
	memcpy(&expires_ms, data, sizeof(expires_ms));
	if (expires_ms <= now_ms || !json_parse(ctx, data + sizeof(expires_ms), n - sizeof(expires_ms), session))
		return false;
	mark(p, known_ms);
	return true;
}

static void revoke(struct pg *p, const struct revoked *r)
{
	struct recall_key key;

	if (sessions(p) == NULL)
		return;
	if (r->what == REVOKED_ALL) {
		recall_forget_all(sessions(p));
	} else if (r->what == REVOKED_USER) {
		recall_forget_owner(sessions(p), owner_of(r->id));
	} else {
		key = key_of_text(r->id);
		recall_forget(sessions(p), &key);
	}
}

void stale_revoke(struct pg *p, int what, const char *id)
{
	struct outage *o = &p->outage;
	struct revoked r = {.what = id == NULL || strlen(id) >= sizeof(r.id) ? REVOKED_ALL : what};

	if (r.what != REVOKED_ALL)
		memcpy(r.id, id, strlen(id));
	revoke(p, &r);
	if (o->revoked_count == OUTAGE_REVOKED) {
		o->revoked_count = 1;
		r.what = REVOKED_ALL;
		o->revoked[0] = r;
		return;
	}
	o->revoked[o->revoked_count++] = r;
}

void stale_revoke_documents(struct pg *p, const struct model *m, json_object *docs)
{
	size_t n = json_object_array_length(docs);

	if (m == &model_users)
		for (size_t i = 0; i < n; i++)
			stale_revoke(p, REVOKED_USER, json_str(json_object_array_get_idx(docs, i), "id"));
	else if (n > 0 && (m == &model_sessions || m == &model_access_groups || m == &model_access_policies))
		stale_revoke(p, REVOKED_ALL, NULL);
}

/* ---- changes ----------------------------------------------------------------------------------------------------- */

void stale_changed(struct pg *p, uint64_t topics)
{
	p->outage.changed |= topics;
	if (answers(p) != NULL && topics != TOPICS_NONE)
		recall_changed(answers(p), topics);
}

void stale_settle(struct pg *p)
{
	struct outage *o = &p->outage;

	if (answers(p) != NULL && o->changed != TOPICS_NONE)
		recall_changed(answers(p), o->changed);
	o->changed = TOPICS_NONE;
	for (size_t i = 0; i < o->revoked_count; i++)
		revoke(p, &o->revoked[i]);
	o->revoked_count = 0;
	if (o->wrote)
		outside_mark(p);
	o->wrote = false;
}
