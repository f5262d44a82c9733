-- The capture backend of a schedule.
ALTER TABLE public.schedules
	ADD COLUMN capture_backend varchar(32);
