-- Nodes take ids of the controller's own making.
ALTER TABLE public.audio_interfaces DROP CONSTRAINT audio_interfaces_node_id_nodes_id_fk;
ALTER TABLE public.health_events DROP CONSTRAINT health_events_node_id_nodes_id_fk;
ALTER TABLE public.node_credentials DROP CONSTRAINT node_credentials_node_id_nodes_id_fk;
ALTER TABLE public.nodes ALTER COLUMN id DROP DEFAULT;
ALTER TABLE public.nodes ALTER COLUMN id TYPE varchar(160) USING id::text;
ALTER TABLE public.audio_interfaces ALTER COLUMN node_id TYPE varchar(160) USING node_id::text;
ALTER TABLE public.health_events ALTER COLUMN node_id TYPE varchar(160) USING node_id::text;
ALTER TABLE public.node_credentials ALTER COLUMN node_id TYPE varchar(160) USING node_id::text;
ALTER TABLE public.audio_interfaces ADD CONSTRAINT audio_interfaces_node_id_nodes_id_fk FOREIGN KEY (node_id)
	REFERENCES public.nodes (id) ON DELETE CASCADE;
ALTER TABLE public.health_events ADD CONSTRAINT health_events_node_id_nodes_id_fk FOREIGN KEY (node_id)
	REFERENCES public.nodes (id) ON DELETE SET NULL;
ALTER TABLE public.node_credentials ADD CONSTRAINT node_credentials_node_id_nodes_id_fk FOREIGN KEY (node_id)
	REFERENCES public.nodes (id) ON DELETE CASCADE;
