/*
 * What both store backends must do alike. A suite defines <suite>_open() and <suite>_close() for a store of its own and
 * then writes STORE_COMMON_TESTS(<suite>). Tests use ids of their own and do not mind other documents.
 */
#ifndef RAKKR_TESTS_STORE_COMMON_H
#define RAKKR_TESTS_STORE_COMMON_H

#include "unit/store_access.h"
#include "unit/store_documents.h"

#define STORE_COMMON_TEST(suite, name)                                                                                 \
	Test(suite, name)                                                                                              \
	{                                                                                                              \
		struct store *s = suite##_open();                                                                      \
		common_##name(s);                                                                                      \
		suite##_close(s);                                                                                      \
	}

#define STORE_COMMON_TESTS(suite)                                                                                      \
	STORE_COMMON_TEST(suite, insert_and_get)                                                                       \
	STORE_COMMON_TEST(suite, insert_conflict)                                                                      \
	STORE_COMMON_TEST(suite, invalid_values)                                                                       \
	STORE_COMMON_TEST(suite, nul_and_surrogates)                                                                   \
	STORE_COMMON_TEST(suite, filters)                                                                              \
	STORE_COMMON_TEST(suite, membership_and_search)                                                                \
	STORE_COMMON_TEST(suite, sort_and_page)                                                                        \
	STORE_COMMON_TEST(suite, total_without_filter)                                                                 \
	STORE_COMMON_TEST(suite, count_by)                                                                             \
	STORE_COMMON_TEST(suite, row_scope)                                                                            \
	STORE_COMMON_TEST(suite, update)                                                                               \
	STORE_COMMON_TEST(suite, update_first)                                                                         \
	STORE_COMMON_TEST(suite, update_many)                                                                          \
	STORE_COMMON_TEST(suite, remove)                                                                               \
	STORE_COMMON_TEST(suite, rollback)                                                                             \
	STORE_COMMON_TEST(suite, hint)                                                                                 \
	STORE_COMMON_TEST(suite, file_models)                                                                          \
	STORE_COMMON_TEST(suite, assignment)                                                                           \
	STORE_COMMON_TEST(suite, watchdog_rules)                                                                       \
	STORE_COMMON_TEST(suite, users)                                                                                \
	STORE_COMMON_TEST(suite, sessions)                                                                             \
	STORE_COMMON_TEST(suite, disabled_user)                                                                        \
	STORE_COMMON_TEST(suite, first_login)                                                                          \
	STORE_COMMON_TEST(suite, policies)                                                                             \
	STORE_COMMON_TEST(suite, nodes)                                                                                \
	STORE_COMMON_TEST(suite, interfaces)                                                                           \
	STORE_COMMON_TEST(suite, credentials)                                                                          \
	STORE_COMMON_TEST(suite, expand)                                                                               \
	STORE_COMMON_TEST(suite, health_badge)                                                                         \
	STORE_COMMON_TEST(suite, audit)                                                                                \
	STORE_COMMON_TEST(suite, audit_with_writes)                                                                    \
	STORE_COMMON_TEST(suite, audit_oversized)

#endif
