-- Health events outlive their node.
ALTER TABLE public.health_events DROP CONSTRAINT health_events_node_id_nodes_id_fk;
