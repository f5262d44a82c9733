/* Limits of grants and policies in bodies (contract 09 17.1, D-59). */
#ifndef RAKKR_API_ACCESS_SCHEMA_H
#define RAKKR_API_ACCESS_SCHEMA_H

#define RESOURCE_ID_MAX 160
#define RESOURCE_TYPE_MAX 80
#define SUBJECT_ID_MAX 160
#define REASON_MAX 2000

/* Grants of one user, policies of the installation. */
#define RULES_MAX 2000

#define POLICIES_PATH "/api/v1/auth/access-policies"

#endif
