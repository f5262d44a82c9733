#include "engine/liveness.h"

#include <criterion/criterion.h>

Test(liveness, age_is_whole_seconds_and_never_negative)
{
	cr_assert_eq(liveness_age_seconds(1000, 1000), 0);
	cr_assert_eq(liveness_age_seconds(1000, 1999), 0);
	cr_assert_eq(liveness_age_seconds(1000, 2000), 1);
	cr_assert_eq(liveness_age_seconds(5000, 1000), 0);
}

Test(liveness, stale_only_beyond_the_limit)
{
	static const struct {
		int64_t age_ms, limit;
		bool stale;
	} rows[] = {
	    {120000, 120, false}, {120999, 120, false},  {121000, 120, true}, {0, 120, false},
	    {-5000, 1, false},    {999999999, 0, false}, {2000, 1, true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect_eq(liveness_stale(10000000, 10000000 + rows[i].age_ms, rows[i].limit), rows[i].stale,
		             "row %zu", i);
}

Test(liveness, chunk_is_fresh_within_five_seconds_both_ways)
{
	cr_expect(liveness_chunk_fresh(10000, 15000));
	cr_expect(liveness_chunk_fresh(15000, 10000));
	cr_expect_not(liveness_chunk_fresh(10000, 15001));
	cr_expect_not(liveness_chunk_fresh(15001, 10000));
}
