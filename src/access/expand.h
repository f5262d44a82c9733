/* What a target stands for: expansion of contract 01 11.2 over documents and the store. */
#ifndef RAKKR_ACCESS_EXPAND_H
#define RAKKR_ACCESS_EXPAND_H

#include "access/principal.h"

/* N(node): node, site, room, site/room. */
void expand_node(const void *ctx, struct targets *t, json_object *node);

/* The interface of a node by id, NULL if it has none of that id. */
json_object *expand_interface(json_object *node, const char *id);

/*
 * Adds the channel and interface that id, "<interface>:<index>" or "<node>:<interface>:<index>", names in node; false
 * if the node has no such channel.
 */
bool expand_channel(const void *ctx, struct targets *t, json_object *node, const char *id);

/* True if targets of this type stand for more than themselves. */
bool expand_has_parents(const char *type);

/*
 * Everything that (type, id) expands to, itself first, with the built-in demo node where p->demo_node says that it is
 * part of the node list. Errors: those of the store.
 */
status expand_target(const void *ctx, struct store *s, const struct principal *p, const char *type, const char *id,
                     struct targets *t);

/* The demo node's document, or NULL if a row has taken its id (or there is none); owned by ctx. */
status expand_demo_node(const void *ctx, struct store *s, const struct principal *p, json_object **node);

#endif
