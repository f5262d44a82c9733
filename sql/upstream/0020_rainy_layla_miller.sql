-- Where an interface is plugged in.
ALTER TABLE public.audio_interfaces
	ADD COLUMN hardware_path varchar(500),
	ADD COLUMN serial_number varchar(255);
