-- What flat files held and the tables have no column for: members that neither controller knows. An import keeps them
-- here and an export puts them back, so that moving an installation loses nothing. Nothing else reads this.

CREATE TABLE rakkr_fcgi.unplaced_members (
	store text NOT NULL,
	id text NOT NULL,
	members jsonb NOT NULL,
	PRIMARY KEY (store, id)
);
