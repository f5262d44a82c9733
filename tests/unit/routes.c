/* The program's route tables against the contract's route index, row by row (contract 01 1; 09 D-46). */
#include "api/route.h"
#include "http/route_index.h"

#include <criterion/criterion.h>
#include <string.h>

/* Paths that are ours alone. */
static bool is_addition(const struct route *route)
{
	return strcmp(route->path, "/readyz") == 0;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/* Row 106 and row 132 have one path: the guard tells them apart. */
static bool is_row(const struct route *route, const struct index_row *row)
{
	return strcmp(route->method, row->method) == 0 && strcmp(route->path, row->path) == 0 &&
	       (route->guard == GUARD_DUAL) == (row->auth == 'D');
}

static const struct index_row *row_of(const struct route *route)
{
	for (size_t i = 0; i < ROUTE_INDEX_COUNT; i++)
		if (is_row(route, &route_index[i]))
			return &route_index[i];
	return NULL;
}

static bool guard_is(const struct route *route, const struct index_row *row)
{
	switch (row->auth) {
	case 'U':
		return route->guard == GUARD_USER;
	case 'N':
		return route->guard == GUARD_NODE;
	case 'D':
		return route->guard == GUARD_DUAL;
	case 'S': /* a handler that reads the session itself is public for the dispatcher */
		return route->guard == GUARD_SESSION || route->guard == GUARD_PUBLIC;
	default:
		return route->guard == GUARD_PUBLIC;
	}
}

static void compare_target(const struct route *route, const struct index_row *row)
{
	switch (row->target) {
	case WITHOUT_ID:
		cr_expect_str_eq(route->target_type, row->type, "%s %s", row->method, row->path);
		cr_expect_null(route->target_id, "%s %s", row->method, row->path);
		cr_expect_null(route->target_param, "%s %s", row->method, row->path);
		cr_expect_null(route->target, "%s %s", row->method, row->path);
		break;
	case FIXED:
		cr_expect_str_eq(route->target_type, row->type, "%s %s", row->method, row->path);
		cr_expect_str_eq(route->target_id, row->value, "%s %s", row->method, row->path);
		break;
	case BY_PARAMETER:
		cr_expect(route->target != NULL ||
		              (same_text(route->target_type, row->type) && same_text(route->target_param, row->value)),
		          "%s %s: target", row->method, row->path);
		break;
	case NO_TARGET:
		break;
	default:
		cr_expect_not_null(route->target, "%s %s has no resolver", row->method, row->path);
	}
}

static void compare(const struct route *route, const struct index_row *row)
{
	const char *permission = permission_name(route->permission);

	cr_expect(guard_is(route, row), "%s %s: guard %d", row->method, row->path, route->guard);
	cr_expect(same_text(permission, row->permission), "%s %s: %s", row->method, row->path, permission);
	if (row->action != NULL)
		cr_expect_str_eq(route->action, row->action, "%s %s", row->method, row->path);
	cr_expect_not_null(route->handler, "%s %s", row->method, row->path);
	compare_target(route, row);
}

Test(routes, each_row_is_guarded_as_the_index_says)
{
	size_t rows = 0;

	for (const struct route *const *table = route_tables; *table != NULL; table++) {
		for (const struct route *route = *table; route->method != NULL; route++) {
			const struct index_row *row = row_of(route);

			cr_expect(route->guard >= GUARD_USER && route->guard <= GUARD_DUAL, "%s %s has no guard",
			          route->method, route->path);
			cr_expect(row != NULL || is_addition(route), "%s %s is not in the index", route->method,
			          route->path);
			if (row == NULL)
				continue;
			compare(route, row);
			rows++;
		}
	}
	cr_expect_geq(rows + ROWS_NOT_SERVED_MAX, ROUTE_INDEX_COUNT, "%zu rows of %zu", rows, ROUTE_INDEX_COUNT);
}

/* True if every request that `specific` takes is one that `general` takes, too. */
static bool covers(const char *general, const char *specific)
{
	while (*general != '\0' && *specific != '\0') {
		size_t g = strcspn(general, "/"), s = strcspn(specific, "/");

		if (general[0] != ':' && (g != s || strncmp(general, specific, g) != 0))
			return false;
		general += g + (general[g] == '/');
		specific += s + (specific[s] == '/');
	}
	return *general == *specific;
}

/* First match wins: a static path must stand before the parameter route that would swallow it. */
Test(routes, no_row_hides_a_later_one)
{
	const struct route *rows[512];
	size_t count = 0;

	for (const struct route *const *table = route_tables; *table != NULL; table++)
		for (const struct route *route = *table; route->method != NULL; route++)
			rows[count++] = route;
	for (size_t i = 0; i < count; i++)
		for (size_t k = i + 1; k < count; k++)
			cr_expect(rows[i]->guard == GUARD_DUAL || strcmp(rows[i]->method, rows[k]->method) != 0 ||
			              !covers(rows[i]->path, rows[k]->path),
			          "%s %s hides %s", rows[i]->method, rows[i]->path, rows[k]->path);
}

/* Constants that end up in columns of a given width (09 17.1). */
Test(routes, constants_fit_their_columns)
{
	for (size_t i = 0; i < ROUTE_INDEX_COUNT; i++) {
		const struct index_row *row = &route_index[i];

		cr_expect(row->action == NULL || strlen(row->action) + strlen(".succeeded") <= 160, "%s", row->action);
		cr_expect(row->type == NULL || strlen(row->type) <= 160);
		cr_expect(row->permission == NULL || strlen(row->permission) <= 120);
		cr_expect_eq(row->number, (int)i + 1);
	}
}
