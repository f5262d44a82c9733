-- The retention policy of a schedule.
ALTER TABLE public.schedules
	ADD COLUMN retention_policy_id varchar(160);
