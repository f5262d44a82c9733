/* The list of route tables, in the order in which they are tried (contract 01 1). */
#include "api/route.h"

extern const struct route status_routes[], oidc_routes[], auth_routes[], users_routes[], policies_routes[],
    audit_routes[], nodes_routes[], listen_routes[], meters_routes[], agent_routes[], agent_health_routes[],
    agent_jobs_routes[], cache_file_routes[], recordings_routes[], jobs_routes[], recording_start_routes[],
    metrics_routes[];

const struct route *const route_tables[] = {
    metrics_routes,    status_routes,     oidc_routes,       auth_routes,   users_routes,           policies_routes,
    audit_routes,      nodes_routes,      meters_routes,     listen_routes, agent_routes,           agent_health_routes,
    agent_jobs_routes, cache_file_routes, recordings_routes, jobs_routes,   recording_start_routes, NULL,
};
