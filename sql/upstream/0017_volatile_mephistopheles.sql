-- The upload policy of a schedule.
ALTER TABLE public.schedules
	ADD COLUMN upload_policy_id varchar(160);
