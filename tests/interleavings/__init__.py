"""T3: clients of one database, stopped before each statement, so that every order of their statements can be run."""
