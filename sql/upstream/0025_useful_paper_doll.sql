-- The capture interface of a schedule.
ALTER TABLE public.schedules
	ADD COLUMN capture_interface_id varchar(160);
