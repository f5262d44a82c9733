/*
 * The data model, declared once: one constant table of fields a resource. It drives the Postgres store (SELECT lists,
 * WHERE, ORDER BY, INSERT, UPDATE, row to JSON), the flat-file store (the same query over the loaded collection),
 * `rakkr-fcgi verify` and the schema manual page. A resource is handled as its wire JSON object ("document") everywhere.
 */
#ifndef RAKKR_MODEL_MODEL_H
#define RAKKR_MODEL_MODEL_H

#include "base/config.h"
#include "base/json.h"

enum model_type {
	M_TEXT,	 /* JSON string */
	M_ENUM,	 /* JSON string out of values; a Postgres enum if pg_type is set, else varchar */
	M_INT,	 /* JSON integer */
	M_BOOL,
	M_TIME,	 /* ISO string with milliseconds <-> timestamptz */
	M_UUID,	 /* JSON string <-> uuid; a text that is no UUID matches no row and is stored as NULL */
	M_TEXTS, /* JSON array of strings <-> jsonb array */
	M_JSON,	 /* any JSON <-> jsonb */
};

enum model_flag {
	M_REQUIRED = 1,	 /* NOT NULL */
	M_NULL = 2,	 /* present as JSON null when unset (health event times, retention limits) */
	M_SEARCH = 4,	 /* part of the free-text search */
	M_HIDDEN = 8,	 /* kept by the store, removed by model_public(): password hashes, ordering columns */
	M_DERIVED = 16,	 /* never written: computed by expr (Postgres) and derive (flat files) */
	M_FIXED = 32,	 /* written by insert only, never by an update (ids, created_at) */
	M_DEFAULT = 64,	 /* the column has a default; left out of an INSERT when the document lacks it */
	M_TOUCH = 128,	 /* set to the current time by every update that does not give it (updated_at columns) */
};

/*
 * A field name with one dot names a nested member: "actor.id" is member id of the object actor. Both stores read and
 * write documents through model_value() and model_set(), which know this rule; an object whose members are all unset
 * is absent.
 *
 * Fields with a `key` are read as JSON (column -> 'key') whatever their type: a stored value of another type must not
 * fail the read, repair() mends it. Writing one keeps the other members of the column (unknown ones too, D-13).
 *
 * M_DERIVED | M_HIDDEN fields are helpers for filters, search and order only: they need not be in documents at all.
 * M_DERIVED fields without `derive` are ordinary stored members in flat files (roles of a user, interfaces of a node).
 */
struct model_field {
	const char *name;	/* key in the document, or "object.key" */
	const char *column;	/* SQL column of the model's table (alias t); NULL for M_DERIVED */
	const char *key;	/* the value is member `key` of the jsonb `column` */
	/* SQL expression, table alias t, of the SQL type that fits `type` (jsonb for M_JSON and M_TEXTS). M_DERIVED: the
	   value. Otherwise: how Postgres reads the field instead of the plain column (writes go to column and key). */
	const char *expr;
	enum model_type type;
	unsigned flags;
	int max;		/* width in characters of a varchar column; 0 = unbounded */
	const char *const *values;
	const char *pg_type;	/* name of a Postgres enum type, else NULL */
	/* M_DERIVED in flat files: new value (caller owns the reference) or NULL for absent. */
	json_object *(*derive)(json_object *doc);
	/* Postgres only: every row of the model has this text in the column; it is written by every insert, and rows with
	   another are not documents of the model (template_assignments.template_kind). */
	const char *constant;
};

struct model {
	const char *name;	/* "recordings"; also the store's name in messages */
	const char *table;	/* NULL: never in Postgres (flat file in both modes) */
	const char *id;		/* field that identifies a document */
	const struct model_field *fields;
	size_t count;
	/* Default order: up to two fields, '-' in front = descending; e.g. {"-recordedAt", "id"}. When the first one is
	   M_HIDDEN (ordering columns), flat files have no such member and list in array order (which is newest first)
	   if it is descending, in reverse array order if it is ascending. */
	const char *order[2];
	/* Flat file: path variable, key of the array in the wrapper object, error name of contract 07 2.2.
	   CFG_KEY_COUNT: no file of its own (groups live in the users, credentials in the nodes). file_key NULL: JSON
	   lines (audit). */
	enum config_key path;
	const char *file_key;
	const char *file_error;
	/* Repairs a document read from either store in place (contract 03 3.1.5, 09 D-60); may be NULL. Unknown members
	   are kept (D-13). */
	void (*repair)(json_object *doc);
	/* Elements of a flat file that are not accepted are dropped on load, and kept in the file until it is written.
	   May mend what only a file can hold (contract 07 2.10). Called before repair. */
	bool (*accept)(json_object *doc);
	/* Built-in documents of a store that has none of its own (contract 07 3.13, 4.2, 4.3); demo = demo data, which
	   RAKKR_SEED_DEMO_DATA=0 turns off. Adds documents to array. May be NULL. */
	void (*seed)(json_object *array, bool demo);
};

extern const struct model model_users;		      /* hidden: passwordHash, createdAt; with roles, groups, resourceGrants */
extern const struct model model_access_groups;
extern const struct model model_external_identities;  /* subject of an OpenID provider -> userId; our own table */
extern const struct model model_access_policies;
extern const struct model model_sessions;	      /* id, tokenHash, userId, expiresAt, createdAt, lastSeenAt, revokedAt, ipAddress, userAgent */
extern const struct model model_oidc_states;
extern const struct model model_nodes;		      /* with interfaces[].channels[] nested */
extern const struct model model_credentials;	      /* id, nodeId, tokenHash, tokenPrefix, createdAt, createdByUserId, lastUsedAt, revokedAt */
extern const struct model model_recordings;
extern const struct model model_jobs;
extern const struct model model_schedules;
extern const struct model model_health_events;
extern const struct model model_audit_events;
extern const struct model model_profiles;
extern const struct model model_watchdog_policies;
extern const struct model model_channel_map_templates;
extern const struct model model_channel_map_assignments;
extern const struct model model_channel_map_plans;
extern const struct model model_upload_providers;
extern const struct model model_upload_policies;
extern const struct model model_upload_queue;
extern const struct model model_retention_policies;
extern const struct model model_lifecycle_jobs;

/* All of the above, NULL-terminated. */
extern const struct model *const models[];

/* The field called name, or NULL. */
const struct model_field *model_field_find(const struct model *m, const char *name);

/* The value of f in doc: NULL when absent, or when it is JSON null. Borrowed from doc. */
json_object *model_value(json_object *doc, const struct model_field *f);

/* Like model_value(), but tells an absent member from one that is JSON null (NULL *value with true returned). */
bool model_has(json_object *doc, const struct model_field *f, json_object **value);

/*
 * Sets f in doc; takes the reference of value (NULL = JSON null). The object of a dotted name is made when it is
 * missing (or is no object), and replaced by a copy when it is not: documents may share it.
 */
void model_set(json_object *doc, const struct model_field *f, json_object *value);

/* Removes f from doc, and with the last member of a dotted name its object. */
void model_unset(json_object *doc, const struct model_field *f);

/*
 * A copy of doc, owned by ctx, without M_HIDDEN fields: what may leave the controller. Members are shared with doc and
 * must not be changed in place.
 */
json_object *model_public(const void *ctx, const struct model *m, json_object *doc);

/*
 * The members of doc that m does not know, owned by ctx; NULL if there are none. Of an object that dotted names share
 * only those that none of them names. model_add_unknown() puts them back, over nothing that is there.
 */
json_object *model_unknown(const void *ctx, const struct model *m, json_object *doc);
void model_add_unknown(json_object *doc, json_object *unknown);

/*
 * The built-in document of m with that id (NULL: the first one), owned by ctx; NULL if there is none. Default voice
 * profile, watchdog policy, upload policy and providers, retention policy (contract 07 3.13), and the demo data (4.3).
 */
json_object *model_builtin(const void *ctx, const struct model *m, const char *id);

#endif
